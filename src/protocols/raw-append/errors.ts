import { StorageFull, UploadNotFound } from '../../errors.js'
import type { WordedError } from '../../http/routing/routes.js'

/** A refusal that only this contract knows. */
export class Refusal extends Error {
  constructor (message: string, readonly statusCode = 400) { super(message) }
}

/** A body without a byte. */
export function noData (): Refusal {
  return new Refusal('No video data provided')
}

export function wordError (error: Error & { readonly code?: string, readonly statusCode?: number }): WordedError | undefined {
  if (error instanceof UploadNotFound) return { statusCode: 404, body: { error: 'Video not found' } }
  if (error instanceof Refusal) return { statusCode: error.statusCode, body: { error: error.message } }
  // What is not ours is the host's to word: what its hooks throw, say.
  if (error.code?.startsWith('FST_CHUNKED_UPLOAD_') !== true || error.statusCode === undefined) return undefined
  const retry = error.statusCode === 503 || error instanceof StorageFull
  return { statusCode: error.statusCode, ...retry && { headers: { 'retry-after': '1' } }, body: { error: error.message } }
}
