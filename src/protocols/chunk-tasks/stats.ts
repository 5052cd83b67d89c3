import type { FastifyReply } from 'fastify'
import { sendJson } from '../../http/fields/json.js'
import type { TaskContext } from './mount.js'
import { PHASES, phasesOf, sumOf } from './phases.js'
import { recentTasks } from './recent.js'
import { progressOf, taskStatus } from './task.js'

/** How many tasks the statistics show as recent. */
const RECENT = 5

/** GET stats */
export async function stats (context: TaskContext): Promise<FastifyReply> {
  const { engine } = context.mount
  const caller = await context.caller()
  const { counts, bytes } = await engine.usage(caller)
  const total = sumOf(counts, PHASES)
  let progress = 100 * counts.complete
  for await (const task of engine.list(caller, { status: 'uploading' })) progress += progressOf(task)
  return sendJson(context.reply, {
    total_tasks: total,
    in_progress_tasks: counts.open,
    completed_tasks: counts.complete,
    failed_tasks: sumOf(counts, phasesOf(taskStatus.Failed)),
    expired_tasks: sumOf(counts, phasesOf(taskStatus.Expired)),
    total_uploaded_bytes: bytes,
    average_progress: total === 0 ? 0 : Math.min(100, progress / total),
    recent_activity: await recentTasks(context, RECENT)
  })
}
