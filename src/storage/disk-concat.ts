import { open } from 'node:fs/promises'
import { StorageLost } from './contract.js'
import { codeOf } from './disk-paths.js'

const bufferSize = 1024 * 1024
/** Two batches may be with the writer while the third is filled. */
const bufferCount = 3

/**
 * The whole of `files`, one behind the other, as batches of one buffer, until `signal` aborts. A buffer is used again once two more
 * batches were asked for.
 * @throws {StorageLost} when a file is missing or has not its size
 */
export async function * filesAsBatches (
  files: ReadonlyArray<{ readonly file: string, readonly size: number }>, signal: AbortSignal
): AsyncGenerator<Uint8Array[]> {
  const buffers = Array.from({ length: bufferCount }, () => Buffer.allocUnsafeSlow(bufferSize))
  let turn = 0
  for (const { file, size } of files) {
    const handle = await open(file, 'r').catch(error => {
      throw codeOf(error) === 'ENOENT' ? new StorageLost('A part is gone', { cause: error }) : error
    })
    try {
      for (let position = 0; position < size;) {
        const buffer = buffers[turn++ % bufferCount]
        if (buffer === undefined || signal.aborted) return
        const { bytesRead } = await handle.read(buffer, 0, Math.min(bufferSize, size - position), position)
        if (bytesRead === 0) throw new StorageLost(`A part has ${position} of ${size} bytes`)
        position += bytesRead
        yield [buffer.subarray(0, bytesRead)]
      }
    } finally {
      await handle.close()
    }
  }
}
