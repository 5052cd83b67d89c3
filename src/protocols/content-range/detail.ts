import type { FastifyReply } from 'fastify'
import { UploadGone } from '../../errors.js'
import { type Context, assertMayKnow, sendRecord } from './context.js'
import { isShown } from './record.js'

/** GET on an upload: its record, also when it is expired or complete. */
export async function detail (context: Context): Promise<FastifyReply> {
  assertMayKnow(context)
  const upload = await context.engine.get(context.caller, context.id)
  if (!isShown(upload)) throw new UploadGone()
  context.reply.header('cache-control', 'no-store')
  return sendRecord(context, upload)
}
