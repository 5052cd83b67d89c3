import type { FastifyReply } from 'fastify'
import { type ContentRangeContext, sendRecord } from './mount.js'
import { withChunk } from './request-chunk.js'
import { storeFirst } from './store-first.js'
import { rangeOf } from './store-next.js'

/** PUT on the collection: the first chunk makes the upload. */
export async function create (context: ContentRangeContext): Promise<FastifyReply> {
  await context.caller()
  return await withChunk(context.request, { ...context.mount.settings, raw: true }, async chunk => {
    const range = await rangeOf(context, chunk, false)
    return sendRecord(context, await storeFirst(context, chunk, range, async stored => stored))
  })
}
