import { isIPv6 } from 'node:net'
import { ClientGone, TooManyPasswords } from '../../errors.js'
import type { UserId } from '../../upload.js'

/** The client that has a password checked, so that one client's guesses do not delay the others. */
export interface PasswordAsker {
  /** Left out, or null, for an anonymous client. */
  readonly user?: UserId | null | undefined
  /** Network address of the client. */
  readonly address: string
  /** Ends the wait: the client has left. */
  readonly signal?: AbortSignal | undefined
}

/** Checks that run at a time: they use threads of the process's pool, which all reads and writes of files need, too. */
const MOST_AT_A_TIME = 2
/** Checks that may wait. */
const MOST = { user: 32, address: 64, all: 256 } as const

interface Turn {
  readonly user: string | undefined
  readonly address: string | undefined
  /** One more than that of the same user's turn before. */
  readonly ofUser: number
  /** The order of turns: that of {@link ofUser}, but after those of others at the same address who have not had more. */
  readonly round: number
  readonly give: () => void
}

/**
 * The queue of password checks, each of which takes a good part of a second of a processor. It is bounded, drops those whose client has
 * left, and is fair: users take turns, and so do addresses.
 */
export class PasswordTurns {
  readonly #waiting = new Set<Turn>()
  #running = 0
  /** That of the turn which was given last. */
  #round = 0

  /**
   * Runs `work` when its turn has come.
   * @param asker left out for the host's own checks
   * @throws {TooManyPasswords} when too many wait already {@link ClientGone} when the asker's signal aborts before its turn
   */
  async take<T> (asker: PasswordAsker | undefined, work: () => Promise<T>): Promise<T> {
    if (asker?.signal?.aborted === true) throw new ClientGone()
    if (this.#running < MOST_AT_A_TIME) this.#running++
    else await this.#wait(asker)
    try {
      return await work()
    } finally {
      this.#next()
    }
  }

  async #wait (asker: PasswordAsker | undefined): Promise<void> {
    const address = asker && network(asker.address)
    const user = asker && (asker.user === undefined || asker.user === null ? `at ${address}` : JSON.stringify(asker.user))
    const ofUser = this.#of('user', user)
    const ofAddress = this.#of('address', address)
    const full = ofUser.length >= MOST.user || ofAddress.length >= MOST.address || this.#waiting.size >= MOST.all
    if (full) throw new TooManyPasswords()
    const first = this.#round + 1
    const next = Math.max(first, ...ofUser.map(turn => turn.ofUser + 1))
    const round = Math.max(next, first + ofAddress.filter(turn => turn.ofUser <= next).length)
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(turn)
        reject(new ClientGone())
      }
      const give = (): void => {
        asker?.signal?.removeEventListener('abort', leave)
        resolve()
      }
      const turn: Turn = { user, address, ofUser: next, round, give }
      this.#waiting.add(turn)
      asker?.signal?.addEventListener('abort', leave, { once: true })
    })
  }

  #of (what: 'user' | 'address', value: string | undefined): Turn[] {
    return value === undefined ? [] : [...this.#waiting].filter(turn => turn[what] === value)
  }

  /** Gives the place of one that has ended to another. */
  #next (): void {
    const first = Math.min(...[...this.#waiting].map(({ round }) => round))
    const turn = [...this.#waiting].find(({ round }) => round === first)
    if (turn === undefined) {
      this.#running--
      return
    }
    this.#waiting.delete(turn)
    this.#round = turn.round
    turn.give()
  }
}

/** A client with one address of a /64 of IPv6 mostly has all of them. */
function network (address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const first = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - first.length - rest.length) }, () => '0')
  return [...first, ...zeros, ...rest].slice(0, 4).join(':')
}
