import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { ListOrder, UploadUsage } from '../../engine/index.js'
import type { JsonObject, Upload, UploadPhase } from '../../upload.js'
import type { Caller } from '../contract.js'
import type { Pool } from './hooks.js'
import { type Mount, callerOf, openTask, sendJson } from './mount.js'
import { findPool } from './policy.js'
import { type TaskQuery, recentLimit, taskQuery } from './query.js'
import { isTaskState, progressOf, taskStateOf, taskStatus } from './task.js'
import { detailsRecord, listedTask, progressRecord, recentRecord, resumeRecord } from './task-records.js'

/** How many tasks the statistics show as recent. */
const RECENT = 5

/** GET tasks: the user's own, of every state, with their number in `X-Total`. */
export function listTasks (mount: Mount): RouteHandlerMethod {
  const { engine } = mount.uploads
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const { status, sortBy, descending, offset, limit } = taskQuery(request)
    const now = Date.now()
    const phases = status === undefined ? undefined : phasesOf(status)
    const filter = { order: { by: ORDERS[sortBy], descending }, now, ...phases !== undefined && { phases } }
    const page = limit === 0 ? [] : await engine.listPage(caller, { ...filter, offset, limit })
    const { counts } = await engine.usage(caller, now)
    const pools = new Pools(mount, request)
    const records: JsonObject[] = []
    for (const task of page.filter(isTask)) records.push(listedTask(task, await pools.of(task)))
    return sendJson(reply.header('x-total', sumOf(counts, phases ?? PHASES)), records)
  }
}

/** GET tasks/recent */
export function recentTasks (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    return sendJson(reply, await recent(mount, caller, recentLimit(request)))
  }
}

/** GET stats */
export function stats (mount: Mount): RouteHandlerMethod {
  const { engine } = mount.uploads
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const { counts, bytes } = await engine.usage(caller)
    const total = sumOf(counts, PHASES)
    let progress = 100 * counts.complete
    for await (const task of engine.list(caller, { status: 'uploading' })) progress += progressOf(task)
    return sendJson(reply, {
      total_tasks: total,
      in_progress_tasks: counts.open,
      completed_tasks: counts.complete,
      failed_tasks: sumOf(counts, phasesOf(taskStatus.Failed)),
      expired_tasks: sumOf(counts, phasesOf(taskStatus.Expired)),
      total_uploaded_bytes: bytes,
      average_progress: total === 0 ? 0 : Math.min(100, progress / total),
      recent_activity: await recent(mount, caller, RECENT)
    })
  }
}

async function recent ({ uploads: { engine } }: Mount, caller: Caller, limit: number): Promise<JsonObject[]> {
  if (limit === 0) return []
  const tasks = await engine.listPage(caller, { order: { by: 'activity', descending: true }, offset: 0, limit })
  return tasks.filter(isTask).map(recentRecord)
}

/** GET progress/{taskId} */
export function progress (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const { upload } = await openTask(mount, await callerOf(mount, request, reply), request)
    return sendJson(reply, progressRecord(upload))
  }
}

/** GET resume/{taskId} */
export function resume (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const { upload } = await openTask(mount, await callerOf(mount, request, reply), request)
    return sendJson(reply, resumeRecord(upload))
  }
}

/** GET tasks/{taskId}/details */
export function details (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const { upload } = await openTask(mount, await callerOf(mount, request, reply), request)
    return sendJson(reply, detailsRecord(upload, await new Pools(mount, request).of(upload)))
  }
}

/** False where the host has overwritten what the contract keeps with a task. */
function isTask ({ protocolState }: Upload): boolean {
  return isTaskState(protocolState)
}

/** The pools of a page of tasks, each asked for once. */
class Pools {
  readonly #known = new Map<string | null, Promise<Pool | null | undefined>>()

  constructor (readonly mount: Mount, readonly request: FastifyRequest) {}

  async of (task: Upload): Promise<Pool | null> {
    const { pool_id: id } = taskStateOf(task)
    const pool = this.#known.get(id) ?? findPool(this.mount.settings, id, this.request)
    this.#known.set(id, pool)
    return await pool ?? null
  }
}

const ORDERS: Readonly<Record<TaskQuery['sortBy'], ListOrder['by']>> = {
  filename: 'filename',
  filesize: 'size',
  createdat: 'created',
  updatedat: 'activity',
  lastactivity: 'activity'
}

const PHASES: readonly UploadPhase[] = ['open', 'overdue', 'complete', 'expired', 'removed', 'invalid', 'lost']

/** What uploads of a task's status are; none for a status that no task here has. */
function phasesOf (status: number): readonly UploadPhase[] {
  switch (status) {
    case taskStatus.InProgress: return ['open']
    case taskStatus.Completed: return ['complete']
    case taskStatus.Failed: return ['invalid', 'lost']
    case taskStatus.Cancelled: return ['removed']
    case taskStatus.Expired: return ['overdue', 'expired']
    default: return []
  }
}

function sumOf (counts: UploadUsage['counts'], phases: readonly UploadPhase[]): number {
  return phases.reduce((sum, phase) => sum + counts[phase], 0)
}
