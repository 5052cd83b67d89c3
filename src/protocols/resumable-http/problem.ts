import type { RouteSetting, WordedError } from '../../http/routing/routes.js'
import {
  BeyondSize, BodyStalled, OffsetMismatch, ShuttingDown, SizeConflict, StorageTrouble, TakenOver, TooManyUploads, UploadBusy,
  UploadComplete, UploadExpired, UploadGone, UploadIncomplete
} from '../../errors.js'
import { type InteropVersion, type ProblemType, versionOf } from './versions.js'

export const PARTIAL_UPLOAD = 'application/partial-upload'

const TYPES = 'https://iana.org/assignments/http-problem-types#'
const TITLES: Readonly<Record<ProblemType, string>> = {
  'mismatching-upload-offset': 'The offset of the request is not the one of the upload',
  'inconsistent-upload-length': 'The lengths that the requests tell do not agree',
  'completed-upload': 'The upload is complete'
}

/** A rule of the draft that the request breaks, or an option of ours that forbids what the draft would allow. */
export class Refusal extends Error {
  constructor (
    readonly statusCode: number,
    message: string,
    readonly problem?: ProblemType,
    readonly headers: Readonly<Record<string, string>> = {}
  ) { super(message) }
}

export const inconsistentLength = (message: string): Refusal => new Refusal(400, message, 'inconsistent-upload-length')
export const wrongMediaType = (): Refusal => {
  return new Refusal(415, `An append must be of type ${PARTIAL_UPLOAD}`, undefined, { 'accept-patch': PARTIAL_UPLOAD })
}

/** The one place where errors get their words: problem details (RFC 9457). Those of the host's hooks are the host's. */
export const wordError: NonNullable<RouteSetting['wordError']> = (error, request): WordedError | undefined => {
  const { code = '', message, statusCode = 500 } = error
  if (!(error instanceof Refusal) && !code.startsWith('FST_CHUNKED_UPLOAD_') && code !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return undefined
  const version = versionOf(request)
  const status = statusOf(error, statusCode, version)
  const problem = problemOf(error, version)
  const known = problem !== undefined && version.problems.has(problem) ? problem : undefined
  const { connection, ...headers } = headersOf(error)
  return {
    statusCode: status,
    headers: {
      ...headers,
      ...connection !== undefined && request.raw.httpVersionMajor === 1 && { connection },
      'content-type': 'application/problem+json'
    },
    // As bytes, since Fastify gives texts a charset, which JSON does not have.
    body: Buffer.from(JSON.stringify({
      ...known === undefined ? { title: message } : { type: TYPES + known, title: TITLES[known] },
      status,
      ...known !== undefined && { detail: message },
      ...error instanceof OffsetMismatch && { 'expected-offset': error.expected, 'provided-offset': error.provided }
    }))
  }
}

function statusOf (error: Error, status: number, version: InteropVersion): number {
  if (error instanceof UploadExpired || error instanceof UploadGone) return version.gone
  // Clients resume after 409, 413, 423, 429 and 5xx, and give up after other 4xx.
  if (error instanceof UploadBusy || error instanceof TakenOver) return 423
  if (error instanceof BodyStalled) return 503
  return problemOf(error, version) === undefined || error instanceof OffsetMismatch ? status : 400
}

function problemOf (error: Error, { problems }: InteropVersion): ProblemType | undefined {
  if (error instanceof Refusal) return error.problem
  if (error instanceof OffsetMismatch) return 'mismatching-upload-offset'
  if (error instanceof UploadComplete) return problems.has('completed-upload') ? 'completed-upload' : 'inconsistent-upload-length'
  const disagrees = error instanceof SizeConflict || error instanceof BeyondSize || error instanceof UploadIncomplete
  return disagrees ? 'inconsistent-upload-length' : undefined
}

function headersOf (error: Error): Readonly<Record<string, string>> {
  if (error instanceof Refusal) return error.headers
  if (error instanceof OffsetMismatch) return { 'upload-offset': String(error.expected) }
  // After so long a silence the connection is taken for dead.
  if (error instanceof BodyStalled) return { 'retry-after': '1', connection: 'close' }
  const later = [UploadBusy, TakenOver, ShuttingDown, StorageTrouble, TooManyUploads].some(kind => error instanceof kind)
  return later ? { 'retry-after': '1' } : {}
}
