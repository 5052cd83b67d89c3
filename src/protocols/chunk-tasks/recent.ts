import type { FastifyReply } from 'fastify'
import { sendJson } from '../../http/fields/json.js'
import type { JsonObject } from '../../upload.js'
import type { TaskContext } from './mount.js'
import { recentLimit } from './query.js'
import { isTask } from './task.js'
import { recentRecord } from './task-records.js'

/** GET tasks/recent */
export async function recent (context: TaskContext): Promise<FastifyReply> {
  await context.caller()
  return sendJson(context.reply, await recentTasks(context, recentLimit(context.request)))
}

/** The tasks that changed last. */
export async function recentTasks (context: TaskContext, limit: number): Promise<JsonObject[]> {
  if (limit === 0) return []
  const order = { by: 'activity', descending: true } as const
  const tasks = await context.mount.engine.listPage(await context.caller(), { order, offset: 0, limit })
  return tasks.filter(isTask).map(recentRecord)
}
