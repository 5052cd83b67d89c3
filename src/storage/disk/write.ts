import fs from 'node:fs'
import { StorageShort } from '../contract.js'

/** What one call hands to the kernel at most: IOV_MAX of Linux, macOS and the BSDs. */
const maxBuffers = 1024
/** Two keep the disk busy while the next batch is gathered; more would only hold memory. */
const maxInFlight = 2
/** Batches whose memory is not free again: one write that hangs must not let the others gather memory meanwhile. */
const maxHeld = 4
/** Bytes between two syncs. */
const syncInterval = 64 * 1024 * 1024

export interface WriterOptions {
  readonly confirm: (end: number) => void
  readonly release?: (end: number) => void
  readonly durable: boolean
  /** Bytes that the file has at the start, as far as the record says. Default: 0 */
  readonly stored?: number
}

interface Piece {
  end: number
  done: boolean
  failed: boolean
}

/**
 * Writes batches one after the other from byte `start` of an open file, and confirms strictly in order. With `durable`
 * bytes are confirmed once they are on the disk, else once the operating system has them.
 *
 * When a write fails, the bytes before the failure are confirmed, then the system's error is thrown. Nothing is in
 * flight any more when the promise settles, so the descriptor may be closed.
 * @throws {StorageShort} the file was cut meanwhile: the next batch would only hide it behind a hole
 */
export async function writeBatches (
  fd: number,
  start: number,
  batches: AsyncIterable<readonly Uint8Array[]>,
  options: WriterOptions
): Promise<void> {
  const writer = new OrderedWriter(fd, start, options)
  const iterator = batches[Symbol.asyncIterator]()
  for (;;) {
    const next = await writer.unlessFailed(iterator.next())
    if (next === undefined) {
      // Not awaited: the source may be waiting for a slow client.
      iterator.return?.().catch(() => {})
      break
    }
    if (next.done === true) break
    await writer.submit(next.value)
  }
  await writer.end()
}

class OrderedWriter {
  readonly #fd: number
  readonly #confirm: (end: number) => void
  readonly #release: (end: number) => void
  readonly #durable: boolean
  readonly #stored: number
  readonly #start: number
  /** Writes that are not confirmed, in the order of the file. */
  #pieces: Piece[] = []
  #inFlight = 0
  #position: number
  #contiguous: number
  #confirmed: number
  #syncing = false
  /** A failed sync may have dropped bytes, and the next one would not know: then nothing more can be confirmed. */
  #syncFailed = false
  #failure: { readonly error: unknown } | undefined
  #wake = (): void => {}

  constructor (fd: number, start: number, { confirm, release = () => {}, durable, stored = 0 }: WriterOptions) {
    this.#fd = fd
    this.#release = release
    this.#stored = stored
    this.#start = start
    this.#position = this.#contiguous = this.#confirmed = start
    this.#confirm = confirm
    this.#durable = durable
  }

  /** What `source` resolves to, or undefined as soon as a write has failed. */
  async unlessFailed<T> (source: Promise<T>): Promise<T | undefined> {
    try {
      return await new Promise<T | undefined>((resolve, reject) => {
        this.#wake = () => { if (this.#failure !== undefined) resolve(undefined) }
        source.then(resolve, reject)
        this.#wake()
      })
    } catch (error) {
      this.#failure ??= { error }
      return undefined
    }
  }

  /** Starts to write a batch, once there is room for it. */
  async submit (batch: readonly Uint8Array[]): Promise<void> {
    const hasRoom = (): boolean => this.#inFlight < maxInFlight && this.#pieces.length < maxHeld
    await this.#until(() => hasRoom() || this.#failure !== undefined)
    const buffers = batch.filter(buffer => buffer.byteLength > 0)
    if (buffers.length === 0 || this.#failure !== undefined || !await this.#hasAll()) return
    const piece: Piece = { end: this.#position, done: false, failed: false }
    this.#position += buffers.reduce((bytes, buffer) => bytes + buffer.byteLength, 0)
    this.#pieces.push(piece)
    this.#inFlight++
    this.#write(piece, buffers)
  }

  /** Waits for everything under way, confirms the rest, and throws what went wrong. */
  async end (): Promise<void> {
    await this.#until(() => this.#inFlight === 0 && !this.#syncing)
    if (this.#contiguous > this.#confirmed && !this.#syncFailed) {
      this.#sync()
      await this.#until(() => !this.#syncing)
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** False when the file is shorter than it was. What is in flight may lie after the cut: then nothing can be seen of it. */
  async #hasAll (): Promise<boolean> {
    if (this.#inFlight > 0 || this.#contiguous === this.#start) return true
    const expected = Math.max(this.#stored, this.#contiguous)
    const size = await new Promise<number | undefined>(resolve => {
      fs.fstat(this.#fd, (error, stats) => { resolve(error === null ? stats.size : undefined) })
    })
    if (size === undefined || size >= expected) return true
    this.#failure ??= { error: new StorageShort(size, expected) }
    return false
  }

  #write (piece: Piece, buffers: Uint8Array[]): void {
    const head = buffers.length > maxBuffers ? buffers.slice(0, maxBuffers) : buffers
    fs.writev(this.#fd, head, piece.end, (error, bytes) => {
      if (error !== null) return this.#settle(piece, error)
      if (bytes === 0) return this.#settle(piece, new Error('The file takes no more bytes'))
      piece.end += bytes
      const rest = withoutBytes(buffers, bytes)
      if (rest.length > 0) this.#write(piece, rest)
      else this.#settle(piece)
    })
  }

  #settle (piece: Piece, error?: Error): void {
    this.#inFlight--
    piece.done = true
    if (error !== undefined) {
      piece.failed = true
      this.#failure ??= { error }
    }
    while (this.#pieces[0]?.done === true) {
      const first = this.#pieces[0]
      this.#contiguous = first.end
      // What comes after a hole is never confirmed.
      this.#pieces = first.failed ? [] : this.#pieces.slice(1)
    }
    if (!this.#durable) this.#confirmTo(this.#contiguous)
    else {
      this.#release(this.#contiguous)
      if (this.#contiguous - this.#confirmed >= syncInterval && !this.#syncing && !this.#syncFailed) this.#sync()
    }
    this.#wake()
  }

  #sync (): void {
    const target = this.#contiguous
    this.#syncing = true
    fs.fdatasync(this.#fd, error => {
      this.#syncing = false
      if (error === null) {
        this.#confirmTo(target)
      } else {
        this.#syncFailed = true
        this.#failure ??= { error }
      }
      this.#wake()
    })
  }

  #confirmTo (end: number): void {
    if (end <= this.#confirmed) return
    this.#confirmed = end
    try {
      this.#confirm(end)
    } catch (error) {
      this.#failure ??= { error }
    }
  }

  async #until (reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>(resolve => { this.#wake = resolve })
  }
}

function withoutBytes (buffers: Uint8Array[], count: number): Uint8Array[] {
  let index = 0
  for (const buffer of buffers) {
    if (count < buffer.byteLength) break
    count -= buffer.byteLength
    index++
  }
  const rest = buffers.slice(index)
  if (count > 0 && rest[0] !== undefined) rest[0] = rest[0].subarray(count)
  return rest
}
