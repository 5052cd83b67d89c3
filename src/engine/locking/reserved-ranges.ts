import type { ByteRange } from '../../upload.js'

/** The ranges that bodies of one process are writing, side by side: they never overlap. */
export class ReservedRanges {
  readonly #ranges = new Map<string, Set<ByteRange>>()

  /** @returns gives the range back; undefined when another body is writing there */
  reserve (id: string, range: ByteRange): (() => void) | undefined {
    const ranges = this.#ranges.get(id) ?? new Set<ByteRange>()
    for (const other of ranges) {
      if (other[0] < range[1] && range[0] < other[1]) return undefined
    }
    this.#ranges.set(id, ranges.add(range))
    return () => {
      ranges.delete(range)
      if (ranges.size === 0) this.#ranges.delete(id)
    }
  }
}
