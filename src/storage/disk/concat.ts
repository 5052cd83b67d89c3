import { open } from 'node:fs/promises'
import { StorageLost } from '../contract.js'
import { codeOf } from './paths.js'

const bufferSize = 1024 * 1024
/** Two batches may be with the writer while the third is filled. */
const bufferCount = 3

/** A few buffers that go round: each is filled again once the writer has said that it no longer reads from it, and not before. */
export class LentBuffers {
  readonly #free: Buffer[] = Array.from({ length: bufferCount }, () => Buffer.allocUnsafeSlow(bufferSize))
  /** What the writer reads from, and where its bytes end in the file. */
  readonly #lent: Array<{ readonly buffer: Buffer, readonly end: number }> = []
  #end = 0
  #closed = false
  #wake = (): void => {}

  /** A buffer to fill, as soon as one is free; undefined once the writer has ended. */
  async take (): Promise<Buffer | undefined> {
    while (!this.#closed) {
      const buffer = this.#free.pop()
      if (buffer !== undefined) return buffer
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
    return undefined
  }

  /** The first `bytes` bytes of a buffer that was taken, for the writer. */
  lend (buffer: Buffer, bytes: number): Buffer {
    this.#end += bytes
    this.#lent.push({ buffer, end: this.#end })
    return buffer.subarray(0, bytes)
  }

  /** The writer no longer reads what comes in front of byte `end` of the file. */
  release (end: number): void {
    for (let first = this.#lent[0]; first !== undefined && first.end <= end; first = this.#lent[0]) {
      this.#lent.shift()
      this.#free.push(first.buffer)
    }
    this.#wake()
  }

  /** The writer has ended, however it did. */
  close (): void {
    this.#closed = true
    this.#wake()
  }
}

/**
 * The whole of `files`, one after the other, as batches of one buffer out of `memory`, until `signal` aborts.
 * @throws {StorageLost} when a file is missing or has not its size
 */
export async function * filesAsBatches (
  files: ReadonlyArray<{ readonly file: string, readonly size: number }>, memory: LentBuffers, signal: AbortSignal
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  for (const { file, size } of files) {
    const handle = await open(file, 'r').catch(error => {
      throw codeOf(error) === 'ENOENT' ? new StorageLost('A part is gone', { cause: error }) : error
    })
    try {
      for (let position = 0; position < size;) {
        const buffer = await memory.take()
        if (buffer === undefined || signal.aborted) return
        const { bytesRead } = await handle.read(buffer, 0, Math.min(bufferSize, size - position), position)
        if (bytesRead === 0) throw new StorageLost(`A part has ${position} of ${size} bytes`)
        position += bytesRead
        yield [memory.lend(buffer, bytesRead)]
      }
    } finally {
      await handle.close()
    }
  }
}
