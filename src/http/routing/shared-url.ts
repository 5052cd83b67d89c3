import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { methodOf, overrideIn } from './method-override.js'

/** Name of the route constraint. */
export const SHARED_URL = 'chunkedUploadProtocol'

/** By what the requests of a protocol are known, where another one has the same URL. */
export interface Marks {
  /** Header fields, in lower case, of which its requests have one. */
  readonly headers: readonly string[]
  /** Methods of requests without any protocol's header fields that it can serve. */
  readonly plain: readonly string[]
}

/** What a protocol says on a reply as it leaves. */
export type Announce = (request: FastifyRequest, reply: FastifyReply) => void | Promise<void>

/** One of the protocols at a shared URL. */
export interface Sharer {
  readonly name: string
  readonly url: SharedUrl
}

/** What the router knows of a request. */
export type Asked = Pick<IncomingMessage, 'method' | 'headers'>

/**
 * A URL that several protocols have. Requests go to the one whose header fields they have; others to the first that can serve their
 * method. A GET for an upload which that one does not know goes on to the next: an upload belongs to the protocol that made it.
 */
export class SharedUrl {
  readonly #marks: ReadonlyMap<string, Marks>
  readonly #announcers = new Map<string, Announce>()
  /** The protocols that had a request already. */
  readonly #passed = new WeakMap<object, Set<string>>()

  /** @param marks of the protocols, by their names, in the order in which plain requests try them */
  constructor (marks: ReadonlyMap<string, Marks>) { this.#marks = marks }

  /** The protocol that gets the request. */
  ownerOf (asked: Asked): string | undefined {
    const [first] = this.#marks.keys()
    return this.#ownerByHeaders(asked) ?? this.#plainOwners(asked)[0] ?? first
  }

  /**
   * Has the next protocol answer a plain GET, with all hooks that the host has for it; those for all routes run once more.
   * @returns false where there is no next one
   */
  passOn (request: FastifyRequest, reply: FastifyReply, name: string): boolean {
    const { raw } = request
    if (methodOf(request) !== 'GET' || this.#ownerByHeaders(raw) !== undefined) return false
    const passed = this.#passed.get(raw) ?? new Set()
    this.#passed.set(raw, passed.add(name))
    if (this.#plainOwners(raw).length === 0) return false
    reply.hijack()
    request.server.routing(raw, reply.raw)
    return true
  }

  /** What a protocol says on its replies: those to OPTIONS speak for all. */
  addAnnouncer (name: string, announce: Announce): void {
    this.#announcers.set(name, announce)
  }

  async announce (request: FastifyRequest, reply: FastifyReply, name: string): Promise<void> {
    for (const [one, announce] of this.#announcers) {
      if (one === name || methodOf(request) === 'OPTIONS') await announce(request, reply)
    }
  }

  #ownerByHeaders ({ headers }: Asked): string | undefined {
    return [...this.#marks].find(([, marks]) => marks.headers.some(field => field in headers))?.[0]
  }

  #plainOwners (asked: Asked): readonly string[] {
    const method = overrideIn(asked.headers) ?? asked.method ?? ''
    const passed = this.#passed.get(asked)
    return [...this.#marks].filter(([name, { plain }]) => plain.includes(method) && passed?.has(name) !== true).map(([name]) => name)
  }
}

interface Sharing {
  readonly name: string
  readonly prefix: string
  readonly marks?: Marks | undefined
}

/** The protocols that have a URL together, by their names: those with the same prefix, by whose requests one can tell them apart. */
export function sharersOf (protocols: readonly Sharing[]): ReadonlyMap<string, Sharer> {
  const marksAt = new Map<string, Map<string, Marks>>()
  for (const { name, prefix, marks } of protocols) {
    const there = marksAt.get(prefix) ?? new Map<string, Marks>()
    const known = new Set([...there.values()].flatMap(({ headers }) => headers))
    if (marks !== undefined && !marks.headers.some(field => known.has(field))) marksAt.set(prefix, there.set(name, marks))
  }
  const sharers = new Map<string, Sharer>()
  for (const marks of marksAt.values()) {
    if (marks.size === 1) continue
    const url = new SharedUrl(marks)
    for (const name of marks.keys()) sharers.set(name, { name, url })
  }
  return sharers
}

/** Lets the router tell the protocols at one URL apart. Routes without the constraint {@link SHARED_URL} never notice. */
export function routeByProtocol (scope: FastifyInstance): void {
  if (scope.hasConstraintStrategy(SHARED_URL)) return
  scope.addConstraintStrategy({
    name: SHARED_URL,
    storage: () => {
      const routes = new Map()
      return {
        // The router asks by what a route was declared with, too.
        get: (asked: Sharer | IncomingMessage) => {
          if (!('headers' in asked)) return routes.get(asked) ?? null
          for (const [sharer, route] of routes) if (sharer.url.ownerOf(asked) === sharer.name) return route
          return null
        },
        set: (sharer, route) => { routes.set(sharer, route) }
      }
    },
    deriveConstraint: request => request
  })
}
