import {
  BodyCut, BodyStalled, ChecksumMismatch, FormInvalid, FormTooLarge, JsonInvalid, LengthMismatch, LocationInvalid,
  PasswordRequired, PasswordWrong, QuotaExceeded, ShuttingDown, SizeLimitExceeded, StorageFull, StorageTrouble, StorageUnusable, TakenOver,
  TooManyPasswords, TooManyUploads, TypeNotAllowed, UploadBusy, UploadComplete, UploadExpired, UploadGone, UploadNotFound, UserRequired
} from '../../errors.js'
import type { RouteSetting, WordedError } from '../../http/routing/routes.js'
import type { ErrorStyle } from './options.js'
import { type Problem, Refused, badRequest, forbidden, invalid, notFound, overQuota, unauthorized } from './problem.js'

const MIB = 1024 * 1024

/** Turns errors into the contract's answers; those of the host's hooks and unknown ones are left to the host. */
export function wordingOf (style: ErrorStyle): NonNullable<RouteSetting['wordError']> {
  return error => {
    const problem = problemOf(error)
    if (problem === undefined) return undefined
    const answer = style === 'api' ? apiError(problem) : plainText(problem)
    return problem.status === 503 || error instanceof TooManyPasswords ? { ...answer, headers: { 'retry-after': '1' } } : answer
  }
}

function apiError ({ code, message, status, detail, errors, meta }: Problem): WordedError {
  const more = { ...detail !== undefined && { detail }, ...errors !== undefined && { errors }, ...meta !== undefined && { meta } }
  return { statusCode: status, body: { code, message, status, ...more } }
}

function plainText ({ message, status, text = message, textStatus = status }: Problem): WordedError {
  return { statusCode: textStatus, body: text }
}

function problemOf (error: Error & { readonly code?: string, readonly statusCode?: number }): Problem | undefined {
  if (error instanceof Refused) return error.problem
  // What is over is gone, as the task was in the original: it has no word for it.
  if ([UploadNotFound, UploadComplete, UploadExpired].some(kind => error instanceof kind)) return notFound('Upload task').problem
  if (error instanceof UploadGone) return notFound(isLost(error) ? 'Upload task metadata' : 'Upload task').problem
  if (error instanceof PasswordWrong || error instanceof PasswordRequired) return forbidden(error.message).problem
  if (error instanceof QuotaExceeded) return overQuota(Math.ceil(error.wanted / MIB), Math.floor(error.limit / MIB)).problem
  if (error instanceof UserRequired) return unauthorized().problem
  if (error instanceof ChecksumMismatch) return { status: 400, code: 'HASH_MISMATCH', message: 'The hash of the file does not match.' }
  if (error instanceof FormInvalid || error instanceof JsonInvalid) return invalid({ $: [error.message] }).problem
  if (isSchemaError(error)) return invalid({ [error.validation[0]?.instancePath.replace(/^\//, '') || '$']: [error.message] }).problem
  const known = CODES.find(([kind]) => error instanceof kind)
  if (known !== undefined) return { status: error.statusCode ?? 500, code: known[1], message: error.message }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return unsupported(error.message)
  if (error.code?.startsWith('FST_CHUNKED_UPLOAD_') !== true) return undefined
  return { ...badRequest(error.message).problem, status: error.statusCode ?? 400 }
}

const CODES: ReadonlyArray<readonly [kind: new (...values: never[]) => Error, code: string]> = [
  [LengthMismatch, 'CHUNK_SIZE_MISMATCH'],
  [SizeLimitExceeded, 'FILE_TOO_LARGE'],
  [FormTooLarge, 'FORM_TOO_LARGE'],
  [TypeNotAllowed, 'UNSUPPORTED_MEDIA_TYPE'],
  [TooManyUploads, 'TOO_MANY_TASKS'],
  [TooManyPasswords, 'TOO_MANY_PASSWORDS'],
  [BodyCut, 'BODY_CUT'],
  [BodyStalled, 'REQUEST_TIMEOUT'],
  [TakenOver, 'CONFLICT'],
  [UploadBusy, 'SERVICE_UNAVAILABLE'],
  [ShuttingDown, 'SERVICE_UNAVAILABLE'],
  [StorageTrouble, 'SERVICE_UNAVAILABLE'],
  [StorageFull, 'INSUFFICIENT_STORAGE'],
  [StorageUnusable, 'INTERNAL_SERVER_ERROR'],
  [LocationInvalid, 'INTERNAL_SERVER_ERROR']
]

/** The storage has lost the bytes. */
export function isLost (error: unknown): boolean {
  return error instanceof UploadGone && error.cause instanceof Error && error.cause.name === 'StorageLost'
}

function isSchemaError (error: Error): error is Error & { readonly validation: ReadonlyArray<{ readonly instancePath: string }> } {
  return 'validation' in error && Array.isArray(error.validation)
}

export function unsupported (message: string): Problem {
  return { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE', message }
}
