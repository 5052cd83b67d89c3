import { types } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods, RouteHandlerMethod, RouteOptions } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { type HeaderProtocol, assertOwnClient } from './foreign-client.js'
import { METHOD_OVERRIDE, UNKNOWN_METHOD, routeByMethodOverride } from './method-override.js'
import { type Sharer, SHARED_URL, routeByProtocol } from './shared-url.js'

/** The methods that a known URL answers, if only with 405. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const satisfies readonly HTTPMethods[]
export type Method = typeof METHODS[number]

export interface Route {
  /** What the host's `routeOptions` know it by. */
  readonly name: string
  readonly method: Method | readonly Method[]
  /** Below the protocol's prefix, with the final slash; the URL without it is served as well. */
  readonly url: string
  readonly schema?: FastifySchema | undefined
  /** What plugins of the host look for; the host's own goes first. */
  readonly config?: object | undefined
  readonly handler: RouteHandlerMethod
}

/** A reply as a wire contract words it. */
export interface WordedError {
  readonly statusCode: number
  /** Of the status line on HTTP/1.1, where the contract has a status that HTTP does not know. */
  readonly reason?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

export interface RouteSetting {
  /** The wire's words for an error; undefined leaves it to the host's error handler. */
  readonly wordError?: (
    error: Error & { readonly code?: string, readonly statusCode?: number }, request: FastifyRequest
  ) => WordedError | undefined
  /** The reply to a method that a known URL does not have; the `Allow` header is set already. Default: DRF's JSON. */
  readonly methodNotAllowed?: (request: FastifyRequest, reply: FastifyReply) => unknown
  /** What the host adds to a route. */
  readonly routeOptions?: (route: Pick<Route, 'name' | 'method' | 'url'>) => Partial<RouteOptions>
  /** `Allow` of the 405 and OPTIONS replies, where the contract fixes their order. */
  readonly allow?: (url: string) => string | undefined
  /** The protocol whose header fields the routes read. Requests with those of others are refused. */
  readonly speaks?: HeaderProtocol
  /** X-HTTP-Method-Override names the route's method, whatever the real one is. */
  readonly methodOverride?: boolean
  /** Another protocol has the same URLs. */
  readonly sharer?: Sharer | undefined
}

/** Declares routes with and without the final slash, and answers 405 (with `Allow`) and OPTIONS on their URLs. */
export function declareRoutes (scope: FastifyInstance, routes: readonly Route[], setting: RouteSetting = {}): void {
  const { wordError, methodNotAllowed = drfMethodNotAllowed, allow = () => undefined } = setting
  const routeOptions = setting.routeOptions ?? ((): Partial<RouteOptions> => ({}))
  const methodsOf = new Map<string, Set<Method>>()
  const { sharer } = setting
  if (sharer !== undefined) {
    routeByProtocol(scope)
    scope.addHook('onRoute', options => { options.constraints = { ...options.constraints, [SHARED_URL]: sharer } })
  }
  if (setting.methodOverride === true) routeByMethodOverride(scope, METHODS)
  const declare = (method: Method | readonly Method[], url: string, options: Omit<RouteOptions, 'method' | 'url'>): void => {
    for (const [at, form] of formsOf(scope, url).entries()) {
      scope.route({
        ...options,
        ...form,
        method: [...[method].flat()],
        exposeHeadRoute: false,
        // One entry in the OpenAPI document is enough.
        ...at > 0 && { schema: { ...options.schema, hide: true } }
      })
      for (const [name, real] of setting.methodOverride === true ? overridesOf([method].flat()) : []) {
        scope.route({
          ...options,
          ...form,
          method: [...real],
          exposeHeadRoute: false,
          constraints: { ...options.constraints, [METHOD_OVERRIDE]: name },
          schema: hidden(options.schema)
        })
      }
    }
  }
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply): unknown => {
    // Some hosts throw plain objects. Sent, one would pass for an answer; thrown, it goes to the host's own handler as it is.
    if (!isError(error)) return Promise.reject(error)
    const worded = hasTextCode(error) ? wordError?.(error, request) : undefined
    if (worded === undefined) reply.send(error)
    else {
      if (worded.statusCode >= 500) request.log[error.cause === undefined ? 'info' : 'error']({ err: error }, error.message)
      if (worded.reason !== undefined && request.raw.httpVersionMajor === 1) reply.raw.statusMessage = worded.reason
      reply.code(worded.statusCode).headers(worded.headers ?? {}).send(worded.body)
    }
    return undefined
  }

