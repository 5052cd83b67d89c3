import type { RouteHandlerMethod } from 'fastify'
import { assertUploading } from '../../engine/index.js'
import type { Upload } from '../../upload.js'
import { type Mount, callerOf, openTask } from './mount.js'
import { isTaskState, statusOf, taskStatus } from './task.js'

/** DELETE task/{taskId}: the chunks go at once, the record says "cancelled" until it is cleaned up or expires. */
export function cancel (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const { upload } = await openTask(mount, caller, request)
    const { onRemove } = caller.hooks
    const hooks = {
      ...caller.hooks,
      onRemove: async (current: Upload) => {
        // A completion may have been faster: its file stays.
        assertUploading(current)
        await onRemove?.(current)
      }
    }
    await mount.uploads.engine.remove({ ...caller, hooks }, upload.id, { keepRecord: true })
    return await reply.send({ message: 'Upload task cancelled' })
  }
}

/** DELETE tasks/cleanup: the user's failed, cancelled and expired tasks, with what there still is of them. */
export function cleanup (mount: Mount): RouteHandlerMethod {
  const { engine } = mount.uploads
  const isDead = (upload: Upload): boolean => {
    const status = statusOf(upload)
    return status !== taskStatus.InProgress && status !== taskStatus.Completed
  }
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const failed = engine.list(caller, { phases: ['overdue', 'expired', 'removed', 'invalid', 'lost'] })
    const cleaned = await engine.purge(failed, task => isTaskState(task.protocolState) && isDead(task))
    return await reply.send({ message: `Cleaned up ${cleaned} failed tasks` })
  }
}
