import type { ByteRange } from '../../upload.js'

/** `ranges` (sorted, disjoint) with `added` merged in; touching ranges become one. */
export function addRange (ranges: readonly ByteRange[], added: ByteRange): readonly ByteRange[] {
  let [start, end] = added
  if (start >= end) return ranges
  const before: ByteRange[] = []
  const after: ByteRange[] = []
  for (const range of ranges) {
    if (range[1] < start) before.push(range)
    else if (range[0] > end) after.push(range)
    else {
      start = Math.min(start, range[0])
      end = Math.max(end, range[1])
    }
  }
  return [...before, [start, end], ...after]
}

/** `ranges` without the bytes of `removed`. */
export function removeRange (ranges: readonly ByteRange[], [start, end]: ByteRange): readonly ByteRange[] {
  if (!overlaps(ranges, [start, end])) return ranges
  return ranges.flatMap(([from, to]): ByteRange[] => {
    const left: ByteRange = [from, Math.min(to, start)]
    const right: ByteRange = [Math.max(from, end), to]
    return [left, right].filter(([first, last]) => first < last)
  })
}

/** True when every byte of `wanted` is in `ranges`. */
export function covers (ranges: readonly ByteRange[], [start, end]: ByteRange): boolean {
  return start >= end || ranges.some(range => range[0] <= start && range[1] >= end)
}

/** The gaps of `ranges` between 0 and `size`, in order. */
export function missingRanges (ranges: readonly ByteRange[], size: number): ByteRange[] {
  const missing: ByteRange[] = []
  let position = 0
  for (const [start, end] of ranges) {
    if (start > position) missing.push([position, Math.min(start, size)])
    position = end
    if (position >= size) return missing
  }
  if (position < size) missing.push([position, size])
  return missing
}

/** How many bytes `ranges` hold together. */
export function countBytes (ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0)
}

/** Where the gap that has byte `position` ends, Infinity after the last range; undefined when the byte is in `ranges`. */
export function gapAt (ranges: readonly ByteRange[], position: number): number | undefined {
  for (const [start, end] of ranges) {
    if (position < start) return start
    if (position < end) return undefined
  }
  return Infinity
}

/** True when `ranges` have at least one byte of `wanted`. */
export function overlaps (ranges: readonly ByteRange[], [start, end]: ByteRange): boolean {
  return start < end && ranges.some(range => range[0] < end && start < range[1])
}
