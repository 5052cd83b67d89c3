import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, LockRequest } from '../contract.js'

/** What a member says to the arbiter. */
export type MemberMessage =
  /** The first message: the member's name, and what it holds already, granted by an arbiter that has died. */
  | { readonly type: 'hello', readonly name: string, readonly held: readonly HeldLock[] }
  /** `now`: answer `busy` instead of waiting. */
  | HeldLock & { readonly type: 'ask', readonly claim: Claim, readonly now: boolean }
  /** Gives the lock back, or the waiting up. */
  | { readonly type: 'drop', readonly number: number }

export type ArbiterMessage =
  | { readonly type: 'granted', readonly number: number }
  | { readonly type: 'busy', readonly number: number }
  | { readonly type: 'claim', readonly number: number, readonly claim: Exclude<Claim, 'wait'> | 'lost' }

export interface HeldLock {
  /** Names the request among those of its member. */
  readonly number: number
  readonly key: string
  readonly mode: LockRequest['mode']
}

/** ms between attempts to reach a listener whose queue of connections is full. */
const CONNECT_PAUSE = 20

/** One end of a connection between two processes: messages as lines of JSON. Never keeps the process alive. */
export class Connection<Incoming, Outgoing> {
  /** Resolves when the other process has closed the connection or died, or this one has closed it. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  #onMessage: (message: Incoming) => void = () => {}
  #rest = ''

  constructor (socket: Socket) {
    this.#socket = socket.setEncoding('utf8').unref()
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    socket.on('data', (text: string) => this.#read(text))
  }

  listen (onMessage: (message: Incoming) => void): void {
    this.#onMessage = onMessage
  }

  send (message: Outgoing): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  close (): void {
    this.#socket.destroy()
  }

  #read (text: string): void {
    const lines = `${this.#rest}${text}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      try {
        this.#onMessage(JSON.parse(line))
      } catch {
        // A process that speaks another language is no member.
        this.close()
        return
      }
    }
  }
}

/**
 * Connects to the process that listens at `path`.
 * @returns undefined when no process listens there: it has died, and for good, since names are used once
 */
export async function reach (path: string): Promise<Socket | undefined> {
  for (;;) {
    const socket = connect(path)
    const code = await new Promise<unknown>((resolve, reject) => {
      socket.once('connect', () => resolve('connected'))
      socket.once('error', cause => ('code' in cause && EXPECTED.has(cause.code) ? resolve(cause.code) : reject(cause)))
    })
    if (code === 'connected') return socket
    if (code !== 'EAGAIN') return undefined
    await sleep(CONNECT_PAUSE)
  }
}

const EXPECTED: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOENT', 'EAGAIN'])
