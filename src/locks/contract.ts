/**
 * Exclusion between requests, on one node or many. One lock may be held by one exclusive or by many
 * shared holders. Waiters are served in the order in which they came.
 */
export interface Locks {
  /** Local folder of the locks, where there is one: no upload may come there. */
  readonly directory?: string
  /**
   * Called once, when the plugin registers. Throws where nothing that is asked for later could work (a folder that cannot be written):
   * then the server does not start. Trouble that may pass, such as a full disk or a service that is away, is no reason.
   */
  prepare?(): Promise<void>
  /**
   * Resolves once the lock is held. The claim reaches every current holder at once through its `onClaim`, without polling.
   * @throws {UploadBusy} when the lock was not had within `timeout` ms, or `signal` aborted
   */
  acquire (key: string, request: LockRequest): Promise<Lock>
  /** Called when the plugin closes. Only for what the adapter itself opened. */
  close?(): Promise<void>
}

/** `wait`: says nothing to the holder. `yield`: asks it to let go if it idles. `stop`: asks it to let go now. */
export type Claim = 'wait' | 'yield' | 'stop'

export interface LockRequest {
  readonly mode: 'exclusive' | 'shared'
  readonly claim: Claim
  /** Milliseconds to wait; 0 takes a free lock or fails, without a claim. */
  readonly timeout: number
  readonly signal?: AbortSignal
  /**
   * Told, while holding, that another wants the lock (one that asks now, or that was waiting already when this one got it; then
   * the strongest claim of those); or that the lock is `lost` (a lease ran out, the service is gone)
   * and nothing may be committed any more. May be called more than once, never after `release`.
   */
  onClaim (claim: Exclude<Claim, 'wait'> | 'lost'): void
}

export interface Lock {
  /**
   * False once the lock may be another's. The engine asks before each batch that it writes, before each save and after it, so the answer
   * has to be quick. Left out by locks that cannot be lost, or tell of each loss through `onClaim` before another gets the lock.
   */
  held?(): boolean
  /** Idempotent. Never throws: a lock that cannot be given back runs out by itself. */
  release (): Promise<void>
}
