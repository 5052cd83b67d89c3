import type { FastifyReply } from 'fastify'
import type { Upload } from '../../upload.js'
import type { TaskContext } from './mount.js'
import { isTask, statusOf, taskStatus } from './task.js'

/** DELETE tasks/cleanup: the user's failed, cancelled and expired tasks, with what there still is of them. */
export async function cleanup (context: TaskContext): Promise<FastifyReply> {
  const { mount: { engine }, reply } = context
  const failed = engine.list(await context.caller(), { phases: ['overdue', 'expired', 'removed', 'invalid', 'lost'] })
  const cleaned = await engine.purge(failed, task => isTask(task) && isDead(task))
  return await reply.send({ message: `Cleaned up ${cleaned} failed tasks` })
}

function isDead (upload: Upload): boolean {
  const status = statusOf(upload)
  return status !== taskStatus.InProgress && status !== taskStatus.Completed
}
