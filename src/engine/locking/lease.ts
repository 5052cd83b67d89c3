import { ShuttingDown } from '../../errors.js'
import type { Claim, Lock, Locks } from '../../locks/contract.js'
import { toUploadError } from '../call-adapter.js'

/** What a holder hears of others that want its lock. */
export type HolderClaim = Exclude<Claim, 'wait'> | 'lost'

export interface LeaseRequest {
  /** The name of the lock. */
  readonly key: string
  readonly mode: 'exclusive' | 'shared'
  readonly claim: Claim
  /** ms */
  readonly timeout: number
  /** Aborts when the engine stops. */
  readonly signal: AbortSignal
}

/** The locks that one operation holds. A claim that comes before there is a listener is kept for it. */
export class Lease {
  #listener: ((claim: HolderClaim) => void) | undefined
  #claim: HolderClaim | undefined
  readonly #locks = new Set<Lock>()

  /** True once a lock was lost: nothing may be written or committed any more. Asks the locks. */
  get lost (): boolean {
    if (this.#claim === 'lost') return true
    for (const lock of this.#locks) {
      if (lock.held?.() !== false) continue
      this.onClaim('lost')
      return true
    }
    return false
  }

  add (lock: Lock): void {
    this.#locks.add(lock)
  }

  delete (lock: Lock): void {
    this.#locks.delete(lock)
  }

  listen (listener: (claim: HolderClaim) => void): void {
    this.#listener = listener
    if (this.#claim !== undefined) listener(this.#claim)
  }

  readonly onClaim = (claim: HolderClaim): void => {
    if (RANK[claim] > (this.#claim === undefined ? 0 : RANK[this.#claim])) this.#claim = claim
    this.#listener?.(claim)
  }
}

const RANK: Readonly<Record<HolderClaim, number>> = { yield: 1, stop: 2, lost: 3 }

/**
 * Runs `work` while holding the lock.
 * @throws {UploadBusy} when it did not come free in time
 */
export async function withLock<T> (
  locks: Locks, { key, ...request }: LeaseRequest, lease: Lease, work: () => Promise<T>
): Promise<T> {
  const lock = await locks.acquire(key, { ...request, onClaim: lease.onClaim }).catch((cause: unknown) => {
    throw request.signal.aborted ? new ShuttingDown() : toUploadError(cause)
  })
  lease.add(lock)
  try {
    return await work()
  } finally {
    lease.delete(lock)
    await lock.release()
  }
}
