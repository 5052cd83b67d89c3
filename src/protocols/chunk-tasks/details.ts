import type { FastifyReply } from 'fastify'
import { sendJson } from '../../http/fields/json.js'
import { type TaskContext, openTask } from './mount.js'
import { Pools } from './pools.js'
import { detailsRecord } from './task-records.js'

/** GET tasks/{taskId}/details */
export async function details (context: TaskContext): Promise<FastifyReply> {
  const { upload } = await openTask(context)
  return sendJson(context.reply, detailsRecord(upload, await new Pools(context).of(upload)))
}
