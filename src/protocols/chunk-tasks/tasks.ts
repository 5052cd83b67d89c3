import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import { countBytes } from '../../engine/byte-ranges.js'
import type { JsonObject, Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import type { Pool } from './hooks.js'
import { type Mount, callerOf, openTask, sendJson } from './mount.js'
import { findPool } from './policy.js'
import { type TaskQuery, recentLimit, taskQuery } from './query.js'
import { isTaskState, progressOf, sizeOf, statusOf, taskStateOf, taskStatus } from './task.js'
import { detailsRecord, listedTask, progressRecord, recentRecord, resumeRecord } from './task-records.js'

/** How many tasks the statistics show as recent. */
const RECENT = 5

/** GET tasks: the user's own, of every state, with their number in `X-Total`. */
export function listTasks (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const query = taskQuery(request)
    const tasks = (await ownTasks(mount, caller)).filter(task => query.status === undefined || statusOf(task) === query.status)
    const page = sorted(tasks, query).slice(query.offset, query.offset + query.limit)
    const pools = new Pools(mount, request)
    const records: JsonObject[] = []
    for (const task of page) records.push(listedTask(task, await pools.of(task)))
    return sendJson(reply.header('x-total', tasks.length), records)
  }
}

/** GET tasks/recent */
export function recentTasks (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const limit = recentLimit(request)
    return sendJson(reply, newest(await ownTasks(mount, caller)).slice(0, limit).map(recentRecord))
  }
}

/** GET stats */
export function stats (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const tasks = await ownTasks(mount, caller)
    const count = (status: number): number => tasks.filter(task => statusOf(task) === status).length
    const progress = tasks.reduce((sum, task) => sum + progressOf(task), 0)
    return sendJson(reply, {
      total_tasks: tasks.length,
      in_progress_tasks: count(taskStatus.InProgress),
      completed_tasks: count(taskStatus.Completed),
      failed_tasks: count(taskStatus.Failed),
      expired_tasks: count(taskStatus.Expired),
      total_uploaded_bytes: tasks.reduce((sum, task) => sum + countBytes(task.received), 0),
      average_progress: tasks.length === 0 ? 0 : progress / tasks.length,
      recent_activity: newest(tasks).slice(0, RECENT).map(recentRecord)
    })
  }
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

/** Whatever the caller may list: nothing for an anonymous one, where users have their own uploads. */
export async function ownTasks ({ uploads: { engine } }: Mount, caller: Caller): Promise<Upload[]> {
  const tasks: Upload[] = []
  for await (const upload of engine.list(caller)) {
    if (isTaskState(upload.protocolState)) tasks.push(upload)
  }
  return tasks
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

function newest (tasks: readonly Upload[]): Upload[] {
  return [...tasks].sort((one, other) => other.updatedAt - one.updatedAt)
}

const ORDERS: Readonly<Record<TaskQuery['sortBy'], (one: Upload, other: Upload) => number>> = {
  filename: (one, other) => one.filename < other.filename ? -1 : Number(one.filename > other.filename),
  filesize: (one, other) => sizeOf(one) - sizeOf(other),
  createdat: (one, other) => one.createdAt - other.createdAt,
  updatedat: (one, other) => one.updatedAt - other.updatedAt,
  lastactivity: (one, other) => one.updatedAt - other.updatedAt
}

function sorted (tasks: readonly Upload[], { sortBy, descending }: TaskQuery): Upload[] {
  const order = ORDERS[sortBy]
  return [...tasks].sort((one, other) => descending ? order(other, one) : order(one, other))
}
