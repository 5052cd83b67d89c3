import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'

const HEADER = 'x-http-method-override'
/** What a method that no route knows is called. */
export const UNKNOWN_METHOD = 'UNKNOWN'
/** Name of the route constraint. */
export const METHOD_OVERRIDE = 'chunkedUploadMethod'

/**
 * Lets the router see X-HTTP-Method-Override, so that an overridden request reaches the very route that it names, with all hooks which the
 * host gave it. Routes without the constraint {@link METHOD_OVERRIDE} never notice.
 */
export function routeByMethodOverride (scope: FastifyInstance, methods: readonly HTTPMethods[]): void {
  if (scope.hasConstraintStrategy(METHOD_OVERRIDE)) return
  scope.addConstraintStrategy({
    name: METHOD_OVERRIDE,
    storage: () => {
      const handlers = new Map()
      return {
        get: method => handlers.get(method) ?? null,
        set: (method, handler) => { handlers.set(method, handler) }
      }
    },
    deriveConstraint: ({ headers }) => {
      const method = overrideIn(headers)
      return method === undefined || methods.some(known => known === method) ? method : UNKNOWN_METHOD
    }
  })
}

/** The method that the request asks for. */
export function methodOf (request: FastifyRequest): string {
  return overrideIn(request.headers) ?? request.method
}

/** The method that the header fields name, in upper case; undefined where they name none. */
export function overrideIn (headers: FastifyRequest['headers']): string | undefined {
  const value = headers[HEADER]
  return typeof value === 'string' && value !== '' ? value.toUpperCase() : undefined
}
