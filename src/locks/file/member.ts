import { createServer, type Server, type Socket } from 'node:net'
import { UploadBusy } from '../../errors.js'
import type { Claim, Lock, LockRequest } from '../contract.js'
import { Leader } from './leader.js'
import { type ArbiterMessage, type MemberMessage, Connection, reach } from './connection.js'
import { type MemberEntry, Election } from './election.js'

/** The longest delay that a timer takes, about 25 days: beyond it setTimeout would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1

/** ms that a request with time-out 0 waits for the arbiter's answer: it may be busy with other things than locks. */
const ANSWER_PATIENCE = 5000

/** ms between two looks at the files of this process. */
const LOOK_EVERY = 30_000
/** Looks after which they are touched: every ten minutes. */
const LOOKS_PER_TOUCH = 20

/** A request, decided here or in another process. */
interface Request {
  readonly number: number
  readonly key: string
  readonly request: LockRequest
  state: 'waiting' | 'held'
  /** Claims that came before the lock's promise resolved. */
  readonly early: Array<Exclude<Claim, 'wait'> | 'lost'>
  grant (): void
  refuse (cause: unknown): void
  /** Tells the arbiter that it is over. */
  drop (): void
}

/**
 * This process among those that share the folder: it listens, finds out who decides or becomes the one, and keeps what it holds
 * when the one who decides dies.
 */
export class Member {
  /** True once it cannot be used any more: left, or failed to find the others. */
  ended = false
  readonly #registry: Election
  readonly #server: Server
  readonly #arbiter = new Leader(() => this.isIntact())
  readonly #sockets = new Set<Socket>()
  readonly #requests = new Map<number, Request>()
  #presiding = false
  /** The generation that this process has claimed. */
  #generation: number | undefined
  /** Name of the member that the link leads to. */
  #followed = ''
  #looks = 0
  #timer: NodeJS.Timeout | undefined
  #link: Connection<ArbiterMessage, MemberMessage> | undefined
  #joining: Promise<void> | undefined
  #entered = false
  #lastNumber = 0

