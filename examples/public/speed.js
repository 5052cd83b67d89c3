const SETTLE_SECONDS = 3

/** Bytes a second, smoothed: an exponential moving average whose weight follows the time between two looks. */
export class Speed {
  #last = null
  #value = null

  /** Call with the number of bytes sent so far, as often as it changes. */
  look (bytes, now = performance.now()) {
    if (this.#last === null || bytes < this.#last.bytes) {
      this.#last = { bytes, now }
      return
    }
    const seconds = (now - this.#last.now) / 1000
    if (seconds < 0.2) return
    const current = (bytes - this.#last.bytes) / seconds
    const weight = 1 - Math.exp(-seconds / SETTLE_SECONDS)
    this.#value = this.#value === null ? current : this.#value + weight * (current - this.#value)
    this.#last = { bytes, now }
  }

  /** Bytes a second; null until there is something to say. */
  get value () {
    return this.#value
  }
}
