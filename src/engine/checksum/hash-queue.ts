/** Tasks of bodies in a row after which a task that reads a file has its turn. */
const MOST_BODIES = 8

/** What a task is for: a body that comes in, whose client waits for each batch, or a file that is read back. */
export type HashPurpose = 'body' | 'file'

/**
 * The order of tasks for the one thread that hashes: bodies first, and files that are read back in turns, one of them after a number of
 * bodies at the latest.
 */
export class HashQueue<T> {
  readonly #waiting: Readonly<Record<HashPurpose, Set<T>>> = { body: new Set(), file: new Set() }
  #bodies = 0

  add (task: T, purpose: HashPurpose): void {
    this.#waiting[purpose].add(task)
  }

  /** @returns false if the task no longer waits */
  delete (task: T): boolean {
    return this.#waiting.body.delete(task) || this.#waiting.file.delete(task)
  }

  /** Takes out the next task. */
  next (): T | undefined {
    const { body, file } = this.#waiting
    const purpose = body.size > 0 && (this.#bodies < MOST_BODIES || file.size === 0) ? 'body' : 'file'
    this.#bodies = purpose === 'body' ? this.#bodies + 1 : 0
    const [task] = this.#waiting[purpose]
    if (task !== undefined) this.#waiting[purpose].delete(task)
    return task
  }

  /** Takes out all of them. */
  clear (): T[] {
    const all = [...this.#waiting.body, ...this.#waiting.file]
    this.#waiting.body.clear()
    this.#waiting.file.clear()
    return all
  }
}
