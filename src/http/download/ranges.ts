import type { ByteRange } from '../../upload.js'

/** Ranges that one request may ask for once those that touch are one: more is taken for an attempt to cause work. */
const MOST_RANGES = 50

/**
 * What a Range header asks of `size` bytes (RFC 9110, section 14): ranges that overlap or touch become one, in the order of the request.
 * Empty when none of them can be had (416). Undefined when the header is to be ignored: another unit, malformed, or too many ranges.
 *
 * `range-parser` gives other answers up to 1.3: a suffix longer than the file, an empty element of the list, or a range that runs
 * backwards beside a good one; from 2.0 on it needs Node 22.
 */
export function parseRange (header: string, size: number): readonly ByteRange[] | undefined {
  const [, list] = /^\s*bytes\s*=(.*)$/is.exec(header) ?? []
  if (list === undefined) return undefined
  const ranges: ByteRange[] = []
  for (const spec of list.split(',')) {
    const text = spec.trim()
    if (text === '') continue
    const [, first, last] = /^(\d*)-(\d*)$/.exec(text) ?? []
    if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
    if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
    const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
    const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
    if (start < end) ranges.push([start, end])
  }
  if (ranges.length === 0) return list.trim() === '' ? undefined : []
  const combined = combine(ranges)
  return combined.length > MOST_RANGES ? undefined : combined
}

function combine (ranges: readonly ByteRange[]): readonly ByteRange[] {
  const found: Array<{ start: number, end: number, index: number }> = []
  const sorted = ranges.map(([start, end], index) => ({ start, end, index })).sort((a, b) => a.start - b.start)
  for (const range of sorted) {
    const previous = found.at(-1)
    if (previous === undefined || range.start > previous.end) found.push(range)
    else {
      previous.end = Math.max(previous.end, range.end)
      previous.index = Math.min(previous.index, range.index)
    }
  }
  return found.sort((a, b) => a.index - b.index).map(({ start, end }) => [start, end])
}
