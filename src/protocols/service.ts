import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { continueWhenRead } from '../http/body/expect-continue.js'
import type { HeaderProtocol } from '../http/routing/foreign-client.js'
import { methodOf } from '../http/routing/method-override.js'
import { declareRoutes, type Route } from '../http/routing/routes.js'
import { Context, type Verb } from './context.js'
import { type ErrorTable, wordErrors } from './error-answer.js'
import type { Mount } from './mount.js'

/** A route of a protocol; see {@link Route} for its parts. */
export interface VerbRoute<M extends Mount = Mount> extends Omit<Route, 'handler'> {
  readonly verb: Verb<M>
}

/** What a protocol serves at one mount. */
export interface Service<M extends Mount = Mount> {
  readonly mount: M
  /** False for one that the options switch off. */
  readonly routes: ReadonlyArray<VerbRoute<M> | false>
  readonly errors: ErrorTable
  /** The reply to a method that a known URL does not have; `Allow` and 405 are set already. Default: DRF's JSON. */
  readonly methodNotAllowed?: (context: Context<M>) => unknown
  /** `Allow`, where the contract fixes its order. */
  readonly allow?: (url: string) => string | undefined
  /** The protocol whose header fields the routes read. Requests with those of others are refused. */
  readonly speaks?: HeaderProtocol
  /** X-HTTP-Method-Override names the route's method, whatever the real one is. @default false */
  readonly methodOverride?: boolean
  /** Called as each reply leaves, those of the host's hooks included: headers that all of them have. */
  readonly announce?: (context: Context<M>) => void | Promise<void>
  /** A client that sends `Expect: 100-continue` is asked for its body only when a verb reads it. @default false */
  readonly continueWhenRead?: boolean
}

/** Declares the routes of a service in `scope`. */
export type Declare = (scope: FastifyInstance) => void

/** Makes a service out of its parts: what `serve` of {@link defineProtocol} returns. */
export function service<M extends Mount> (parts: Service<M>): Declare {
  return scope => {
    const { mount, methodNotAllowed } = parts
    if (parts.continueWhenRead === true) continueWhenRead(scope)
    const { sharer } = mount.parts.uploads
    const { announce = sharer === undefined ? undefined : () => {} } = parts
    if (announce !== undefined) {
      const tell = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
        await announce(new Context(mount, request, reply))
      }
      sharer?.url.addAnnouncer(sharer.name, tell)
      scope.addHook('onSend', async (request, reply) => {
        await (sharer === undefined ? tell(request, reply) : sharer.url.announce(request, reply, sharer.name))
      })
    }
    const routes = parts.routes.filter(route => route !== false).map(({ verb, ...route }): Route => ({
      ...route,
      handler: async (request, reply) => await verb(new Context(mount, request, reply))
    }))
    declareRoutes(scope, routes, {
      sharer,
      wordError: wordErrors(parts.errors),
      routeOptions: route => mount.parts.uploads.routeOptions({ ...route, protocol: mount.name }),
      ...parts.speaks !== undefined && { speaks: parts.speaks },
      ...parts.allow !== undefined && { allow: parts.allow },
      ...parts.methodOverride !== undefined && { methodOverride: parts.methodOverride },
      ...methodNotAllowed !== undefined && {
        methodNotAllowed: (request, reply) => methodNotAllowed(new Context(mount, request, reply))
      }
    })
  }
}

/** The method of a request, as its X-HTTP-Method-Override says where the service heeds that. */
export function requestedMethod (request: FastifyRequest): string {
  return methodOf(request)
}
