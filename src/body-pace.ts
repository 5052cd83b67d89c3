import { BodyStalled } from './errors.js'

/** How slowly a body may come. A rule that is 0 or left out is off. */
export interface BodyPace {
  /** ms without a byte. */
  readonly stallTimeout: number
  /** Bytes a second, over each `stallTimeout` of time in which the server waits for the body; over a minute where that is 0. */
  readonly minRate?: number | undefined
  /** ms from the first look at the body to its end. */
  readonly maxBodyTime?: number | undefined
}

/** ms over which the rate is taken where no `stallTimeout` says so. */
const STRETCH = 60_000

/** Tells, once, that a body comes too slowly. Time in which its busy reader has paused it counts for `maxBodyTime` alone. */
export class PaceWatch {
  readonly #onLate: (error: Error) => void
  readonly #pace: BodyPace
  readonly #isPaused: () => boolean
  readonly #timers = new Set<NodeJS.Timeout>()
  #stallTimer: NodeJS.Timeout | undefined
  /** Bytes and ms of pauses since the rate was last looked at. */
  #bytes = 0
  #paused = 0
  #lookedAt = performance.now()
  #pausedAt: number | undefined

  /** @param isPaused true while a body may bring nothing. Default: what {@link pause} and {@link resume} say */
  constructor (pace: BodyPace, onLate: (error: Error) => void, isPaused = (): boolean => this.#pausedAt !== undefined) {
    this.#pace = pace
    this.#onLate = onLate
    this.#isPaused = isPaused
    const { stallTimeout, minRate = 0, maxBodyTime = 0 } = pace
    if (stallTimeout > 0) this.#stallTimer = this.#after(stallTimeout, this.#onStall)
    if (minRate > 0) this.#lookAfter(this.#stretch)
    if (maxBodyTime > 0) this.#after(maxBodyTime, () => { this.#late(`The body took longer than ${maxBodyTime} ms`) })
  }

  took (bytes: number): void {
    this.#bytes += bytes
    this.#stallTimer?.refresh()
  }

  pause (): void {
    this.#pausedAt ??= performance.now()
  }

  resume (): void {
    if (this.#pausedAt === undefined) return
    this.#paused += performance.now() - this.#pausedAt
    this.#pausedAt = undefined
    this.#stallTimer?.refresh()
  }

  stop (): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#stallTimer = undefined
  }

  get #stretch (): number {
    return this.#pace.stallTimeout || STRETCH
  }

  readonly #onStall = (): void => {
    if (this.#isPaused()) this.#stallTimer?.refresh()
    else this.#late(`No data for ${this.#pace.stallTimeout} ms`)
  }

  #lookAfter (ms: number): void {
    const timer = this.#after(ms, () => {
      this.#timers.delete(timer)
      this.#lookAtRate()
    })
  }

  #lookAtRate (): void {
    const { minRate = 0 } = this.#pace
    const now = performance.now()
    const waited = now - this.#lookedAt - this.#paused - (this.#pausedAt === undefined ? 0 : now - this.#pausedAt)
    const left = this.#stretch - waited
    // Timers may come a little early.
    if (left > 1) return this.#lookAfter(Math.max(left, this.#stretch / 10))
    if (this.#bytes * 1000 < minRate * waited) return this.#late(`Less than ${minRate} bytes a second`)
    this.#bytes = 0
    this.#paused = 0
    this.#lookedAt = now
    if (this.#pausedAt !== undefined) this.#pausedAt = now
    this.#lookAfter(this.#stretch)
  }

  #late (reason: string): void {
    this.stop()
    this.#onLate(new BodyStalled(reason))
  }

  #after (ms: number, work: () => void): NodeJS.Timeout {
    const timer = setTimeout(work, ms).unref()
    this.#timers.add(timer)
    return timer
  }
}
