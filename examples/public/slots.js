/** Lets a few run at once; the others wait in line. */
export class Slots {
  #free
  #line = []

  constructor (count) {
    this.#free = count
  }

  /** Resolves with a function that gives the slot back. Rejects when `signal` aborts first. */
  async take (signal) {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free--
    else {
      await new Promise((resolve, reject) => {
        this.#line.push(resolve)
        signal.addEventListener('abort', () => {
          if (!this.#line.includes(resolve)) return
          this.#line.splice(this.#line.indexOf(resolve), 1)
          reject(signal.reason)
        }, { once: true })
      })
    }
    let held = true
    return () => {
      if (!held) return
      held = false
      const next = this.#line.shift()
      if (next) next()
      else this.#free++
    }
  }
}
