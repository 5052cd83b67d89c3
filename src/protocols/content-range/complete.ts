import type { FastifyReply } from 'fastify'
import { readUploadId } from '../../http/fields/upload-id.js'
import { checksumOf, formOf } from './checksum-field.js'
import { type ContentRangeContext, sendCompleted, sendRecord } from './mount.js'

/** POST on an upload: all bytes are there, and this is their checksum. */
export async function complete (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount, request, reply } = context
  const caller = await context.caller()
  const fields = await formOf(request)
  const checksum = checksumOf(name => fields[name], mount.settings)
  mount.assertMayKnow(caller)
  const completed = await mount.engine.complete(caller, readUploadId(context.id), { ...checksum !== undefined && { checksum } })
  return sendCompleted(reply, completed, () => sendRecord(context, completed.upload))
}
