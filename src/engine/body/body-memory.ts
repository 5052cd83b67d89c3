/** What one body at full speed holds at most: the batch that it gathers, and those that storage and checksum work on. */
const LANE_BYTES = 4 * 1024 * 1024

/** Bytes of memory for all bodies in flight together, where nothing else is said. */
export const BODY_MEMORY = 64 * 1024 * 1024

/**
 * The memory for all bodies together, in lanes. A body that holds more than a little needs a lane, and gives it back as soon as it holds
 * nothing. One that finds none goes on in small steps, each once its last one is stored, until it gets the lane of another.
 *
 * There is no deadlock: a body that waits for a lane holds none, and a body that has one needs nothing else to end. So a lane comes free,
 * also with a storage that lets go of bytes only after many of them: a body that then holds some has a lane, or gets one in its turn.
 */
export class BodyMemory {
  #free: number
  readonly #waiting = new Set<() => void>()

  /** @param bytes for all bodies together; one body at a time goes at full speed in any case */
  constructor (bytes = BODY_MEMORY) {
    this.#free = Math.max(1, Math.floor(bytes / LANE_BYTES))
  }

  /** True while there is no lane to take. */
  get isScarce (): boolean {
    return this.#free === 0
  }

  /** @returns false when there is no lane */
  take (): boolean {
    if (this.#free === 0) return false
    this.#free--
    return true
  }

  /** Waits in line for a lane, which belongs to the body from the call of `granted` on. @returns leaves the line */
  wait (granted: () => void): () => void {
    this.#waiting.add(granted)
    return () => { this.#waiting.delete(granted) }
  }

  /** Gives a lane back: it goes to the one that waits longest. */
  give (): void {
    const [next] = this.#waiting
    if (next === undefined) this.#free++
    else {
      this.#waiting.delete(next)
      next()
    }
  }
}
