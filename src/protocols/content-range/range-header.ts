import { SizeLimitExceeded } from '../../errors.js'
import { refuse } from './errors.js'

/** Where a chunk stands in its file; `length` may be negative where a client counted backwards. */
export interface ChunkRange {
  readonly start: number
  readonly length: number
  readonly total: number
}

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+)$/

/** Bytes of the chunk that a Content-Range names; undefined where it names none. */
export function chunkLength (header: string | undefined): number | undefined {
  const [, first, last] = CONTENT_RANGE.exec(header ?? '') ?? []
  return first === undefined || last === undefined ? undefined : Number(BigInt(last) - BigInt(first)) + 1
}

/**
 * `bytes 0-9/20` in exactly this form, as the original has it; undefined for any other. Numbers may have any length.
 * @param checkTotal throws where the total is beyond the limit
 * @param late leaves the limit to a later check, unless the total is no number to count with
 * @throws {Refusal} the chunk ends beyond the total {@link SizeLimitExceeded}
 */
export function parseContentRange (
  header: string | undefined, checkTotal: (total: number) => void, late: boolean
): ChunkRange | undefined {
  const [, first, last, whole] = CONTENT_RANGE.exec(header ?? '') ?? []
  if (first === undefined || last === undefined || whole === undefined) return undefined
  const [start, end, total] = [BigInt(first), BigInt(last), BigInt(whole)]
  if (end >= total) throw refuse(`End of chunk exceeds reported total (${total} bytes)`)
  const countable = total <= BigInt(Number.MAX_SAFE_INTEGER)
  if (!late || !countable) checkTotal(Number(total))
  if (!countable) throw new SizeLimitExceeded(Number.MAX_SAFE_INTEGER)
  return { start: Number(start), length: Number(end - start) + 1, total: Number(total) }
}
