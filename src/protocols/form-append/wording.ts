import type { FastifyRequest } from 'fastify'
import { formKind } from '../../http/body/form.js'
import type { WordedError } from '../../http/routing/routes.js'
import {
  FormInvalid, JsonInvalid, OffsetMismatch, SizeLimitExceeded, StorageFull, UploadComplete, UploadGone, UploadNotFound
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
export function wordChunkError (error: Error, request: FastifyRequest): WordedError | undefined {
  if (error instanceof UploadNotFound || error instanceof UploadGone || error instanceof UploadComplete) {
    return { statusCode: 404, body: { error: 'Upload not found or already completed.' } }
  }
  if (error instanceof SizeLimitExceeded) return { statusCode: 400, body: { error: 'File size exceeds the limit.' } }
  if (error instanceof OffsetMismatch) return { statusCode: 400, body: { error: 'Offset does not match.', offset: error.expected } }
  return wordError(error, request)
}

/** Errors of the other routes. */
export function wordCompleteError (error: Error, request: FastifyRequest): WordedError | undefined {
  if (error instanceof UploadNotFound || error instanceof UploadGone) return { statusCode: 404, body: { error: 'Upload not found.' } }
  if (error instanceof UploadComplete) return { statusCode: 400, body: { error: 'Upload already completed.' } }
  return wordError(error, request)
}

function wordError (
  error: Error & { readonly code?: string, readonly statusCode?: number }, request: FastifyRequest
): WordedError | undefined {
  if (error instanceof Refusal) return { statusCode: error.statusCode, body: error.body }
  if (error instanceof JsonInvalid || error instanceof FormInvalid) {
    const kind = formKind(request) === 'json' ? 'JSON' : 'Multipart form'
    return { statusCode: 400, body: { detail: `${kind} parse error - ${reasonOf(error)}` } }
  }
  // What is not ours is the host's to word: what its hooks throw, say.
  if (error.code?.startsWith('FST_CHUNKED_UPLOAD_') !== true || error.statusCode === undefined) return undefined
  const retry = error.statusCode === 503 || error instanceof StorageFull
  return { statusCode: error.statusCode, ...retry && { headers: { 'retry-after': '1' } }, body: { error: error.message } }
}

function reasonOf (error: Error): string {
  return error.message.replace(/^(?:Form|JSON) is invalid: /, '')
}
