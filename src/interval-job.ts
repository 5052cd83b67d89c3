/** ms from the start to the first sweep, at most: a server that is often started anew must sweep, too. */
const SOON = 60_000

/** Runs `sweep` soon after the start and every `interval` ms, never two at a time; null for never. Its timers keep no process alive. */
export class IntervalJob {
  readonly #interval: number | null
  readonly #sweep: () => Promise<void>
  readonly #soon: number
  #first: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  /**
   * @param sweep must not reject
   * @param soon ms until the first sweep at most
   */
  constructor (interval: number | null, sweep: () => Promise<void>, soon = SOON) {
    this.#interval = interval
    this.#sweep = sweep
    this.#soon = soon
  }

  start (): void {
    if (this.#interval === null) return
    // Servers that start together should not sweep at the same moment.
    this.#first = setTimeout(() => { this.#run() }, Math.min(this.#interval, this.#soon * (0.5 + Math.random() / 2))).unref()
    this.#timer = setInterval(() => { this.#run() }, this.#interval).unref()
  }

  /** Resolves when nothing runs any more. */
  async stop (): Promise<void> {
    clearTimeout(this.#first)
    clearInterval(this.#timer)
    await this.#running
  }

  #run (): void {
    this.#running ??= this.#sweep().finally(() => { this.#running = undefined })
  }
}
