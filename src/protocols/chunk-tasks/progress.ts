import type { FastifyReply } from 'fastify'
import { sendJson } from '../../http/fields/json.js'
import { type TaskContext, openTask } from './mount.js'
import { progressRecord } from './task-records.js'

/** GET progress/{taskId} */
export async function progress (context: TaskContext): Promise<FastifyReply> {
  const { upload } = await openTask(context)
  return sendJson(context.reply, progressRecord(upload))
}
