import fc from 'fast-check'
import t from 'tap'
import { addRange, countBytes, covers, gapAt, missingRanges, overlaps } from '../../../src/engine/records/byte-ranges.js'
import { newUploadId } from '../../../src/engine/records/upload-id.js'
import type { ByteRange } from '../../../src/upload.js'

const SIZE = 40
const range = fc.tuple(fc.nat(SIZE), fc.nat(SIZE)).map(([a, b]): ByteRange => [Math.min(a, b), Math.max(a, b)])
const list = fc.array(range, { maxLength: 12 })

function bytesIn ([start, end]: ByteRange): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}

/** The same as the ranges, told byte by byte. */
function modelOf (ranges: readonly ByteRange[]): Set<number> {
  return new Set(ranges.flatMap(bytesIn))
}

function merged (ranges: readonly ByteRange[]): readonly ByteRange[] {
  return ranges.reduce<readonly ByteRange[]>(addRange, [])
}

t.test('ranges that were added hold the same bytes as a set, sorted and never touching', async () => {
  fc.assert(fc.property(list, ranges => {
    const result = merged(ranges)
    const model = modelOf(ranges)
    const bytes = result.flatMap(bytesIn)
    const tidy = result.every(([start, end], index) => start < end && start > (result[index - 1]?.[1] ?? -1))
    return tidy && bytes.length === model.size && bytes.every(byte => model.has(byte)) && countBytes(result) === model.size
  }))
})

t.test('what covers, overlaps, is missing, and where a gap ends agree with the set', async () => {
  fc.assert(fc.property(list, range, fc.nat(SIZE), (ranges, wanted, size) => {
    const result = merged(ranges)
    const model = modelOf(ranges)
    const inside = bytesIn(wanted)
    const missing = missingRanges(result, size).flatMap(bytesIn)
    const gap = gapAt(result, wanted[0])
    const next = [...model].filter(byte => byte >= wanted[0]).sort((a, b) => a - b)[0]
    return covers(result, wanted) === inside.every(byte => model.has(byte)) &&
      overlaps(result, wanted) === inside.some(byte => model.has(byte)) &&
      missing.join() === bytesIn([0, size]).filter(byte => !model.has(byte)).join() &&
      gap === (model.has(wanted[0]) ? undefined : next ?? Infinity)
  }))
})

t.test('adding nothing changes nothing', async t => {
  const ranges: ByteRange[] = [[2, 4]]
  t.equal(addRange(ranges, [3, 3]), ranges)
  t.strictSame(addRange([], [0, 0]), [])
})

t.test('invariant 9: ids are URL-safe, unique, and sort by their time', async t => {
  const ids = Array.from({ length: 1000 }, () => newUploadId())
  t.equal(new Set(ids).size, ids.length)
  t.ok(ids.every(id => /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/.test(id)))
  t.ok(newUploadId(1000) < newUploadId(1001))
  t.ok(newUploadId(Date.UTC(2026, 0, 1)) < newUploadId(Date.UTC(2126, 0, 1)))
})
