import type { FastifyRequest } from 'fastify'
import type { UploadLimits } from '../../engine/index.js'
import { ChunkSizeRefused } from '../../errors.js'
import { cleanFileName } from '../../file-name.js'
import { formKind, mediaType, readForm } from '../../http/body/form.js'
import { hasBody } from '../../http/body/stream-scope.js'
import { FieldReader, count, size, text, time, uuid } from './fields.js'
import type { WantedTask } from './hooks.js'
import type { ChunkSizes } from './options.js'
import { unsupported } from './refusals.js'
import type { TaskState } from './task.js'

/** What `create` was asked for. */
export interface NewTask {
  readonly wanted: Omit<WantedTask, 'user'>
  /** As the client wrote it. */
  readonly fileName: string
  readonly password: string | null
  /** Bytes. */
  readonly chunkSize: number | null
}

/** Reads the JSON body of `create`. @throws {TaskRefusal} {@link JsonInvalid} */
export async function readNewTask (request: FastifyRequest): Promise<NewTask> {
  if (hasBody(request) && formKind(request) !== 'json') {
    throw unsupported(`Unsupported media type "${mediaType(request)}" in request.`)
  }
  const fields = new FieldReader(await readForm(request))
  const hash = fields.required('hash', text, '')
  const fileName = fields.required('file_name', text, '')
  const wanted = {
    hash,
    fileName: cleanFileName(fileName),
    fileSize: fields.required('file_size', size, 0),
    contentType: fields.required('content_type', text, ''),
    poolId: fields.optional('pool_id', uuid),
    bundleId: fields.optional('bundle_id', uuid),
    expiredAt: fields.optional('expired_at', time)
  }
  const password = fields.optional('encrypt_password', text) || null
  const chunkSize = fields.optional('chunk_size', count)
  fields.check()
  return { wanted: { ...wanted, encrypted: password !== null }, fileName, password, chunkSize }
}

/**
 * Bytes of a chunk: as wanted, within the limits of the host and of the storage.
 * @throws {ChunkSizeRefused} the file would have too many chunks of the largest size
 */
export function chunkSizeFor (
  wanted: number | null, fileSize: number, settings: ChunkSizes, can: UploadLimits
): number {
  const { chunkSize, minChunkSize, maxChunkSize, maxChunks } = settings
  const least = Math.max(minChunkSize, can.minChunkSize)
  const most = Math.max(least, Math.min(maxChunkSize, can.maxChunkSize))
  const mostChunks = Math.min(maxChunks, can.maxChunks)
  const forCount = Math.ceil(fileSize / mostChunks)
  if (forCount > most) throw new ChunkSizeRefused(`a file can have at most ${mostChunks} chunks of at most ${most} bytes`)
  return Math.min(most, Math.max(least, forCount, wanted ?? chunkSize))
}

const ALGORITHMS: Readonly<Record<number, string>> = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' }

/** Which checksum a hash is, by its length; undefined for one of an unknown kind. */
export function algorithmOf (hash: string): string | undefined {
  return /^[\da-f]+$/i.test(hash) ? ALGORITHMS[hash.length] : undefined
}

export function newTaskState (
  { hash, poolId, bundleId, expiredAt }: Omit<WantedTask, 'user'>, encryption: TaskState['encryption']
): TaskState {
  return { hash, pool_id: poolId, bundle_id: bundleId, expired_at: expiredAt, encryption }
}
