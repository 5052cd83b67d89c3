import { countBytes } from '../../engine/index.js'
import type { JsonObject, JsonValue, Upload } from '../../upload.js'
import { poolRecord } from './cloud-file.js'
import type { Pool } from './hooks.js'
import {
  type TaskState, chunkSizeOf, chunksCount, countUploaded, isoTime, progressOf, sizeOf, statusOf, taskStateOf, uploadedChunks
} from './task.js'
import { taskIdOf } from './task-id.js'

/** What the records tell of a task, each fact made only for those that have it: the indexes of its chunks are many. */
const FACTS = {
  task_id: upload => taskIdOf(upload.id),
  file_name: upload => upload.filename,
  file_size: sizeOf,
  content_type: upload => upload.contentType,
  chunk_size: chunkSizeOf,
  chunks_count: chunksCount,
  chunks_uploaded: countUploaded,
  progress: progressOf,
  status: statusOf,
  last_activity: upload => isoTime(upload.updatedAt),
  created_at: upload => isoTime(upload.createdAt),
  updated_at: upload => isoTime(upload.updatedAt),
  uploaded_chunks: uploadedChunks
} satisfies Readonly<Record<string, (upload: Upload) => JsonValue>>

/** A record of some of the facts, in the contract's order. */
function recordOf (...names: ReadonlyArray<keyof typeof FACTS>): (upload: Upload) => JsonObject {
  return upload => Object.fromEntries(names.map(name => [name, FACTS[name](upload)]))
}

const factsOf = recordOf(
  'task_id', 'file_name', 'file_size', 'content_type', 'chunk_size', 'chunks_count', 'chunks_uploaded', 'progress', 'status',
  'last_activity', 'created_at', 'updated_at', 'uploaded_chunks'
)

/** A row of the list of tasks. */
export function listedTask (upload: Upload, pool: Pool | null): JsonObject {
  const state = taskStateOf(upload)
  return { ...factsOf(upload), pool: poolOf(state, pool), bundle: bundleOf(state) }
}

export const progressRecord = recordOf(
  'task_id', 'file_name', 'file_size', 'chunks_count', 'chunks_uploaded', 'progress', 'status', 'last_activity', 'uploaded_chunks'
)

/** All that a client needs to go on with a task of which it knows only the id. */
export const resumeRecord = recordOf(
  'task_id', 'file_name', 'file_size', 'content_type', 'chunk_size', 'chunks_count', 'chunks_uploaded', 'uploaded_chunks', 'progress'
)

export const recentRecord = recordOf(
  'task_id', 'file_name', 'file_size', 'content_type', 'progress', 'status', 'last_activity', 'created_at'
)

/** A task with what can be foretold: `upload_speed` in bytes a second since its creation, `estimated_time_remaining` in seconds. */
export function detailsRecord (upload: Upload, pool: Pool | null): JsonObject {
  const state = taskStateOf(upload)
  const { pool: _pool, bundle, ...task } = listedTask(upload, pool)
  const bytes = countBytes(upload.received)
  const seconds = (upload.updatedAt - upload.createdAt) / 1000
  const speed = bytes > 0 && seconds > 0 ? bytes / seconds : null
  return {
    task: { ...task, expired_at: state.expired_at, hash: state.hash },
    pool: poolRecord(pool),
    bundle: bundle ?? null,
    estimated_time_remaining: speed === null ? null : (sizeOf(upload) - bytes) / speed,
    upload_speed: speed
  }
}

function poolOf (state: TaskState, pool: Pool | null): JsonValue {
  return pool === null && state.pool_id === null ? null : { pool_id: pool?.id ?? state.pool_id, name: pool?.name ?? null }
}

function bundleOf ({ bundle_id: id }: TaskState): JsonValue {
  return id === null ? null : { bundle_id: id }
}
