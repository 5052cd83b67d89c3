import { JsonInvalid } from '../../http/form.js'
import type { WordedError } from '../../http/routes.js'
import {
  FormInvalid, OffsetMismatch, SizeLimitExceeded, StorageFull, UploadComplete, UploadGone, UploadNotFound
} from '../../errors.js'

/** An answer that only this protocol has. */
export class Refusal extends Error {
  constructor (readonly statusCode: number, readonly body: object) {
    super(JSON.stringify(body))
  }
}

export function unsupportedType (contentType = ''): Refusal {
  return new Refusal(415, { detail: `Unsupported media type "${contentType}" in request.` })
}

/** Errors of `POST upload/`. */
export function wordChunkError (error: Error): WordedError | undefined {
  if (error instanceof UploadNotFound || error instanceof UploadGone || error instanceof UploadComplete) {
    return { statusCode: 404, body: { error: 'Upload not found or already completed.' } }
  }
  if (error instanceof SizeLimitExceeded) return { statusCode: 400, body: { error: 'File size exceeds the limit.' } }
  if (error instanceof OffsetMismatch) return { statusCode: 400, body: { error: 'Offset does not match.', offset: error.expected } }
  return wordError(error)
}

/** Errors of the other routes. */
export function wordCompleteError (error: Error): WordedError | undefined {
  if (error instanceof UploadNotFound || error instanceof UploadGone) return { statusCode: 404, body: { error: 'Upload not found.' } }
  if (error instanceof UploadComplete) return { statusCode: 400, body: { error: 'Upload already completed.' } }
  return wordError(error)
}

function wordError (error: Error & { readonly code?: string, readonly statusCode?: number }): WordedError | undefined {
  if (error instanceof Refusal) return { statusCode: error.statusCode, body: error.body }
  if (error instanceof JsonInvalid) return { statusCode: 400, body: { detail: `JSON parse error - ${reasonOf(error)}` } }
  if (error instanceof FormInvalid) return { statusCode: 400, body: { detail: `Multipart form parse error - ${reasonOf(error)}` } }
  // What is not ours is the host's to word: what its hooks throw, say.
  if (error.code?.startsWith('FST_CHUNKED_UPLOAD_') !== true || error.statusCode === undefined) return undefined
  const retry = error.statusCode === 503 || error instanceof StorageFull
  return { statusCode: error.statusCode, ...retry && { headers: { 'retry-after': '1' } }, body: { error: error.message } }
}

function reasonOf (error: Error): string {
  return error.message.replace(/^Form is invalid: /, '')
}