  constructor (directory: string) {
    this.#registry = new Election(directory)
    this.#server = createServer(socket => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      this.#arbiter.accept(new Connection(socket))
      // A new arbiter asks every member: this process may not have heard of it yet.
      this.#look()
    })
    this.#server.unref()
  }

  acquire (key: string, request: LockRequest): Promise<Lock> {
    return new Promise((resolve, reject) => {
      const asked = this.#ask(key, request, resolve, reject)
      this.#requests.set(asked.number, asked)
      if (this.#presiding) return this.#decide(asked)
      const link = this.#link
      if (link === undefined) return this.#join()
      this.#entrust(asked, link)
    })
  }

  /**
   * False once a file of this process is gone. Then others may decide without knowing of it: whatever it holds is lost, and it takes part
   * no more.
   */
  isIntact (): boolean {
    if (this.ended) return false
    if (!this.#entered || this.#registry.isIntact(this.#generation)) return true
    this.leave().catch(() => {})
    return false
  }

  /** What is held or waited for is given up. */
  async leave (): Promise<void> {
    if (this.ended) return
    this.ended = true
    this.#presiding = false
    clearInterval(this.#timer)
    this.#giveUp(new UploadBusy())
    this.#disconnect()
    await this.#joining
    // Entering may have come to its end only now.
    this.#disconnect()
    await this.#registry.leave()
  }

  #disconnect (): void {
    if (this.#server.listening) this.#server.close()
    this.#link?.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #ask (key: string, request: LockRequest, resolve: (lock: Lock) => void, reject: (cause: unknown) => void): Request {
    const number = ++this.#lastNumber
    const finish = () => {
      clearTimeout(timer)
      request.signal?.removeEventListener('abort', leave)
    }
    const leave = () => {
      this.#requests.delete(number)
      asked.drop()
      asked.refuse(new UploadBusy())
    }
    const asked: Request = {
      number,
      key,
      request,
      state: 'waiting',
      early: [],
      grant: () => {
        finish()
        asked.state = 'held'
        resolve({
          held: () => this.#requests.get(number) === asked && this.isIntact(),
          release: async () => { if (this.#requests.delete(number)) asked.drop() }
        })
        queueMicrotask(() => {
          for (const claim of asked.early.splice(0)) this.#tell(asked, claim)
        })
      },
      refuse: cause => {
        finish()
        this.#requests.delete(number)
        reject(cause)
      },
      drop: () => {}
    }
    // Not unref'ed, unlike the sockets: a process that does nothing but wait for its turn must not end before.
    const timer = setTimeout(leave, request.timeout > 0 ? Math.min(request.timeout, LONGEST_DELAY) : ANSWER_PATIENCE)
    request.signal?.addEventListener('abort', leave, { once: true })
    return asked
  }

  #join (): void {
    this.#joining ??= this.#findPlace().catch(cause => {
      // The others must not wait for a process that cannot reach them.
      this.#joining = undefined
      this.#giveUp(cause)
      return this.leave()
    }).finally(() => { this.#joining = undefined })
  }

  async #findPlace (): Promise<void> {
    if (!this.#entered) {
      await this.#registry.enter(this.#server)
      this.#entered = true
      this.#timer = setInterval(() => { this.#look() }, LOOK_EVERY).unref()
    }
    while (!this.ended) {
      const arbiter = await this.#registry.arbiter()
      const socket = arbiter === undefined ? undefined : await reach(this.#registry.pathOf(arbiter))
      if (socket !== undefined) return this.#follow(socket, arbiter?.name ?? '')
      this.#arbiter.gather()
      const generation = (arbiter?.generation ?? 0) + 1
      if (await this.#registry.claim(generation)) {
        this.#generation = generation
        return await this.#preside()
      }
      this.#arbiter.step()
    }
  }

  /** Whether this process and the one it follows are still what the folder says. */
  #look (): void {
    if (!this.#entered || !this.isIntact()) return
    if (this.#looks++ % LOOKS_PER_TOUCH === 0) this.#registry.touch().catch(() => {})
    const link = this.#link
    if (link === undefined) return
    this.#registry.arbiter().then(arbiter => { if (arbiter?.name !== this.#followed) link.close() }, () => {})
  }

  #follow (socket: Socket, name: string): void {
    const link = new Connection<ArbiterMessage, MemberMessage>(socket)
    if (this.ended) return link.close()
    this.#link = link
    this.#followed = name
    const requests = [...this.#requests.values()]
    const held = requests.filter(({ state }) => state === 'held')
    link.listen(message => this.#hear(message))
    link.send({
      type: 'hello',
      name: this.#registry.name,
      held: held.map(({ number, key, request: { mode } }) => ({ number, key, mode }))
    })
    for (const asked of requests) this.#entrust(asked, link)
    link.closed.then(() => {
      this.#link = undefined
      for (const asked of this.#requests.values()) asked.drop = () => {}
      // Not only when there is something to ask: the next arbiter waits until each member has said what it holds.
      if (!this.ended) this.#join()
    }, () => {})
  }

  /** Becomes the arbiter, once it is known what each member holds. */
  async #preside (): Promise<void> {
    const before = [...this.#requests.values()]
    for (const asked of before) this.#decide(asked)
    await Promise.all((await this.#registry.others()).map(member => this.#hearOf(member)))
    if (this.ended) return
    for (const asked of this.#requests.values()) if (!before.includes(asked)) this.#decide(asked)
    this.#presiding = true
    this.#arbiter.preside()
  }

  #decide (asked: Request): void {
    const held = asked.state === 'held'
    const { mode, claim, timeout } = asked.request
    asked.drop = this.#arbiter.decide({ key: asked.key, mode, claim: held ? 'wait' : claim, now: held || timeout <= 0, held }, {
      granted: () => { if (!held) asked.grant() },
      refused: () => held ? this.#tell(asked, 'lost') : asked.refuse(new UploadBusy()),
      claimed: heard => this.#tell(asked, heard)
    })
  }

  /** Resolves when the member has said what it holds, or is dead. */
  async #hearOf (member: MemberEntry): Promise<void> {
    const socket = await reach(this.#registry.pathOf(member))
    if (socket === undefined) return await this.#registry.remove(member)
    if (this.ended) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    const peer = new Connection<never, never>(socket)
    await Promise.race([peer.closed, this.#arbiter.heard(member.name)])
    this.#sockets.delete(socket)
    peer.close()
  }

  /** Leaves the request to the arbiter, which knows of it already if it is held. */
  #entrust (asked: Request, link: Connection<ArbiterMessage, MemberMessage>): void {
    const { number, key, state, request: { mode, claim, timeout } } = asked
    asked.drop = () => link.send({ type: 'drop', number })
    if (state === 'waiting') link.send({ type: 'ask', number, key, mode, claim, now: timeout <= 0 })
  }

  #hear (message: ArbiterMessage): void {
    const asked = this.#requests.get(message.number)
    if (asked === undefined) return
    // Not ours to take, if the arbiter may not know of us.
    if (message.type === 'granted') { if (this.isIntact()) asked.grant() } else if (message.type === 'busy') asked.refuse(new UploadBusy())
    else this.#tell(asked, message.claim)
  }

  #tell (asked: Request, claim: Exclude<Claim, 'wait'> | 'lost'): void {
    if (this.#requests.get(asked.number) !== asked) return
    if (asked.state === 'waiting') {
      asked.early.push(claim)
      return
    }
    if (claim === 'lost') this.#requests.delete(asked.number)
    try {
      asked.request.onClaim(claim)
    } catch {}
  }

  #giveUp (cause: unknown): void {
    for (const asked of [...this.#requests.values()]) {
      if (asked.state === 'waiting') asked.refuse(cause)
      else this.#tell(asked, 'lost')
    }
  }
}
