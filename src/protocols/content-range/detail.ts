import type { FastifyReply } from 'fastify'
import { UploadGone } from '../../errors.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import { type ContentRangeContext, sendRecord } from './mount.js'
import { isShown } from './record.js'

/** GET on an upload: its record, also when it is expired or complete. */
export async function detail (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount } = context
  const caller = await context.caller()
  mount.assertMayKnow(caller)
  const upload = await mount.engine.get(caller, readUploadId(context.id))
  if (!isShown(upload)) throw new UploadGone()
  context.reply.header('cache-control', 'no-store')
  return sendRecord(context, upload)
}
