import type { FastifyReply } from 'fastify'
import { UploadComplete } from '../../errors.js'
import type { Upload } from '../../upload.js'
import { type Context, assertMayKnow } from './context.js'

/** DELETE on an upload aborts it. Finished files stay: any client with their address knows the id. */
export async function remove (context: Context): Promise<FastifyReply> {
  const { engine, reply, caller, id } = context
  assertMayKnow(context)
  const onRemove = async (upload: Upload): Promise<void> => {
    if (upload.status === 'complete') throw new UploadComplete()
    await caller.hooks.onRemove?.(upload)
  }
  await engine.remove({ ...caller, hooks: { ...caller.hooks, onRemove } }, id)
  return reply.code(204).send()
}
