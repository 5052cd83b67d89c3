import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../engine/index.js'
import type { Mount } from './mount.js'

/** One request to a mount: the only argument of a verb. */
export class Context<M extends Pick<Mount, 'caller'> = Mount> {
  readonly mount: M
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  #caller: Promise<Caller> | undefined

  constructor (mount: M, request: FastifyRequest, reply: FastifyReply) {
    this.mount = mount
    this.request = request
    this.reply = reply
  }

  /**
   * On whose behalf the request acts. The host is asked at the first call, so that what is wrong with the request itself can be told
   * before, and once a request.
   * @throws {UserRequired}
   */
  caller (): Promise<Caller> {
    this.#caller ??= this.mount.caller(this.request, this.reply)
    return this.#caller
  }

  /** A parameter of the route's URL; empty where it has none of this name. */
  param (name: string): string {
    const { params } = this.request
    const value: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, name) : undefined
    return typeof value === 'string' ? value : ''
  }

  /** The parameter `id`. */
  get id (): string { return this.param('id') }
}

/** What a route does: the value that it returns is sent, as with any handler of Fastify. */
export type Verb<M extends Pick<Mount, 'caller'> = Mount> = (context: Context<M>) => unknown
