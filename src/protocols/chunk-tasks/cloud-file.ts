import type { FastifyRequest } from 'fastify'
import type { CompleteUpload, JsonObject, JsonValue } from '../../upload.js'
import type { ChunkTaskHooks, Pool } from './hooks.js'
import { isoTime, taskStateOf } from './task.js'
import { taskIdOf } from './task-id.js'

/** The contract's file record, or what the host makes of it. All members are there, null included. */
export async function cloudFile (
  { fileRecord }: ChunkTaskHooks, upload: CompleteUpload, pool: Pool | null, request: FastifyRequest
): Promise<JsonObject> {
  const state = taskStateOf(upload)
  const id = taskIdOf(upload.id)
  const file: JsonObject = {
    id,
    name: upload.filename,
    size: upload.size,
    mime_type: upload.contentType,
    hash: upload.checksum?.value ?? state.hash,
    description: null,
    file_meta: {},
    user_meta: null,
    sensitive_marks: [],
    references: [],
    expired_at: state.expired_at,
    uploaded_at: isoTime(upload.completedAt),
    has_compression: false,
    has_thumbnail: false,
    is_encrypted: state.encryption !== null,
    is_marked_recycle: false,
    pool: poolRecord(pool),
    pool_id: pool?.id ?? state.pool_id,
    bundle_id: state.bundle_id,
    storage_id: upload.location,
    storage_url: null,
    account_id: upload.user,
    resource_identifier: `file:${id}`,
    created_at: isoTime(upload.createdAt),
    updated_at: isoTime(upload.updatedAt),
    deleted_at: null
  }
  return await fileRecord?.(upload, request, file) ?? file
}

export function poolRecord (pool: Pool | null): JsonValue {
  return pool === null ? null : pool.record ?? { id: pool.id ?? null, name: pool.name ?? null, description: pool.description ?? null }
}
