import { Worker } from 'node:worker_threads'
import type { Storage } from '../storage/contract.js'
import { StorageLost } from '../storage/contract.js'
import type { ChecksumState, Upload } from '../upload.js'
import type { Checksums } from './checksum.js'
import type { HashAnswer, HashTask } from './checksum-worker.js'
import workerUrl from './worker-url.cjs'

/** Bytes a single task of the worker reads: uploads that wait take turns after so many. */
const SLICE_BYTES = 64 * 1024 * 1024
/** Bytes up to which reading here is cheaper than telling the worker. */
const INLINE_BYTES = 1024 * 1024

/**
 * Reads stored bytes back into a running checksum: for bytes that came out of order, or whose checksum state did not survive.
 * The hashing happens in a worker thread, which starts with the first use and never keeps the process alive.
 */
export class ChecksumReader {
  readonly #storage: Storage
  readonly #checksums: Checksums
  readonly #waiting = new Map<number, (answer: HashAnswer) => void>()
  #worker: Worker | undefined
  #broken = false
  #tasks = 0

  constructor (storage: Storage, checksums: Checksums) {
    this.#storage = storage
    this.#checksums = checksums
  }

  /**
   * The checksum state at byte `to`, going on from `from`. All bytes up to `to` must have been received.
   * Ends early, at a smaller offset, when `signal` aborts.
   * @throws {StorageLost} when the storage ends before `to`
   */
  async advance (upload: Upload, algorithm: string, from: ChecksumState | null, to: number, signal?: AbortSignal): Promise<ChecksumState> {
    let state = (await this.#checksums.resume(algorithm, from)).save()
    let path = this.#storage.localPath?.(upload)
    while (state.offset < to && signal?.aborted !== true) {
      const end = Math.min(to, state.offset + SLICE_BYTES)
      const next = path !== undefined && end - state.offset > INLINE_BYTES && !this.#broken
        ? await this.#hash({ algorithm, state, source: { path, to: end } })
        : await this.#stream(upload, algorithm, state, end)
      if (next === undefined) {
        path = undefined
        continue
      }
      if (next.offset === state.offset) throw new StorageLost(`upload ${upload.id} ends at byte ${next.offset}, expected ${to}`)
      state = next
    }
    return state
  }

  async close (): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#broken = true
    await worker?.terminate()
    this.#failWaiting('closed')
  }

  async #stream (upload: Upload, algorithm: string, from: ChecksumState, to: number): Promise<ChecksumState> {
    let state = from
    for await (const bytes of this.#storage.read(upload, [from.offset, to])) {
      const next = to - from.offset > INLINE_BYTES && !this.#broken ? await this.#hash({ algorithm, state, source: { bytes } }) : undefined
      if (next !== undefined) state = next
      else {
        const running = await this.#checksums.resume(algorithm, state)
        running.update([bytes])
        state = running.save()
      }
    }
    return state
  }

  /**
   * Undefined when it cannot be done this way: there is no worker to be had, as a host may be bundled without its file, or the file is
   * not at its path, as a finish that crashed may have moved it on. The caller then reads through the storage.
   */
  async #hash (task: Omit<HashTask, 'id'>): Promise<ChecksumState | undefined> {
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
