import { Worker } from 'node:worker_threads'
import type { ChecksumState } from '../upload.js'
import type { HashAnswer, HashTask } from './checksum-worker.js'
import workerUrl from './worker-url.cjs'

/** A thread that hashes off the event loop. It starts with the first use and never keeps the process alive. */
export class ChecksumThread {
  readonly #waiting = new Map<number, (answer: HashAnswer) => void>()
  #worker: Worker | undefined
  #broken = false
  #tasks = 0

  /** False once it is closed, or turned out to be out of reach. */
  get usable (): boolean {
    return !this.#broken
  }

  /**
   * @returns the state after the task; undefined when it cannot be done this way: there is no worker to be had, as a host may be bundled
   * without its file, or the file to read is not at its path
   */
  async hash (task: Omit<HashTask, 'id'>): Promise<ChecksumState | undefined> {
    const worker = this.#worker ?? this.#start()
    if (worker === undefined) return undefined
    const id = ++this.#tasks
    const answer = await new Promise<HashAnswer>(resolve => {
      this.#waiting.set(id, resolve)
      worker.ref()
      worker.postMessage({ id, ...task } satisfies HashTask)
    })
    if ('state' in answer) return answer.state
    if (answer.code === 'ENOENT' || this.#broken) return undefined
    throw Object.assign(new Error(answer.error), answer.code !== undefined && { code: answer.code })
  }

  async close (): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#broken = true
    await worker?.terminate()
    this.#failWaiting('closed')
  }

  #start (): Worker | undefined {
    if (this.#broken) return undefined
    let worker: Worker
    try {
      worker = new Worker(workerUrl('checksum-worker'))
    } catch {
      this.#broken = true
      return undefined
    }
    worker.unref()
    worker.on('message', (answer: HashAnswer) => {
      const resolve = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if (this.#waiting.size === 0) worker.unref()
      resolve?.(answer)
    })
    const onGone = (reason: string): void => {
      this.#broken = true
      this.#worker = undefined
      this.#failWaiting(reason)
    }
    worker.on('error', error => { onGone(error.message) })
    worker.on('exit', code => { onGone(`exit ${code}`) })
    this.#worker = worker
    return worker
  }

  #failWaiting (error: string): void {
    for (const [id, resolve] of this.#waiting) resolve({ id, error })
    this.#waiting.clear()
  }
}
