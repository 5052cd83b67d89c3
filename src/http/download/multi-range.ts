import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ByteRange } from '../../upload.js'

/** Several ranges of one file as the body of a 206 (RFC 9110, section 14.6). */
interface MultiRange {
  /** Of the whole body. */
  readonly contentType: string
  /** Bytes of the whole body. */
  readonly length: number
  readonly body: () => Readable
}

/**
 * @param contentType of the file
 * @param open the bytes of one range; called for one after the other
 */
export function multiRange (
  ranges: readonly ByteRange[], size: number, contentType: string, open: (range: ByteRange) => Promise<Readable>
): MultiRange {
  const boundary = randomBytes(18).toString('hex')
  const parts = ranges.map(range => {
    const head = `\r\n--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: ${contentRangeOf(range, size)}\r\n\r\n`
    return { range, head: Buffer.from(head, 'latin1') }
  })
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    length: parts.reduce((sum, { range, head }) => sum + head.length + range[1] - range[0], end.length),
    body: () => {
      let current: Readable | undefined
      const pieces = async function * (): AsyncGenerator<Uint8Array, void, undefined> {
        for (const { range, head } of parts) {
          yield head
          current = await open(range)
          yield * current
        }
        yield end
      }
      const body = Readable.from(pieces(), { objectMode: false })
      // The generator itself would only notice after the read that it waits for.
      return body.once('close', () => { current?.destroy() })
    }
  }
}

/** `Content-Range` of a 206. */
export function contentRangeOf ([start, end]: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`
}