  for (const { name, method, url, schema, config, handler: serve } of routes) {
    const known = methodsOf.get(url) ?? new Set<Method>()
    methodsOf.set(url, known)
    for (const one of [method].flat()) known.add(one)
    // @fastify/compress would decode bodies, whose offsets count the bytes as they are sent.
    const host = { decompress: false as const, ...routeOptions({ name, method, url }) }
    const handler: RouteHandlerMethod = async function (request, reply) {
      if (request.method !== 'OPTIONS') assertOwnClient(request, setting.speaks)
      try {
        return await serve.call(this, request, reply)
      } catch (error) {
        // Thrown before a reply has begun, so that another protocol can still give it.
        if (error instanceof UploadNotFound && sharer?.url.passOn(request, reply, sharer.name) === true) return reply
        throw error
      }
    }
    declare(method, url, { ...host, errorHandler, handler, schema: { ...schema, ...host.schema }, config: { ...config, ...host.config } })
  }
  for (const [url, known] of methodsOf) {
    const allowed = allow(url) ?? [...new Set([...known, 'OPTIONS'])].join(', ')
    const rest = METHODS.filter(method => !known.has(method) && method !== 'OPTIONS')
    const own = { errorHandler, schema: { hide: true } }
    const refuse: RouteHandlerMethod = async (request, reply) => {
      if (sharer?.url.passOn(request, reply, sharer.name) === true) return reply
      return await methodNotAllowed(request, reply.code(405).header('allow', allowed))
    }
    if (rest.length > 0) declare(rest, url, { ...own, handler: refuse })
    for (const form of setting.methodOverride === true ? formsOf(scope, url) : []) {
      scope.route({
        ...own, ...form, handler: refuse, method: [...METHODS], exposeHeadRoute: false, constraints: { [METHOD_OVERRIDE]: UNKNOWN_METHOD }
      })
    }
    if (!known.has('OPTIONS')) {
      declare('OPTIONS', url, { ...own, handler: async (_request, reply) => reply.code(204).header('allow', allowed).send() })
    }
  }
}

/** Without its body, which Fastify would not accept for GET and HEAD. */
function hidden ({ body, ...schema }: FastifySchema = {}): FastifySchema {
  return { ...schema, hide: true }
}

/** Which real methods can stand for `methods`: any other one. */
function overridesOf (methods: readonly Method[]): ReadonlyArray<readonly [name: string, real: readonly Method[]]> {
  return methods.map(name => [name, METHODS.filter(real => real !== name)])
}

type RouteForm = Pick<RouteOptions, 'url' | 'prefixTrailingSlash'>

/** The URLs that a route is declared with, its own first; one alone where the host's router does not care for final slashes. */
function formsOf (scope: FastifyInstance, url: string): readonly RouteForm[] {
  if (!url.endsWith('/') || (url === '/' && scope.prefix === '')) return [{ url }]
  const slashless: RouteForm = url === '/' ? { url, prefixTrailingSlash: 'no-slash' } : { url: url.slice(0, -1) }
  const { ignoreTrailingSlash, routerOptions } = scope.initialConfig
  const lenient = ignoreTrailingSlash === true || routerOptions?.ignoreTrailingSlash === true
  return [{ url, prefixTrailingSlash: 'slash' }, ...lenient ? [] : [slashless]]
}

/** Errors of other realms count too: some test runners have their own. */
function isError (thrown: unknown): thrown is Error {
  return thrown instanceof Error || types.isNativeError(thrown)
}

/** Wordings read codes as texts. Of the errors that a host's libraries throw, some have numbers there. */
function hasTextCode (error: Error): boolean {
  return !('code' in error) || error.code === undefined || typeof error.code === 'string'
}

function drfMethodNotAllowed (request: FastifyRequest, reply: FastifyReply): unknown {
  return reply.send({ detail: `Method "${request.method}" not allowed.` })
}

declare module 'fastify' {
  /** What @fastify/swagger reads of a route's schema; the same as its own declaration. */
  interface FastifySchema {
    /** Left out of the OpenAPI document. */
    hide?: boolean
    tags?: readonly string[]
    summary?: string
    description?: string
    operationId?: string
    consumes?: readonly string[]
    security?: ReadonlyArray<{ [securityLabel: string]: readonly string[] }>
  }
}
