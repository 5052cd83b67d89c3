import { ShuttingDown } from '../errors.js'
import type { Claim, Lock, Locks } from '../locks/contract.js'
import { adapterError } from './records.js'

/** What a holder hears of others that want its lock. */
export type HolderClaim = Exclude<Claim, 'wait'> | 'lost'

export interface HoldRequest {
  readonly mode: 'exclusive' | 'shared'
  readonly claim: Claim
  /** ms */
  readonly timeout: number
}

/** The locks that one operation holds. A claim that comes before there is a listener is kept for it. */
export class Hold {
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
 * Runs `work` while holding the lock of `key`.
 * @throws {UploadBusy} when it did not come free in time
 */
export async function holding<T> (
  locks: Locks, key: string, request: HoldRequest, hold: Hold, signal: AbortSignal, work: () => Promise<T>
): Promise<T> {
  const lock = await locks.acquire(key, { ...request, signal, onClaim: hold.onClaim }).catch((cause: unknown) => {
    throw signal.aborted ? new ShuttingDown() : adapterError(cause)
  })
  hold.add(lock)
  try {
    return await work()
  } finally {
    hold.delete(lock)
    await lock.release()
  }
}
