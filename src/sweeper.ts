/** Runs `sweep` every `interval` ms, never two at a time; null for never. Its timer keeps no process alive. */
export class Sweeper {
  readonly #interval: number | null
  readonly #sweep: () => Promise<void>
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  /** @param sweep must not reject */
  constructor (interval: number | null, sweep: () => Promise<void>) {
    this.#interval = interval
    this.#sweep = sweep
  }

  start (): void {
    if (this.#interval !== null) this.#timer = setInterval(() => { this.#run() }, this.#interval).unref()
  }

  /** Resolves when nothing runs any more. */
  async stop (): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
  }

  #run (): void {
    this.#running ??= this.#sweep().finally(() => { this.#running = undefined })
  }
}
