import { setMaxListeners } from 'node:events'
import { OffsetMismatch, ShuttingDown, UploadBusy, UploadNotFound } from '../../errors.js'
import type { Claim, Locks } from '../../locks/contract.js'
import { type ByteRange, type Upload, offsetOf } from '../../upload.js'
import type { Caller } from '../caller.js'
import { Lease, type LeaseRequest, withLock } from './lease.js'
import { ReservedRanges } from './reserved-ranges.js'
import { isUploadId, type UploadRecords } from '../records/upload-records.js'

export interface UploadLockRequest {
  /** What is asked of the holders of the upload. */
  readonly claim: Exclude<Claim, 'wait'>
  /** Takes only these bytes: others may work on other ranges of the upload. Left out: takes the whole upload. */
  readonly range?: ByteRange | undefined
}

/** Gives the requests of an upload their turns, and knows all that are under way. */
export class UploadLocks {
  readonly #locks: Locks
  readonly #records: UploadRecords
  /** ms */
  readonly #timeout: number
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  readonly #inFlight = new ReservedRanges()

  constructor (locks: Locks, records: UploadRecords, timeout: number) {
    this.#locks = locks
    this.#records = records
    this.#timeout = timeout
    // Every request that waits for a lock listens.
    setMaxListeners(0, this.#stopping.signal)
  }

  /** Aborts when the engine stops: no more turns are given. */
  get stopping (): AbortSignal {
    return this.#stopping.signal
  }

  /**
   * Runs `work` under the upload's lock, on the record as it is then.
   * @throws {UploadNotFound} {@link UploadBusy} {@link ShuttingDown}, {@link OffsetMismatch} when another works on a part of the range
   */
  async withUpload<T> (
    caller: Caller, id: string, request: UploadLockRequest, work: (upload: Upload, lease: Lease) => Promise<T>
  ): Promise<T> {
    if (!isUploadId(id)) throw new UploadNotFound()
    let entered = false
    const enter = async (claim: Claim, timeout: number): Promise<T> => {
      const lease = new Lease()
      const inside = async (): Promise<T> => {
        entered = true
        return await work(await this.#records.get(caller, id), lease)
      }
      const { range } = request
      if (range === undefined) return await this.#lease(id, { mode: 'exclusive', claim, timeout }, lease, inside)
      // The start has a lock, by which equal requests of all servers wait for each other; what overlaps otherwise is a client's mistake.
      return await this.#lease(id, { mode: 'shared', claim, timeout }, lease, () =>
        this.#lease(`${id}.${range[0]}`, { mode: 'exclusive', claim, timeout }, lease, () => this.#alone(caller, id, range, inside)))
    }
    try {
      // Mostly the lock is free: then one look at the record is enough.
      return await enter('wait', 0)
    } catch (error) {
      if (entered || !isBusy(error)) throw error
    }
    // A caller that may not see the upload must not disturb those that work on it.
    await this.#records.get(caller, id)
    return await enter(request.claim, this.#timeout)
  }

  /** Runs `work` under the upload's lock if that is free; undefined when it is not. Disturbs no other request. */
  async tryWithUpload<T> (id: string, work: () => Promise<T>): Promise<T | undefined> {
    let entered = false
    try {
      return await this.#lease(id, { mode: 'exclusive', claim: 'wait', timeout: 0 }, new Lease(), async () => {
        entered = true
        return await work()
      })
    } catch (error) {
      if (entered || !isBusy(error)) throw error
      return undefined
    }
  }

  /**
   * Runs `work` beside the bodies of an upload, if no operation has it exclusively and none does the same `job`. The signal aborts as soon
   * as an operation wants the upload exclusively, or the engine stops.
   */
  async withShared (id: string, job: string, work: (stopped: AbortSignal, lease: Lease) => Promise<void>): Promise<void> {
    const stop = new AbortController()
    const lease = new Lease()
    lease.listen(() => { stop.abort() })
    const free = { claim: 'wait', timeout: 0 } as const
    try {
      await this.#lease(`${id}.${job}`, { ...free, mode: 'exclusive' }, lease, () =>
        this.#lease(id, { ...free, mode: 'shared' }, lease, () => work(AbortSignal.any([stop.signal, this.stopping]), lease)))
    } catch (error) {
      if (!isBusy(error)) throw error
    }
  }

  /** Runs `work` under a lock of any other name, once its holder is done. */
  async serialize<T> (key: string, work: () => Promise<T>): Promise<T> {
    return await this.#lease(key, { mode: 'exclusive', claim: 'wait', timeout: this.#timeout }, new Lease(), work)
  }

  /** Runs what needs no lock, but must have come to its end before the engine stops. */
  async trackInFlight<T> (work: () => Promise<T>): Promise<T> {
    if (this.stopping.aborted) throw new ShuttingDown()
    const running = work()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Gives no more turns; operations that wait for one get {@link ShuttingDown}. */
  stop (): void {
    this.#stopping.abort()
  }

  /** Resolves when all turns have ended. */
  async ended (): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  async #alone<T> (caller: Caller, id: string, range: ByteRange, work: () => Promise<T>): Promise<T> {
    const release = this.#inFlight.reserve(id, range)
    if (release === undefined) throw new OffsetMismatch(offsetOf(await this.#records.get(caller, id)), range[0])
    try {
      return await work()
    } finally {
      release()
    }
  }

  async #lease<T> (key: string, request: Omit<LeaseRequest, 'key' | 'signal'>, lease: Lease, work: () => Promise<T>): Promise<T> {
    return await this.trackInFlight(() => withLock(this.#locks, { ...request, key, signal: this.stopping }, lease, work))
  }
}

function isBusy (error: unknown): boolean {
  return error instanceof UploadBusy
}
