import type { Claim, Lock, LockRequest } from '../contract.js'
import type { ArbiterMessage, MemberMessage, Connection } from './connection.js'
import { memoryLocks } from '../memory.js'

export type MemberPeer = Connection<MemberMessage, ArbiterMessage>

/** What is asked of the arbiter. */
export interface Asked {
  readonly key: string
  readonly mode: LockRequest['mode']
  readonly claim: Claim
  /** Take a free lock or fail. */
  readonly now: boolean
  /** Granted already, by an arbiter that has died. */
  readonly held: boolean
}

/** What becomes of it. */
export interface Answer {
  granted(): void
  refused(): void
  claimed(claim: Exclude<Claim, 'wait'> | 'lost'): void
}

/**
 * Decides for all processes who holds what, with locks in its own memory; what members hold ends with their connections.
 * Until it presides it only listens: members tell what they hold, and their requests wait.
 */
export class Leader {
  /** For the arbiter's own process too, once it presides. */
  readonly locks = memoryLocks()
  #phase: 'off' | 'gathering' | 'presiding' = 'off'
  readonly #peers = new Set<MemberPeer>()
  /** Names of the members that have said what they hold. */
  readonly #heard = new Set<string>()
  readonly #listeners = new Set<() => void>()
  #postponed: Array<() => void> = []
  readonly #mayDecide: () => boolean

  /** @param mayDecide asked before each grant: false once another process may be deciding, too */
  constructor (mayDecide: () => boolean) {
    this.#mayDecide = mayDecide
  }

  /** From now on members may introduce themselves. */
  gather (): void {
    this.#phase = 'gathering'
  }

  /** Serves what was asked meanwhile, and everything from now on. */
  preside (): void {
    this.#phase = 'presiding'
    const postponed = this.#postponed
    this.#postponed = []
    for (const serve of postponed) serve()
  }

  /** Sends all members away: another process decides. */
  step (): void {
    this.#phase = 'off'
    this.#postponed = []
    this.#heard.clear()
    for (const peer of this.#peers) peer.close()
  }

  /** Resolves once the member has said what it holds. */
  heard (name: string): Promise<void> {
    return new Promise(resolve => {
      const look = () => {
        if (!this.#heard.has(name)) return
        this.#listeners.delete(look)
        resolve()
      }
      this.#listeners.add(look)
      look()
    })
  }

  /** A connection of another process: of a member that asks for locks, or of one that only wants to know when this process dies. */
  accept (peer: MemberPeer): void {
    const drops = new Map<number, () => void>()
    const drop = (number: number) => {
      drops.get(number)?.()
      drops.delete(number)
    }
    const serve = (number: number, asked: Asked) => {
      drops.set(number, this.decide(asked, {
        granted: () => { if (!asked.held) peer.send({ type: 'granted', number }) },
        refused: () => {
          drops.delete(number)
          peer.send(asked.held ? { type: 'claim', number, claim: 'lost' } : { type: 'busy', number })
        },
        claimed: claim => peer.send({ type: 'claim', number, claim })
      }))
    }
    peer.listen(message => {
      if (this.#phase === 'off') peer.close()
      else if (message.type === 'drop') drop(message.number)
      else if (message.type === 'ask') serve(message.number, { ...message, held: false })
      else {
        this.#peers.add(peer)
        for (const held of message.held) serve(held.number, { ...held, claim: 'wait', now: true, held: true })
        this.#heard.add(message.name)
        for (const listener of [...this.#listeners]) listener()
      }
    })
    peer.closed.then(() => {
      this.#peers.delete(peer)
      for (const number of [...drops.keys()]) drop(number)
    }, () => {})
  }

  /** @returns a function that gives the lock back, or the waiting up */
  decide (asked: Asked, answer: Answer): () => void {
    const caller = new AbortController()
    let lock: Lock | undefined
    const acquire = () => {
      if (caller.signal.aborted) return
      const request: LockRequest = {
        mode: asked.mode,
        claim: asked.claim,
        timeout: asked.now ? 0 : Infinity,
        signal: caller.signal,
        onClaim: claim => answer.claimed(claim)
      }
      this.locks.acquire(asked.key, request).then(granted => {
        // Dropped in the instant in which it was granted, or not ours to grant.
        if (caller.signal.aborted || !this.#mayDecide()) return granted.release()
        lock = granted
        return answer.granted()
      }, () => { if (!caller.signal.aborted) answer.refused() }).catch(() => {})
    }
    // What is held already comes first, whatever is asked for meanwhile.
    if (this.#phase === 'presiding' || asked.held) acquire()
    else this.#postponed.push(acquire)
    return () => {
      caller.abort()
      lock?.release().catch(() => {})
    }
  }
}
