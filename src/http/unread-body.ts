import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Bytes and ms for which the rest of a body is read and thrown away, so that the client gets to see the reply. */
const REST_BYTES = 16 * 1024 * 1024
const REST_TIME = 10_000

/**
 * After a reply to a body that was not read to its end, the connection would hang (a partly read body keeps the socket paused), and
 * closing it at once could cost the client the reply. So the rest is read and dropped, within limits; past them the connection is closed.
 * While the server stops, replies tell HTTP/1 clients not to use the connection again.
 */
export function letGoOfBodies (scope: FastifyInstance, stopping: () => boolean): void {
  scope.addHook('onSend', async (request, reply) => {
    if (stopping() && request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
  })
  scope.addHook('onResponse', async request => { dropRest(request) })
}

function dropRest (request: FastifyRequest): void {
  const raw = request.raw
  if (raw.readableEnded || raw.destroyed || raw.complete) {
    if (!raw.readableEnded) raw.resume()
    return
  }
  const body = request.body instanceof Readable ? request.body : raw
  let left = REST_BYTES
  const giveUp = (): void => { raw.destroy() }
  const timer = setTimeout(giveUp, REST_TIME).unref()
  const done = (): void => {
    clearTimeout(timer)
    raw.off('data', count)
  }
  const count = (data: Uint8Array): void => {
    left -= data.length
    if (left < 0) giveUp()
  }
  body.unpipe()
  body.on('error', () => {})
  raw.on('error', () => {}).on('data', count).once('end', done).once('close', done)
  if (body !== raw) body.resume()
  raw.resume()
}
