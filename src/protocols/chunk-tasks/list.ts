import type { FastifyReply } from 'fastify'
import type { ListOrder } from '../../engine/index.js'
import { sendJson } from '../../http/fields/json.js'
import type { JsonObject } from '../../upload.js'
import type { TaskContext } from './mount.js'
import { PHASES, phasesOf, sumOf } from './phases.js'
import { Pools } from './pools.js'
import { type TaskQuery, taskQuery } from './query.js'
import { isTask } from './task.js'
import { listedTask } from './task-records.js'

const ORDERS: Readonly<Record<TaskQuery['sortBy'], ListOrder['by']>> = {
  filename: 'filename',
  filesize: 'size',
  createdat: 'created',
  updatedat: 'activity',
  lastactivity: 'activity'
}

/** GET tasks: the user's own, of every state, with their number in `X-Total`. */
export async function list (context: TaskContext): Promise<FastifyReply> {
  const { mount: { engine }, request, reply } = context
  const caller = await context.caller()
  const { status, sortBy, descending, offset, limit } = taskQuery(request)
  const now = Date.now()
  const phases = status === undefined ? undefined : phasesOf(status)
  const filter = { order: { by: ORDERS[sortBy], descending }, now, ...phases !== undefined && { phases } }
  const page = limit === 0 ? [] : await engine.listPage(caller, { ...filter, offset, limit })
  const { counts } = await engine.usage(caller, now)
  const pools = new Pools(context)
  const records: JsonObject[] = []
  for (const task of page.filter(isTask)) records.push(listedTask(task, await pools.of(task)))
  return sendJson(reply.header('x-total', sumOf(counts, phases ?? PHASES)), records)
}
