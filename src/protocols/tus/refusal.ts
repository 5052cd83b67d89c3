import type { RouteSetting, WordedError } from '../../http/routing/routes.js'
import {
  BodyStalled, ChecksumMismatch, OffsetMismatch, ShuttingDown, StorageTrouble, TakenOver, TooManyUploads, UploadBusy
} from '../../errors.js'

/** A rule of tus that the request breaks, or an option of ours that forbids what tus would allow. */
export class Refusal extends Error {
  constructor (
    readonly statusCode: number, readonly code: string, message: string, readonly headers: Readonly<Record<string, string>> = {}
  ) { super(message) }
}

/** More final uploads than `most` would wait for one part. */
export class TooManyFinals extends Refusal {
  constructor (most: number) {
    super(429, 'CONCAT', `Upload-Concat names a part that ${most} unfinished uploads wait for: finish it first`, { 'retry-after': '5' })
  }
}

export const badHeader = (name: string, what: string): Refusal => new Refusal(400, 'HEADER', `${name} ${what}`)
export const wrongVersion = (): Refusal => new Refusal(412, 'VERSION', 'Tus-Resumable must be 1.0.0', { 'tus-version': '1.0.0' })
export const wrongContentType = (): Refusal => new Refusal(415, 'CONTENT_TYPE', 'Content-Type must be application/offset+octet-stream')

/** What an error of the engine is in tus, where its own status is not. */
function statusOf (error: Error, status: number): number {
  if (error instanceof ChecksumMismatch) return 460
  // Clients try again after 423 and 5xx, and give up after other 4xx.
  if (error instanceof UploadBusy || error instanceof TakenOver) return 423
  if (error instanceof BodyStalled) return 503
  return status
}

function headersOf (error: Error): Record<string, string> {
  if (error instanceof Refusal) return error.headers
  if (error instanceof OffsetMismatch) return { 'upload-offset': String(error.expected) }
  // After so long a silence the connection is taken for dead.
  if (error instanceof BodyStalled) return { 'retry-after': '1', connection: 'close' }
  const later = [UploadBusy, TakenOver, ShuttingDown, StorageTrouble, TooManyUploads].some(kind => error instanceof kind)
  return later ? { 'retry-after': '1' } : {}
}

/** The one place where errors get their words. Those of the host's hooks are the host's. */
export function wordErrors (format: 'text' | 'json'): NonNullable<RouteSetting['wordError']> {
  return (error, request): WordedError | undefined => {
    const { code = '', statusCode = 500, message } = error
    const own = /^FST_CHUNKED_UPLOAD_(.+)$/.exec(code)?.[1]
    if (own === undefined && !(error instanceof Refusal) && code !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return undefined
    const short = own ?? code
    const { connection, ...headers } = headersOf(error)
    return {
      statusCode: statusOf(error, statusCode),
      ...error instanceof ChecksumMismatch && { reason: 'Checksum Mismatch' },
      headers: {
        ...headers,
        ...connection !== undefined && request.raw.httpVersionMajor === 1 && { connection },
        'content-type': format === 'json' ? 'application/json; charset=utf-8' : 'text/plain; charset=utf-8'
      },
      body: format === 'json' ? { code: short, message } : `${short}: ${message}\n`
    }
  }
}
