import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest } from 'node:http2'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { BodyPace } from '../../body-pace.js'
import { BodyCut, BodyDecoded, BodyEncoded } from '../../errors.js'
import { type OpenBodies, announcesBody } from './unread-body.js'

const PACE = Symbol('chunked-upload.pace')

/**
 * Makes `scope` one in which every body arrives as the stream that the host's preParsing hooks left, in any host: with @fastify/multipart
 * in any mode, with parsers of its own, with other schema compilers.
 */
export async function streamScope (scope: FastifyInstance, bodies: OpenBodies, pace: BodyPace): Promise<void> {
  // Loaded here, not with the package: where the host has the same versions, Fastify itself has loaded them by now.
  const [{ default: AjvCompiler }, { default: SerializerSelector }] = await Promise.all([
    import('@fastify/ajv-compiler'), import('@fastify/fast-json-stringify-compiler')
  ])
  scope.decorate(PACE, { value: pace })
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (request, payload, done) => {
    if (payload !== request.raw) followConnection(request.raw, payload)
    done(null, payload)
  })

  const ajv = AjvCompiler()({}, {
    customOptions: { coerceTypes: 'array', useDefaults: true, removeAdditional: false, allErrors: false, allowUnionTypes: true }
  })
  scope.setValidatorCompiler(route => {
    // Bodies are streams here: what is in them is checked where they are read, with the contract's words.
    if (route.httpPart === 'body' || route.httpPart === 'headers') return () => true
    return ajv(route)
  })
  const serializer = SerializerSelector()({}, {})
  scope.setSerializerCompiler(({ method, url, httpStatus = '', schema }) => {
    return /^[45]/.test(httpStatus) ? refusalAsItIs : serializer({ method, url, httpStatus, schema })
  })
  bodies.watch(scope)
}

/**
 * The schemas of refusals are documentation: a host words its own as it likes, and what does not fit a schema would be sent altered, or not
 * at all. Of an error Fastify shows these members where no schema names others.
 */
function refusalAsItIs (refusal: unknown): string {
  if (!(refusal instanceof Error)) return JSON.stringify(refusal)
  const { statusCode, code, error, message } = Object(refusal)
  return JSON.stringify({ statusCode, ...code !== undefined && { code: String(code) }, error, message })
}

/** How slowly a body of this request may come. */
export function paceOf ({ server }: FastifyRequest): BodyPace {
  return server.getDecorator<{ readonly value: BodyPace }>(PACE).value
}

/** The request's body. A request without one has an empty stream. */
export function bodyOf (request: FastifyRequest): Readable {
  return streamOf(request) ?? Readable.from([])
}

/** True when the request says that it has a body, be it an empty one of unknown length. */
export function hasBody (request: FastifyRequest): boolean {
  return streamOf(request) !== undefined && request.headers['content-length'] !== '0'
}

function streamOf ({ body, raw }: FastifyRequest): Readable | undefined {
  if (body instanceof Readable) return body
  // On HTTP/2 a body needs neither a length nor a type, and without both Fastify looks for none.
  return body === undefined && raw instanceof Http2ServerRequest && announcesBody(raw) ? raw : undefined
}

/**
 * Content-Length in bytes, undefined without one; Node refuses malformed ones itself. It says nothing about a body that the host's
 * preParsing hooks replaced (a decompressed one, for instance), so that is undefined too.
 */
export function contentLength (request: FastifyRequest): number | undefined {
  const value = request.headers['content-length']
  return value === undefined || isReplaced(request.body, request.raw) ? undefined : Number(value)
}

/** Content-Encoding that the body still has; empty without one, and where the host's preParsing hooks have taken it away. */
export function contentCoding ({ body, raw, headers }: FastifyRequest): string {
  const { 'content-encoding': coding = '' } = headers
  return isReplaced(body, raw) || coding.toLowerCase() === 'identity' ? '' : coding
}

/**
 * For bodies at an offset of the client's: it counts the bytes as they are sent.
 * @throws {BodyDecoded} a hook of the host has decoded them
 */
export function assertAsSent ({ body, raw, headers }: FastifyRequest): void {
  if (isReplaced(body, raw) && headers['content-encoding'] !== undefined) throw new BodyDecoded()
}

/** For bodies that are looked into, or become a piece of a file without a place for their coding. @throws {BodyEncoded} */
export function assertUncoded (request: FastifyRequest): void {
  if (contentCoding(request) !== '') throw new BodyEncoded()
}

function isReplaced (body: unknown, raw: IncomingMessage): boolean {
  return body instanceof Readable && body !== raw
}

/** `pipe` ends a stream with its source but does not break it with its source: a reader of `payload` would wait for ever. */
function followConnection (raw: IncomingMessage, payload: Readable): void {
  raw.once('aborted', () => { payload.destroy(new BodyCut()) })
  payload.on('error', () => {})
}
