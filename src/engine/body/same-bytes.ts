import type { Readable } from 'node:stream'

/** True when two streams of equal length bring the same bytes. Both are closed afterwards. */
export async function sameBytes (one: Readable, other: Readable): Promise<boolean> {
  // It may fail before it is asked for its first bytes.
  other.on('error', () => {})
  try {
    const others = other[Symbol.asyncIterator]()
    let rest: Uint8Array = new Uint8Array()
    for await (const bytes of one) {
      for (let left: Uint8Array = bytes; left.length > 0;) {
        if (rest.length === 0) {
          const next: IteratorResult<Uint8Array> = await others.next()
          if (next.done === true) return false
          rest = next.value
        }
        const length = Math.min(left.length, rest.length)
        if (Buffer.compare(left.subarray(0, length), rest.subarray(0, length)) !== 0) return false
        left = left.subarray(length)
        rest = rest.subarray(length)
      }
    }
    return true
  } finally {
    one.destroy()
    other.destroy()
  }
}
