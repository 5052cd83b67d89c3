import { BufferPool } from './batch-buffer.js'
import { BodyMemory } from './body-memory.js'
import type { BodyReader } from './body-reader.js'

/** All bodies that are under way, and what they share. */
export class BodiesInFlight {
  readonly buffers = new BufferPool()
  readonly memory: BodyMemory
  readonly #open = new Set<BodyReader>()
  #stopped = false

  /** @param bytes of memory for all of them together */
  constructor (bytes?: number) {
    this.memory = new BodyMemory(bytes)
  }

  add (body: BodyReader): void {
    this.#open.add(body)
    if (this.#stopped) body.stop('shutdown')
  }

  /** Storage and checksum have done with the body. */
  close (body: BodyReader): void {
    body.close()
    this.#open.delete(body)
  }

  /** Ends all that are under way and those that come; what came of them so far is saved. */
  stop (): void {
    this.#stopped = true
    for (const body of this.#open) body.stop('shutdown')
  }
}
