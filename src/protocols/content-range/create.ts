import type { FastifyReply } from 'fastify'
import { type Context, sendRecord } from './context.js'
import { withChunk } from './request-chunk.js'
import { storeFirst } from './store-first.js'
import { rangeOf } from './store-next.js'

/** PUT on the collection: the first chunk makes the upload. */
export async function create (context: Context): Promise<FastifyReply> {
  return await withChunk(context.request, { ...context.settings, raw: true }, async chunk => {
    const range = await rangeOf(context, chunk, false)
    return sendRecord(context, await storeFirst(context, chunk, range, async stored => stored))
  })
}
