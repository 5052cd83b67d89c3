import type { FastifyReply } from 'fastify'
import { sendJson } from '../../http/fields/json.js'
import { type TaskContext, openTask } from './mount.js'
import { resumeRecord } from './task-records.js'

/** GET resume/{taskId} */
export async function resume (context: TaskContext): Promise<FastifyReply> {
  const { upload } = await openTask(context)
  return sendJson(context.reply, resumeRecord(upload))
}
