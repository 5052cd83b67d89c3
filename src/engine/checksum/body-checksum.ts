import type { ChecksumState } from '../../upload.js'
import type { RunningChecksum } from './running-checksum.js'
import type { HashThread, HashOffer } from './hash-thread.js'

/** Batches that may wait for the thread: one is hashed, the next one is at hand. */
const WAITING_BATCHES = 2

/**
 * The upload's checksum, growing with one body. Large batches lie in memory that is shared with a thread, which hashes them while
 * storage writes them; what is small, lies elsewhere, or would have to wait for the thread, is hashed here.
 */
export class BodyChecksum {
  /** Told the state after each batch, in order. */
  onHashed: (state: ChecksumState) => void = () => {}

  readonly #running: RunningChecksum
  readonly #algorithm: string
  readonly #thread: HashThread
  readonly #kept: (state: ChecksumState) => ChecksumState
  #waiting = 0
  #last: Promise<void> = Promise.resolve()
  #wake = (): void => {}
  #offer: HashOffer | undefined

  /** @param kept the state as a record may hold it */
  constructor (
    running: RunningChecksum, algorithm: string, thread: HashThread, kept: (state: ChecksumState) => ChecksumState = state => state
  ) {
    this.#running = running
    this.#algorithm = algorithm
    this.#thread = thread
    this.#kept = kept
  }

  /** Takes the batch that follows, whose bytes must stay as they are until it is hashed. Resolves when there is room for another. */
  async take (batch: readonly Uint8Array[]): Promise<void> {
    if (this.#waiting === 0 && !this.#isForThread(batch)) {
      this.#hashHere(batch)
      return
    }
    this.#waiting++
    this.#waitForNoOther()
    this.#last = this.#last.then(async () => { await this.#hash(batch) })
    while (this.#waiting >= WAITING_BATCHES) await new Promise<void>(resolve => { this.#wake = resolve })
  }

  /** Resolves when all that was taken is hashed. */
  async settled (): Promise<void> {
    await this.#last
  }

  async #hash (batch: readonly Uint8Array[]): Promise<void> {
    const state = this.#isForThread(batch) ? await this.#hashThere(batch) : undefined
    if (state === undefined) this.#hashHere(batch)
    else {
      this.#running.goTo(state)
      this.onHashed(this.#kept(state))
    }
    this.#waiting--
    this.#wake()
  }

  #hashHere (batch: readonly Uint8Array[]): void {
    this.#running.update(batch)
    this.onHashed(this.#kept(this.#running.save()))
  }

  async #hashThere (batch: readonly Uint8Array[]): Promise<ChecksumState | undefined> {
    this.#offer = this.#thread.offer({ algorithm: this.#algorithm, state: this.#running.save(), source: { batch } }, 'body')
    this.#waitForNoOther()
    try {
      return await this.#offer.state
    } catch {
      return undefined
    } finally {
      this.#offer = undefined
    }
  }

  /** With as many batches as may wait, what the thread has not begun with, as it is busy with other uploads, is hashed here. */
  #waitForNoOther (): void {
    if (this.#waiting >= WAITING_BATCHES) this.#offer?.withdraw()
  }

  /** Other memory would be copied to the thread. */
  #isForThread (batch: readonly Uint8Array[]): boolean {
    return this.#thread.usable && batch.every(({ buffer }) => buffer instanceof SharedArrayBuffer)
  }
}
