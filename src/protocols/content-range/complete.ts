import type { FastifyReply } from 'fastify'
import { checksumOf, formOf } from './checksum-field.js'
import { type Context, assertMayKnow, sendCompleted, sendRecord } from './context.js'

/** POST on an upload: all bytes are there, and this is their checksum. */
export async function complete (context: Context): Promise<FastifyReply> {
  const { engine, settings, request, caller, id } = context
  const fields = await formOf(request)
  const checksum = checksumOf(name => fields[name], settings)
  assertMayKnow(context)
  const completed = await engine.complete(caller, id, { ...checksum !== undefined && { checksum } })
  return sendCompleted(context, completed, () => sendRecord(context, completed.upload))
}
