import { serializeDictionary } from 'structured-headers'
import { SizeLimitExceeded } from '../../errors.js'
import type { Upload } from '../../upload.js'
import { Refusal } from '../refusal.js'
import type { ResumableHttpSettings } from './options.js'
import type { InteropVersion } from './versions.js'

/** Structured Fields have Integers of up to 15 digits. */
const LARGEST_INTEGER = 999_999_999_999_999

/**
 * Upload-Limit: what the server takes, and the seconds that the upload has left. Without any limit it says at least `min-size=0`.
 * @param maxSize bytes of a file; null for no limit
 * @param lifetime ms; null for ever
 */
export function uploadLimit (
  settings: ResumableHttpSettings, maxSize: number | null, version: InteropVersion, lifetime: number | null
): string {
  const { minSize, maxAppendSize, minAppendSize } = settings
  const members = {
    ...maxSize !== null && { 'max-size': maxSize },
    ...minSize > 0 && { 'min-size': minSize },
    ...maxAppendSize !== null && { 'max-append-size': maxAppendSize },
    ...minAppendSize > 0 && { 'min-append-size': minAppendSize },
    ...lifetime !== null && { [version.lifetime]: Math.max(0, Math.floor(lifetime / 1000)) }
  }
  const bounded = Object.entries(members).map(([name, value]) => [name, Math.min(value, LARGEST_INTEGER)] as const)
  return serializeDictionary(bounded.length === 0 ? { 'min-size': 0 } : Object.fromEntries(bounded))
}

/** ms until an upload expires; null for one that does not. */
export function lifetimeOf (upload: Upload): number | null {
  return upload.status === 'uploading' && upload.expiresAt !== null ? upload.expiresAt - Date.now() : null
}

/**
 * Holds the length that a request announces against the limits for one request. The last one may be short.
 * @throws {SizeLimitExceeded} {@link Refusal} 400
 */
export function checkAppendSize (length: number | undefined, last: boolean, { minAppendSize, maxAppendSize }: ResumableHttpSettings): void {
  if (length === undefined) return
  if (maxAppendSize !== null && length > maxAppendSize) throw new SizeLimitExceeded(maxAppendSize)
  if (!last && length < minAppendSize) throw new Refusal(400, `A request must bring at least ${minAppendSize} bytes, unless it is the last`)
}
