/** Bytes of a full batch. */
export const BATCH_BYTES = 1024 * 1024
/** What a stream may bring at once on top of a batch that is almost full. */
const SLACK_BYTES = 128 * 1024
/** A batch of more bytes than this is copied together; slow bodies stay below it and own no block. */
const COPY_FROM = 192 * 1024
/** Blocks that are kept for the next body. */
const KEPT_BLOCKS = 16

/**
 * Memory for batches, used again and again. Copying 64 KiB costs less than what the garbage collector does with buffers that are
 * held while they gather: those that are let go at once die young. It is shared memory, so that a thread can hash it where it is.
 */
export class BufferPool {
  readonly #free: Buffer[] = []

  take (): Buffer {
    return this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(BATCH_BYTES + SLACK_BYTES))
  }

  give (block: Buffer): void {
    if (this.#free.length < KEPT_BLOCKS) this.#free.push(block)
  }
}

/** Gathers what a body brings into batches for storage. */
export class BatchBuffer {
  /** Bytes in the batch that is being gathered. */
  bytes = 0

  readonly #buffers: BufferPool
  #block: Buffer | undefined
  #blockBytes = 0
  /** What follows the block, or all there is without one. */
  #list: Uint8Array[] = []
  /** Blocks that storage reads from, and where their bytes end in the body. */
  readonly #lent: Array<{ readonly block: Buffer, readonly end: number }> = []
  #taken = 0

  constructor (buffers: BufferPool) {
    this.#buffers = buffers
  }

  add (data: Uint8Array): void {
    if (this.#block === undefined && this.bytes + data.length > COPY_FROM && data.length <= SLACK_BYTES) {
      this.#block = this.#buffers.take()
      const gathered = this.#list
      this.#list = []
      for (const part of gathered) this.#append(part)
    }
    this.#append(data)
    this.bytes += data.length
  }

  /** The batch so far, in order. Its bytes stay as they are until {@link release}. */
  take (): readonly Uint8Array[] {
    const batch = this.#list
    this.#taken += this.bytes
    if (this.#block !== undefined) {
      batch.unshift(this.#block.subarray(0, this.#blockBytes))
      this.#lent.push({ block: this.#block, end: this.#taken })
      this.#block = undefined
      this.#blockBytes = 0
    }
    this.#list = []
    this.bytes = 0
    return batch
  }

  /** Storage no longer needs the bytes before `end`, counted from the start of the body. */
  release (end: number): void {
    for (let first = this.#lent[0]; first !== undefined && first.end <= end; first = this.#lent[0]) {
      this.#lent.shift()
      this.#buffers.give(first.block)
    }
  }

  /** Forgets the batch that is being gathered. */
  drop (): void {
    if (this.#block !== undefined) this.#buffers.give(this.#block)
    this.#block = undefined
    this.#blockBytes = 0
    this.#list = []
    this.bytes = 0
  }

  #append (data: Uint8Array): void {
    if (this.#block === undefined || this.#list.length > 0 || this.#blockBytes + data.length > this.#block.length) this.#list.push(data)
    else {
      this.#block.set(data, this.#blockBytes)
      this.#blockBytes += data.length
    }
  }
}
