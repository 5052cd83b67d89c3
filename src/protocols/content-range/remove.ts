import type { FastifyReply } from 'fastify'
import { UploadComplete } from '../../errors.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import type { Upload } from '../../upload.js'
import type { ContentRangeContext } from './mount.js'

/** DELETE on an upload aborts it. Finished files stay: any client with their address knows the id. */
export async function remove (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount, reply } = context
  const caller = await context.caller()
  mount.assertMayKnow(caller)
  const onRemove = async (upload: Upload): Promise<void> => {
    if (upload.status === 'complete') throw new UploadComplete()
    await caller.hooks.onRemove?.(upload)
  }
  await mount.engine.remove({ ...caller, hooks: { ...caller.hooks, onRemove } }, readUploadId(context.id))
  return reply.code(204).send()
}
