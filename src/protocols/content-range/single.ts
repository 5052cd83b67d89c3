import type { FastifyReply } from 'fastify'
import { ForeignClient } from '../../errors.js'
import { isPart } from '../../http/routing/foreign-client.js'
import { checksumOf } from './checksum-field.js'
import { type ContentRangeContext, sendCompleted, sendRecord } from './mount.js'
import { withChunk } from './request-chunk.js'
import { storeFirst } from './store-first.js'

/** POST on the collection: a whole file and its checksum in one form. Of a whole file, Content-Range means nothing here. */
export async function single (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount: { engine, settings }, request, reply } = context
  const caller = await context.caller()
  // With a checksum of the whole file it would be refused for that.
  if (settings.checksum === false && isPart(request.headers['content-range'] ?? '')) {
    const instead = "send chunks by PUT, or serve contentRange({ dialect: 'parent' })"
    throw new ForeignClient('clients that send chunks by POST', 'Content-Range', instead)
  }
  return await withChunk(request, { ...settings, raw: false }, async chunk => {
    const completed = await storeFirst(context, chunk, undefined, async ({ id }) => {
      const checksum = checksumOf(name => chunk.fields.get(name), settings)
      return await engine.complete(caller, id, { sameRequest: true, ...checksum !== undefined && { checksum } })
    })
    return sendCompleted(reply, completed, () => sendRecord(context, completed.upload))
  })
}
