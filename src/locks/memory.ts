import { UploadBusy } from '../errors.js'
import type { Claim, Lock, LockRequest, Locks } from './contract.js'

/** The longest delay that a timer takes, about 25 days: beyond it setTimeout would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1

/**
 * Locks within one process: for one server alone, and for tests. Waiters are served strictly in the order in which they came;
 * a shared request behind a waiting exclusive one waits too, so that none starves.
 *
 * Claims: a new waiter's claim goes at once to all who hold the lock. A request that gets the lock while others wait with claims is
 * told the strongest of these in the next microtask, since those waiters spoke to the holder before. What `onClaim` throws is
 * ignored: a faulty holder must not take the lock down with it.
 */
export function memoryLocks (): Locks {
  const queues = new Map<string, LockQueue>()

  return {
    acquire (key, request) {
      return new Promise((resolve, reject) => {
        if (request.signal?.aborted === true) return reject(new UploadBusy())
        const queue = queues.get(key) ?? new LockQueue(() => queues.delete(key))
        if (queue.isFreeFor(request.mode)) {
          queues.set(key, queue)
          return resolve(queue.hold(request))
        }
        if (request.timeout <= 0) return reject(new UploadBusy())
        queue.wait(request, resolve, () => reject(new UploadBusy()))
      })
    }
  }
}

interface Holder {
  readonly request: LockRequest
}

interface Waiter {
  readonly request: LockRequest
  grant (lock: Lock): void
  /** Ends the waiting: no timer and no listener stays behind. */
  settle (): void
}

/** The holders of one key, and the requests that wait for it. */
class LockQueue {
  readonly #holders = new Set<Holder>()
  readonly #waiters = new Set<Waiter>()
  /** How many of the waiters make which claim: the strongest is found without walking the queue. */
  readonly #claims: Record<Claim, number> = { wait: 0, yield: 0, stop: 0 }
  readonly #onFree: () => void

  constructor (onFree: () => void) { this.#onFree = onFree }

  isFreeFor (mode: LockRequest['mode']): boolean {
    return this.#waiters.size === 0 && this.#admits(mode)
  }

  hold (request: LockRequest): Lock {
    return this.#lockOf(this.#admit(request))
  }

  wait (request: LockRequest, grant: (lock: Lock) => void, giveUp: () => void): void {
    const leave = () => {
      waiter.settle()
      giveUp()
      // The one who left may have been the exclusive request that kept shared ones waiting.
      this.#grantNext()
    }
    const timer = setTimeout(leave, Math.min(request.timeout, LONGEST_DELAY))
    timer.unref()
    request.signal?.addEventListener('abort', leave, { once: true })
    const waiter: Waiter = {
      request,
      grant,
      settle: () => {
        clearTimeout(timer)
        request.signal?.removeEventListener('abort', leave)
        this.#waiters.delete(waiter)
        this.#claims[request.claim]--
      }
    }
    this.#waiters.add(waiter)
    this.#claims[request.claim]++
    if (request.claim === 'wait') return
    for (const holder of [...this.#holders]) this.#tell(holder, request.claim)
  }

  #admit (request: LockRequest): Holder {
    const holder = { request }
    this.#holders.add(holder)
    return holder
  }

  #lockOf (holder: Holder): Lock {
    return {
      release: async () => {
        if (!this.#holders.delete(holder)) return
        this.#grantNext()
        if (this.#holders.size === 0) this.#onFree()
      }
    }
  }

  #admits (mode: LockRequest['mode']): boolean {
    const [first] = this.#holders
    return first === undefined || (mode === 'shared' && first.request.mode === 'shared')
  }

  #grantNext (): void {
    const admitted: Holder[] = []
    for (const waiter of this.#waiters) {
      if (!this.#admits(waiter.request.mode)) break
      waiter.settle()
      const holder = this.#admit(waiter.request)
      admitted.push(holder)
      waiter.grant(this.#lockOf(holder))
    }
    if (admitted.length === 0 || this.#waiters.size === 0) return
    // After the promise of the new holder has resolved, so that it knows that it holds.
    queueMicrotask(() => {
      for (const holder of admitted) {
        if (this.#claims.stop > 0) this.#tell(holder, 'stop')
        else if (this.#claims.yield > 0) this.#tell(holder, 'yield')
      }
    })
  }

  #tell (holder: Holder, claim: Exclude<Claim, 'wait'>): void {
    if (!this.#holders.has(holder)) return
    try {
      holder.request.onClaim(claim)
    } catch {}
  }
}
