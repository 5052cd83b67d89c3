import type { FastifyReply } from 'fastify'
import { sendList } from '../../http/fields/list.js'
import type { Upload } from '../../upload.js'
import type { ContentRangeContext } from './mount.js'
import { isShown, wireRecord } from './record.js'

/** GET on the collection: own uploads, whatever their state. Sent as it is read, so that its length does not matter. */
export async function list (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount, request, reply } = context
  const caller = await context.caller()
  reply.header('cache-control', 'no-store').type('application/json; charset=utf-8')
  if (mount.lacksUser(caller)) return reply.send('[]')
  const listed = (upload: Upload): object | undefined => isShown(upload) ? wireRecord(mount, upload, request) : undefined
  return await sendList(reply, mount.engine.list(caller), listed)
}
