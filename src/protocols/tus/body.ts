import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { BodyPace } from '../../body-pace.js'
import { readBody } from '../../http/body/read-body.js'
import { assertAsSent, contentLength } from '../../http/body/stream-scope.js'

/** The body of a request; undefined when the request says that it has none. @throws {BodyDecoded} */
export function bodyIn (request: FastifyRequest): Readable | undefined {
  const { body, headers, raw } = request
  if (headers['content-length'] === '0') return undefined
  assertAsSent(request)
  if (body instanceof Readable) return body
  // Fastify looks for no body in GET and HEAD, which an override may have turned into something else.
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined ? raw : undefined
}

/** Its length in bytes where the request tells it, and no hook of the host has changed the body. */
export function lengthIn (request: FastifyRequest): number | undefined {
  return request.body === undefined || request.body === request.raw ? contentLength(request) : undefined
}

/** True when not a byte comes. Reads no more than it takes to know. */
export async function isEmpty (request: FastifyRequest, pace: BodyPace): Promise<boolean> {
  const body = bodyIn(request)
  if (body === undefined) return true
  const length = lengthIn(request)
  if (length !== undefined) return length === 0
  let empty = true
  try {
    await readBody(body, pace, () => {
      empty = false
      return false
    })
  } catch {
    // It broke off, or did not come in time: it is not known to be empty.
    return false
  }
  return empty
}
