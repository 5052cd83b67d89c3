import type { FastifyReply } from 'fastify'
import { type Context, assertMayKnow, sendRecord } from './context.js'
import { withChunk } from './request-chunk.js'
import { rangeOf, storeNext } from './store-next.js'

/** PUT on an upload: the next chunk. */
export async function chunk (context: Context): Promise<FastifyReply> {
  return await withChunk(context.request, { ...context.settings, raw: true }, async chunk => {
    const range = await rangeOf(context, chunk, true)
    assertMayKnow(context)
    return sendRecord(context, await storeNext(context, context.id, chunk, range))
  })
}
