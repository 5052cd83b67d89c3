import type { FastifyReply } from 'fastify'
import { sendList } from '../../http/fields/list.js'
import type { Upload } from '../../upload.js'
import { type Context, lacksUser } from './context.js'
import { isShown, wireRecord } from './record.js'

/** GET on the collection: own uploads, whatever their state. Sent as it is read, so that its length does not matter. */
export async function list (context: Context): Promise<FastifyReply> {
  const { engine, settings, request, reply, caller } = context
  reply.header('cache-control', 'no-store').type('application/json; charset=utf-8')
  if (lacksUser(context)) return reply.send('[]')
  const listed = (upload: Upload): object | undefined => isShown(upload) ? wireRecord(upload, request, settings) : undefined
  return await sendList(reply, engine.list(caller), listed)
}
