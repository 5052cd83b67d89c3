import { Worker } from 'node:worker_threads'
import type { ChecksumState } from '../../upload.js'
import type { HashAnswer, HashTask } from './hash-worker.js'
import { type HashPurpose, HashQueue } from './hash-queue.js'
import workerUrl from './worker-url.cjs'

/** ms until a thread is started again after it failed, as it may have been for want of file descriptors or memory. */
const RETRY_AFTER = 2000

/** A task for the thread. */
export interface HashOffer {
  /**
   * The state after the task; undefined when it cannot be done this way: it was withdrawn, the file to read is not at its path, or there is
   * no worker to be had, as a host may be bundled without its file.
   */
  readonly state: Promise<ChecksumState | undefined>
  /** Takes the task back, unless the thread has begun with it. */
  withdraw (): void
}

interface Pending {
  readonly task: HashTask
  readonly resolve: (state: ChecksumState | undefined) => void
  readonly reject: (error: Error) => void
}

/** A thread that hashes off the event loop. It starts with the first use and never keeps the process alive. */
export class HashThread {
  readonly #queue = new HashQueue<Pending>()
  #worker: Worker | undefined
  #current: Pending | undefined
  /** As `performance.now()`; Infinity for a thread that is closed, or whose file is not there. */
  #usableFrom = 0

  /** False once it is closed, and for a while after it failed. */
  get usable (): boolean {
    return performance.now() >= this.#usableFrom
  }

  /** Has a task done. Those of bodies go first, so that tasks which read files should be short. */
  offer (task: HashTask, purpose: HashPurpose): HashOffer {
    let withdraw = (): void => {}
    const state = new Promise<ChecksumState | undefined>((resolve, reject) => {
      const pending = { task, resolve, reject }
      withdraw = () => { if (this.#queue.delete(pending)) resolve(undefined) }
      this.#queue.add(pending, purpose)
    })
    this.#next()
    return { state, withdraw }
  }

  async close (): Promise<void> {
    const worker = this.#worker
    this.#fail(Infinity)
    await worker?.terminate()
  }

  /** Gives the thread one task at a time: what is more urgent may come before the next. */
  #next (): void {
    if (this.#current !== undefined) return
    const worker = this.#worker ?? this.#start()
    if (worker === undefined) return this.#fail(this.#usableFrom)
    this.#current = this.#queue.next()
    if (this.#current === undefined) {
      worker.unref()
      return
    }
    worker.ref()
    worker.postMessage(this.#current.task)
  }

  #start (): Worker | undefined {
    if (!this.usable) return undefined
    let worker: Worker
    try {
      worker = new Worker(workerUrl('hash-worker'))
    } catch {
      this.#usableFrom = performance.now() + RETRY_AFTER
      return undefined
    }
    worker.unref()
    worker.on('message', (answer: HashAnswer) => {
      // What the host preloads into each thread may send messages of its own.
      if (!('state' in answer || 'error' in answer)) return
      const current = this.#current
      if (worker !== this.#worker || current === undefined) return
      this.#current = undefined
      this.#next()
      settle(current, answer)
    })
    const onGone = (usableFrom: number): void => {
      if (worker === this.#worker) this.#fail(usableFrom)
    }
    worker.on('error', error => { onGone(isMissing(error) ? Infinity : performance.now() + RETRY_AFTER) })
    worker.on('exit', () => { onGone(performance.now() + RETRY_AFTER) })
    this.#worker = worker
    return worker
  }

  /** All tasks are to be done otherwise. */
  #fail (usableFrom: number): void {
    const lost = [...this.#current === undefined ? [] : [this.#current], ...this.#queue.clear()]
    this.#worker = undefined
    this.#current = undefined
    this.#usableFrom = usableFrom
    for (const { resolve } of lost) resolve(undefined)
  }
}

function settle ({ resolve, reject }: Pending, answer: HashAnswer): void {
  if ('state' in answer) resolve(answer.state)
  else if (answer.code === 'ENOENT') resolve(undefined)
  else reject(Object.assign(new Error(answer.error), answer.code !== undefined && { code: answer.code }))
}

/** True when there is no file to run: a bundler has left it out. */
function isMissing (error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND')
}
