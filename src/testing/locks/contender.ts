import type { Lock, LockRequest, Locks } from '../../locks/contract.js'

/** ms: far more than any test needs. The tests wait for events, never for time. */
export const PATIENCE = 20_000

/** One test: requests go to `a` and `b`, which are one instance or two on the same keys. */
export type LockCase = readonly [name: string, run: (a: Locks, b: Locks) => Promise<void>]

export const PATIENT = { mode: 'exclusive', claim: 'wait', timeout: PATIENCE, onClaim: () => {} } as const satisfies LockRequest

/** One request for a lock, and what it heard. */
export interface Contender {
  readonly granted: Promise<Lock>
  /** Undefined until granted. */
  lock: Lock | undefined
  readonly claims: string[]
  /** Resolves once the claim has come `times` times. */
  told (claim: string, times?: number): Promise<void>
  release (): Promise<void>
}

export function ask (locks: Locks, key: string, request: Partial<LockRequest> = {}): Contender {
  const claims: string[] = []
  const listeners = new Set<() => void>()
  const granted = locks.acquire(key, {
    ...PATIENT,
    ...request,
    onClaim: claim => {
      claims.push(claim)
      for (const listener of [...listeners]) listener()
    }
  })
  const contender: Contender = {
    granted,
    lock: undefined,
    claims,
    told: (claim, times = 1) => new Promise(resolve => {
      const look = () => {
        if (claims.filter(heard => heard === claim).length < times) return
        listeners.delete(look)
        resolve()
      }
      listeners.add(look)
      look()
    }),
    release: async () => { await (await granted).release() }
  }
  granted.then(lock => { contender.lock = lock }, () => {})
  return contender
}

export async function held (locks: Locks, key: string, request: Partial<LockRequest> = {}): Promise<Contender> {
  const contender = ask(locks, key, request)
  await contender.granted
  return contender
}

export function heldShared (locks: Locks, key: string): Promise<Contender> {
  return held(locks, key, { mode: 'shared' })
}
