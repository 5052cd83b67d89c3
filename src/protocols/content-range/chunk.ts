import type { FastifyReply } from 'fastify'
import { readUploadId } from '../../http/fields/upload-id.js'
import { type ContentRangeContext, sendRecord } from './mount.js'
import { withChunk } from './request-chunk.js'
import { rangeOf, storeNext } from './store-next.js'

/** PUT on an upload: the next chunk. */
export async function chunk (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount, request } = context
  const caller = await context.caller()
  return await withChunk(request, { ...mount.settings, raw: true }, async chunk => {
    const range = await rangeOf(context, chunk, true)
    mount.assertMayKnow(caller)
    return sendRecord(context, await storeNext(context, readUploadId(context.id), chunk, range))
  })
}
