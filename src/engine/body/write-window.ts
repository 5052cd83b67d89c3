import { BeyondSize, OffsetMismatch, SizeConflict, SizeLimitExceeded, UploadGone } from '../../errors.js'
import { type UploadingUpload, lacksLost, offsetOf } from '../../upload.js'
import { gapAt } from '../records/byte-ranges.js'
import type { WriteRequest } from './write-request.js'

/** Where a body goes: its first byte in the file, and how many bytes it may bring. */
export interface WriteWindow {
  readonly start: number
  readonly limit: number
}

/** What the storage and the caller allow. */
export interface WindowRules {
  /** Largest file in bytes; null for no limit. */
  readonly maxBytes: number | null
  readonly anyOffset: boolean
}

/**
 * Finds the place of a body, before a byte of it is read: first whether the size of the file is acceptable, then whether the body
 * starts where it should, last whether it fits.
 * @throws {SizeConflict} {@link SizeLimitExceeded} {@link OffsetMismatch} {@link BeyondSize}, {@link UploadGone} for a body that goes
 * to the end, wherever that is, when acknowledged bytes were lost
 */
export function writeWindow (upload: UploadingUpload, request: WriteRequest, rules: WindowRules): WriteWindow {
  const { received } = upload
  const { length = 0, maxLength = Infinity } = request
  const maxBytes = rules.maxBytes ?? Infinity
  const offset = offsetOf(upload)
  const start = request.start === 'end' ? offset : request.start
  // A client that sends the next bytes without asking for the offset would leave out what was lost.
  if (request.start === 'end' && lacksLost(upload) && request.informed !== true) throw new UploadGone()

  if (request.size !== undefined && upload.size !== null && request.size !== upload.size) throw new SizeConflict(upload.size, request.size)
  const size = upload.size ?? request.size ?? Infinity
  if (size !== Infinity && size > maxBytes) throw new SizeLimitExceeded(maxBytes)
  if (size < (received.at(-1)?.[1] ?? 0)) throw new BeyondSize(size)

  const end = endOf(upload, start, request, rules)
  if (end === undefined) throw new OffsetMismatch(offset, start)

  if (length > maxLength) throw new SizeLimitExceeded(maxLength)
  if (start + length > maxBytes) throw new SizeLimitExceeded(maxBytes)
  if (start + length > size) throw new BeyondSize(size)
  return { start, limit: Math.min(size - start, maxBytes - start, end - start, request.length ?? Infinity, maxLength) }
}

/**
 * The byte before which a body from `start` has to end, so that it writes over nothing that is there unless it says so; undefined when it
 * may not start there.
 */
function endOf (upload: UploadingUpload, start: number, request: WriteRequest, { anyOffset }: WindowRules): number | undefined {
  const { received, chunkSize, size } = upload
  const { parallel = false, overwrite = false, length } = request
  const elsewhere = anyOffset && (parallel || overwrite)
  if (start < 0 || (start !== offsetOf(upload) && !elsewhere)) return undefined
  // Nothing is left to write, nor to overlap with: an empty body at the end asks for completion.
  if ((overwrite && anyOffset) || start === size) return Infinity
  const gap = gapAt(received, start)
  if (gap === undefined || start + (length ?? 0) > gap) return undefined
  return parallel && length === undefined && chunkSize !== null ? Math.min(gap, chunkEnd(start, chunkSize)) : gap
}

/** The byte before which the chunk of byte `position` ends, on a grid of `chunkSize`. */
export function chunkEnd (position: number, chunkSize: number): number {
  return (Math.floor(position / chunkSize) + 1) * chunkSize
}
