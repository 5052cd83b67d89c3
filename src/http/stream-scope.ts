import { Readable } from 'node:stream'
import AjvCompiler from '@fastify/ajv-compiler'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { letGoOfBodies } from './unread-body.js'

/**
 * Makes `scope` one in which every body arrives as the stream that the host's preParsing hooks left, in any host: with @fastify/multipart
 * in any mode, with parsers of its own, with other schema compilers.
 */
export function streamScope (scope: FastifyInstance, { stopping }: { readonly stopping: () => boolean }): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })

  const ajv = AjvCompiler()({}, {
    customOptions: { coerceTypes: 'array', useDefaults: true, removeAdditional: false, allErrors: false, allowUnionTypes: true, keywords: ['hide'] }
  })
  scope.setValidatorCompiler(route => {
    // Bodies are streams here: what is in them is checked where they are read, with the contract's words.
    if (route.httpPart === 'body' || route.httpPart === 'headers') return () => true
    return ajv(route)
  })
  const serializer = SerializerSelector()({}, {})
  scope.setSerializerCompiler(({ method, url, httpStatus = '', schema }) => serializer({ method, url, httpStatus, schema }))
  letGoOfBodies(scope, stopping)
}

/** The request's body. A request without one has an empty stream. */
export function bodyOf (request: FastifyRequest): Readable {
  return request.body instanceof Readable ? request.body : Readable.from([])
}

/** True when the request says that it has a body, be it an empty one of unknown length. */
export function hasBody (request: FastifyRequest): boolean {
  return request.body instanceof Readable && request.headers['content-length'] !== '0'
}

/** Content-Length in bytes, undefined without one; Node refuses malformed ones itself. */
export function contentLength (request: FastifyRequest): number | undefined {
  const value = request.headers['content-length']
  return value === undefined ? undefined : Number(value)
}
