import type { Readable } from 'node:stream'
import { type BodyPace, PaceWatch } from '../../body-pace.js'
import { BodyStalled } from '../../errors.js'
import { BATCH_BYTES, BatchBuffer, BufferPool } from './batch-buffer.js'
import { BodyMemory } from './body-memory.js'

/** A slow body is handed on after so many ms, so that it neither waits in memory nor gets lost in a crash. */
const BATCH_DELAY = 20
/** Bytes that a body holds without a lane of memory, while there are lanes, and while there are none. */
const SMALL = 192 * 1024
const SMALLEST = 64 * 1024
/** A body that brought nothing for so many ms lets go as soon as another request asks politely. */
const YIELD_IDLE = 1000

/**
 * Why a body ended: `end` all of it came; `cut` the connection broke; `overflow` it is longer than allowed; `stalled` it came
 * too slowly; `taken` another request wants the upload; `shutdown` the server stops; `refused` a limit holds back what came;
 * `lost` the lock is gone; `abandoned` the reader stopped reading.
 */
export type BodyEnd = 'end' | 'cut' | 'overflow' | 'stalled' | 'taken' | 'shutdown' | 'refused' | 'lost' | 'abandoned'

/** A body that is too slow by its pace ends as `stalled`. */
export interface BodySourceOptions extends BodyPace {
  /** Bytes; one more ends the body as `overflow`. */
  readonly limit: number
  /** Buffers that bodies share. */
  readonly buffers?: BufferPool
  /** How much bodies may hold together. */
  readonly memory?: BodyMemory
}

/**
 * A request body as batches for storage. It never throws: whatever goes wrong ends it, what came until then is handed on,
 * and {@link ended} says why. The stream itself is left paused, neither destroyed nor drained: that is up to the owner of the connection.
 */
export class BodyReader implements AsyncIterable<readonly Uint8Array[]> {
  /** Undefined while the body flows. `end` may still turn into `cut`. */
  ended: BodyEnd | undefined
  /** What broke the body, for `cut` and `stalled`. */
  cause: unknown
  /** Bytes taken over so far, never more than the limit. */
  bytes = 0

  readonly #body: Readable
  readonly #limit: number
  readonly #batches: BatchBuffer
  readonly #memory: BodyMemory
  #released = 0
  #hasLane = false
  #leaveLine: (() => void) | undefined
  #batchDue = false
  #deliver: (() => void) | undefined
  #begin: ((begun: boolean) => void) | undefined
  #lastByteAt = performance.now()
  #paused = false
  #watch: PaceWatch | undefined
  #batchTimer: NodeJS.Timeout | undefined
  #batchTimerRuns = false
  #yieldTimer: NodeJS.Timeout | undefined

