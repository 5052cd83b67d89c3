import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods, RouteHandlerMethod, RouteOptions } from 'fastify'

/** The methods that a known URL answers, if only with 405. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const satisfies readonly HTTPMethods[]
export type Method = typeof METHODS[number]

export interface Route {
  /** What the host's `routeOptions` know it by. */
  readonly name: string
  readonly method: Method | readonly Method[]
  /** Below the protocol's prefix, with the final slash; the URL without it is served as well. */
  readonly url: string
  readonly schema?: FastifySchema
  readonly handler: RouteHandlerMethod
}

/** A reply as a wire contract words it. */
export interface WordedError {
  readonly statusCode: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

export interface RouteSetting {
  /** The wire's words for an error; undefined leaves it to the host's error handler. */
  readonly wordError?: (error: Error & { readonly code?: string, readonly statusCode?: number }, request: FastifyRequest) => WordedError | undefined
  /** The reply to a method that a known URL does not have; the `Allow` header is set already. Default: DRF's JSON. */
  readonly methodNotAllowed?: (request: FastifyRequest, reply: FastifyReply) => unknown
  /** What the host adds to a route. */
  readonly routeOptions?: (route: Pick<Route, 'name' | 'method' | 'url'>) => Partial<RouteOptions>
  /** `Allow` of the 405 and OPTIONS replies, where the contract fixes their order. */
  readonly allow?: (url: string) => string | undefined
}

/** Declares routes with and without the final slash, and answers 405 (with `Allow`) and OPTIONS on their URLs. */
export function declareRoutes (scope: FastifyInstance, routes: readonly Route[], setting: RouteSetting = {}): void {
  const { wordError, methodNotAllowed = drfMethodNotAllowed, allow = () => undefined } = setting
  const routeOptions = setting.routeOptions ?? ((): Partial<RouteOptions> => ({}))
  const methodsOf = new Map<string, Set<Method>>()
  const declare = (method: Method | readonly Method[], url: string, options: Omit<RouteOptions, 'method' | 'url'>): void => {
    for (const form of bothForms(url)) {
      scope.route({
        method: [...[method].flat()],
        url: form,
        exposeHeadRoute: false,
        prefixTrailingSlash: 'both',
        ...options,
        ...form !== url && url !== '/' && { schema: { ...options.schema, hide: true } }
      })
    }
  }
  const errorHandler: RouteOptions['errorHandler'] = (error, request, reply) => {
    const worded = error instanceof Error ? wordError?.(error, request) : undefined
    if (worded === undefined) return reply.send(error)
    if (worded.statusCode >= 500) request.log.error({ err: error }, error.message)
    return reply.code(worded.statusCode).headers(worded.headers ?? {}).send(worded.body)
  }

  for (const { name, method, url, schema, handler } of routes) {
    const known = methodsOf.get(url) ?? new Set<Method>()
    methodsOf.set(url, known)
    for (const one of [method].flat()) known.add(one)
    const host = routeOptions({ name, method, url })
    declare(method, url, { errorHandler, handler, ...host, schema: { ...schema, ...host.schema } })
  }
  for (const [url, known] of methodsOf) {
    const allowed = allow(url) ?? [...known, 'OPTIONS'].filter((method, at, all) => all.indexOf(method) === at).join(', ')
    const rest = METHODS.filter(method => !known.has(method) && method !== 'OPTIONS')
    if (rest.length > 0) {
      declare(rest, url, { schema: { hide: true }, handler: async (request, reply) => methodNotAllowed(request, reply.code(405).header('allow', allowed)) })
    }
    if (!known.has('OPTIONS')) {
      declare('OPTIONS', url, { schema: { hide: true }, handler: async (_request, reply) => reply.code(204).header('allow', allowed).send() })
    }
  }
}

function bothForms (url: string): readonly string[] {
  if (url === '/' || !url.endsWith('/')) return [url]
  return [url, url.slice(0, -1)]
}

function drfMethodNotAllowed (request: FastifyRequest, reply: FastifyReply): unknown {
  return reply.send({ detail: `Method "${request.method}" not allowed.` })
}

declare module 'fastify' {
  interface FastifySchema {
    /** Left out of the OpenAPI document (@fastify/swagger). */
    hide?: boolean
  }
}
