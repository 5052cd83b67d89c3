import {
  BodyCut, BodyStalled, ChecksumMismatch, FormInvalid, FormTooLarge, JsonInvalid, LengthMismatch, LocationInvalid,
  PasswordRequired, PasswordWrong, QuotaExceeded, ShuttingDown, SizeLimitExceeded, StorageFull, StorageTrouble, StorageUnusable, TakenOver,
  TooManyPasswords, TooManyUploads, TypeNotAllowed, UploadBusy, UploadComplete, UploadExpired, UploadGone, UploadNotFound, UserRequired
} from '../../errors.js'
import { type ErrorAnswer, type ErrorRow, type ErrorTable, when, whenAny } from '../error-answer.js'
import type { ErrorStyle } from './options.js'
import { TaskRefusal, forbidden, invalid, notFound, overQuota, unauthorized } from './refusals.js'

const MIB = 1024 * 1024

/** The contract's answers, as ApiError objects or as the plain texts of its older days. */
export function errorsOf (style: ErrorStyle): ErrorTable {
  const as = (refusal: TaskRefusal): Partial<ErrorAnswer> => style === 'api'
    ? { statusCode: refusal.statusCode, code: refusal.code, message: refusal.message, facts: refusal.facts }
    : { statusCode: refusal.textStatus, message: refusal.text }
  const rows: readonly ErrorRow[] = [
    when(TaskRefusal, as),
    // What is over is gone, as the task was in the original: it has no word for it.
    whenAny([UploadNotFound, UploadComplete, UploadExpired], as(notFound('Upload task'))),
    when(UploadGone, error => as(notFound(isLost(error) ? 'Upload task metadata' : 'Upload task'))),
    when(PasswordWrong, ({ message }) => as(forbidden(message))),
    when(PasswordRequired, ({ message }) => as(forbidden(message))),
    when(QuotaExceeded, ({ wanted, limit }) => as(overQuota(Math.ceil(wanted / MIB), Math.floor(limit / MIB)))),
    when(UserRequired, as(unauthorized())),
    when(ChecksumMismatch, { statusCode: 400, code: 'HASH_MISMATCH', message: 'The hash of the file does not match.' }),
    when(FormInvalid, ({ message }) => as(invalid({ $: [message] }))),
    when(JsonInvalid, ({ message }) => as(invalid({ $: [message] }))),
    error => isSchemaError(error) ? as(invalid({ [fieldOf(error)]: [error.message] })) : undefined,
    ...CODES.map(([kind, code]) => when(kind, { code })),
    error => codeOf(error) === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' ? { code: 'UNSUPPORTED_MEDIA_TYPE' } : undefined,
    error => codeOf(error).startsWith('FST_CHUNKED_UPLOAD_') ? { code: 'BAD_REQUEST' } : undefined
  ]
  return {
    rows,
    body: ({ statusCode, code, message, facts }) => ({
      body: style === 'api' ? { code, message, status: statusCode, ...facts } : message
    })
  }
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

type SchemaError = Error & { readonly validation: ReadonlyArray<{ readonly instancePath: string }> }

function isSchemaError (error: Error): error is SchemaError {
  return 'validation' in error && Array.isArray(error.validation)
}

function fieldOf ({ validation }: SchemaError): string {
  return validation[0]?.instancePath.replace(/^\//, '') || '$'
}

function codeOf (error: Error & { readonly code?: string }): string {
  return error.code ?? ''
}
