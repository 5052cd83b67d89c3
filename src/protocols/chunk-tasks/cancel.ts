import type { FastifyReply } from 'fastify'
import { assertUploading } from '../../engine/index.js'
import type { Upload } from '../../upload.js'
import { type TaskContext, openTask } from './mount.js'

/** DELETE task/{taskId}: the chunks go at once, the record says "cancelled" until it is cleaned up or expires. */
export async function cancel (context: TaskContext): Promise<FastifyReply> {
  const caller = await context.caller()
  const { upload } = await openTask(context)
  const { onRemove } = caller.hooks
  const hooks = {
    ...caller.hooks,
    onRemove: async (current: Upload) => {
      // A completion may have been faster: its file stays.
      assertUploading(current)
      await onRemove?.(current)
    }
  }
  await context.mount.engine.remove({ ...caller, hooks }, upload.id, { keepRecord: true })
  return await context.reply.send({ message: 'Upload task cancelled' })
}
