import type { FastifyReply } from 'fastify'

/** Sends JSON as it is: the host may have changed it, so that no schema knows its fields. */
export function sendJson (reply: FastifyReply, value: unknown): FastifyReply {
  reply.type('application/json; charset=utf-8')
  return value === null ? reply.send('null') : reply.serializer((sent: unknown) => JSON.stringify(sent)).send(value)
}