  constructor (body: Readable, { limit, buffers = new BufferPool(), memory = new BodyMemory(), ...pace }: BodySourceOptions) {
    this.#body = body
    this.#batches = new BatchBuffer(buffers)
    this.#limit = limit
    this.#memory = memory
    // Stays to the end of the stream: a late error of one that is no longer read must not end the process.
    body.on('error', this.#onCut)
    if (body.readableEnded) this.#end('end')
    else if (body.destroyed) this.#onCut(body.errored ?? undefined)
    else {
      this.#watch = new PaceWatch(pace, this.#onLate)
      body.on('data', this.#onData).on('end', this.#onEnd).on('aborted', this.#onAborted).on('close', this.#onCut)
      body.resume()
    }
  }

  /** True as soon as a byte has come, false when the body ended without one. */
  async begins (): Promise<boolean> {
    if (this.bytes > 0) return true
    if (this.ended !== undefined) return false
    return await new Promise<boolean>(resolve => { this.#begin = resolve })
  }

  /** Ends the body now. What came so far still reaches storage, unless it is `refused`, the lock `lost`, the reader gone (`abandoned`). */
  stop (why: Exclude<BodyEnd, 'end'>): void {
    this.#end(why)
    // All of it may have come before.
    if (why === 'refused') this.#batches.drop()
  }

  /** Storage no longer needs the body's first `bytes` bytes: their memory may be used again. */
  release (bytes: number): void {
    this.#batches.release(bytes)
    this.#released = Math.max(this.#released, Math.min(bytes, this.bytes))
    if (this.#held > 0) return
    this.#giveLane()
    this.#resumeIfRoom()
  }

  /** Storage and checksum have done with the body, whatever became of it. */
  close (): void {
    this.#leaveLine?.()
    this.#leaveLine = undefined
    this.#giveLane()
  }

  /** Another request of the same upload asks politely: a body that idles lets go, one that flows goes on until it idles. */
  yieldWhenIdle (): void {
    if (this.ended !== undefined) return
    clearTimeout(this.#yieldTimer)
    const idle = this.#paused ? 0 : performance.now() - this.#lastByteAt
    if (idle >= YIELD_IDLE) this.#end('taken')
    else this.#yieldTimer = setTimeout(() => { this.yieldWhenIdle() }, Math.ceil(YIELD_IDLE - idle)).unref()
  }

  [Symbol.asyncIterator] (): AsyncIterator<readonly Uint8Array[]> {
    return {
      next: async () => {
        if (this.#batches.bytes === 0 || !(this.#batchDue || this.#full || this.ended !== undefined)) await this.#nextBatch()
        const batch = this.#takeBatch()
        return batch === undefined ? { done: true, value: undefined } : { done: false, value: batch }
      },
      return: async () => {
        this.#end('abandoned')
        return { done: true, value: undefined }
      }
    }
  }

  get #full (): boolean {
    return this.#batches.bytes >= BATCH_BYTES
  }

  /** Resolves when a batch is due or the body has ended. */
  async #nextBatch (): Promise<void> {
    if (this.ended !== undefined) return
    await new Promise<void>(resolve => { this.#deliver = resolve })
  }

  #takeBatch (): readonly Uint8Array[] | undefined {
    if (this.#batches.bytes === 0) return undefined
    const batch = this.#batches.take()
    this.#batchDue = false
    this.#resumeIfRoom()
    return batch
  }

  /** Bytes that are gathered, or that storage still needs. */
  get #held (): number {
    return this.bytes - this.#released
  }

  #resumeIfRoom (): void {
    const waitsForMemory = this.#leaveLine !== undefined && this.#held > 0
    if (!this.#paused || this.ended !== undefined || this.#full || waitsForMemory) return
    this.#paused = false
    this.#lastByteAt = performance.now()
    this.#watch?.resume()
    this.#body.resume()
  }

  #pause (): void {
    this.#paused = true
    this.#watch?.pause()
    this.#body.pause()
  }

  /** True when the body may hold what it holds now. @returns false: it gets in line for a lane */
  #hasMemory (): boolean {
    if (this.#hasLane || this.#held <= (this.#memory.isScarce ? SMALLEST : SMALL)) return true
    this.#hasLane = this.#memory.take()
    if (this.#hasLane) {
      this.#leaveLine?.()
      this.#leaveLine = undefined
      return true
    }
    this.#leaveLine ??= this.#memory.wait(() => {
      this.#leaveLine = undefined
      this.#hasLane = true
      // It may hold nothing by now, and bring nothing for long.
      if (this.#held === 0) this.#giveLane()
      else this.#resumeIfRoom()
    })
    return false
  }

  #giveLane (): void {
    if (!this.#hasLane) return
    this.#hasLane = false
    this.#memory.give()
  }

  #wake (): void {
    const deliver = this.#deliver
    this.#deliver = undefined
    deliver?.()
  }

  readonly #onData = (data: Uint8Array): void => {
    if (data.length === 0) return
    this.#lastByteAt = performance.now()
    this.#watch?.took(data.length)
    const room = this.#limit - this.bytes
    const taken = data.length > room ? data.subarray(0, room) : data
    if (taken.length > 0) {
      this.#batches.add(taken)
      this.bytes += taken.length
      this.#tellBegin(true)
    }
    if (taken.length < data.length) this.#end('overflow')
    else if (this.#full) {
      if (this.#deliver !== undefined) this.#wake()
      else this.#pause()
    } else if (!this.#hasMemory()) {
      this.#pause()
      // What is there goes to storage now: then there is room for more.
      this.#batchDue = true
      this.#wake()
    } else if (!this.#batchTimerRuns) {
      this.#batchTimerRuns = true
      this.#batchTimer = this.#batchTimer?.refresh() ?? setTimeout(this.#onBatchDue, BATCH_DELAY).unref()
    }
  }

  readonly #onBatchDue = (): void => {
    this.#batchTimerRuns = false
    if (this.#batches.bytes === 0) return
    this.#batchDue = true
    this.#wake()
  }

  readonly #onLate = (error: Error): void => {
    this.cause ??= error
    this.#end('stalled')
  }

  readonly #onEnd = (): void => { this.#end('end') }

  readonly #onCut = (error?: unknown): void => {
    // The error itself comes only after 'aborted'.
    if (this.ended === undefined || this.ended === 'cut') this.cause ??= error
    // The reader of the form around a body may be the first to see that nothing comes any more.
    this.#end(error instanceof BodyStalled ? 'stalled' : 'cut')
  }

  /**
   * Comes before the error, if one comes at all. It may even come after the end: a sender on HTTP/2 that gives up may first end
   * its body in form. Until a reader has relied on that end, it is a cut.
   */
  readonly #onAborted = (): void => {
    if (this.ended === 'end') this.ended = 'cut'
    else this.#end('cut')
  }

  #tellBegin (begun: boolean): void {
    const begin = this.#begin
    this.#begin = undefined
    begin?.(begun)
  }

  #end (why: BodyEnd): void {
    if (this.ended !== undefined) return
    this.ended = why
    this.#watch?.stop()
    clearTimeout(this.#batchTimer)
    clearTimeout(this.#yieldTimer)
    this.#leaveLine?.()
    this.#leaveLine = undefined
    this.#body.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onCut)
    if (why !== 'end' && !this.#body.destroyed) this.#body.pause()
    if (why === 'lost' || why === 'abandoned') this.#batches.drop()
    this.#tellBegin(false)
    this.#wake()
  }
}
