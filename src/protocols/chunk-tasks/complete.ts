import type { FastifyReply } from 'fastify'
import type { Completed } from '../../engine/index.js'
import { UploadIncomplete } from '../../errors.js'
import { sendJson } from '../../http/fields/json.js'
import type { Upload } from '../../upload.js'
import { cloudFile } from './cloud-file.js'
import { isLost } from './errors.js'
import type { Pool } from './hooks.js'
import { type OpenTask, type TaskContext, openTask } from './mount.js'
import { findPool } from './policy.js'
import { TaskRefusal, uploadFailed } from './refusals.js'
import { missingChunks, sizeOf, taskStateOf } from './task.js'
import { keyToVerify } from './verify-encrypted.js'

/** POST complete/{taskId}: the chunks are one file. Whatever is refused keeps the task, so that the client can send what is missing. */
export async function complete (context: TaskContext): Promise<FastifyReply> {
  const { engine, settings } = context.mount
  const caller = await context.caller()
  const task = await openTask(context)
  assertNothingMissing(task, settings.maxChunks)
  const pool = await checkPlace(context, task.upload)
  try {
    const completed = await engine.complete(caller, task.upload.id, { key: await keyToVerify(context, task) })
    return await sendFile(context, completed, pool)
  } catch (error) {
    if (error instanceof UploadIncomplete) assertNothingMissing(await openTask(context), settings.maxChunks)
    if (isLost(error)) throw new TaskRefusal(400, 'SIZE_MISMATCH', `The stored file has not ${sizeOf(task.upload)} bytes.`)
    throw error
  }
}

/** The finished file, unless the host words the reply. */
export async function sendFile (
  { mount: { settings }, request, reply }: TaskContext, { upload, reply: worded }: Completed, pool: Pool | null
): Promise<FastifyReply> {
  reply.code(worded?.statusCode ?? 200).headers(worded?.headers ?? {})
  if (worded?.statusCode === 204) return reply.send()
  return sendJson(reply, worded?.body ?? await cloudFile(settings, upload, pool, request))
}

/** @throws {TaskRefusal} names the lowest chunk that is missing, and up to `most` of them in `meta` */
function assertNothingMissing ({ upload }: OpenTask, most: number): void {
  const missing = missingChunks(upload, most)
  const [first] = missing
  if (first === undefined) return
  throw new TaskRefusal(400, 'CHUNK_MISSING', `Chunk ${first} is missing.`, { facts: { meta: { missing } } })
}

/** Whether pool and bundle are still there for the file; the bundle's expiry becomes the file's. @throws {TaskRefusal} */
export async function checkPlace (context: TaskContext, upload: Upload): Promise<Pool | null> {
  const { mount: { engine, settings }, request } = context
  const state = taskStateOf(upload)
  const pool = await findPool(settings, state.pool_id, request)
  if (pool === undefined) throw uploadFailed('The pool of this upload is not available.')
  if (state.bundle_id === null || settings.resolveBundle === undefined) return pool
  const bundle = await settings.resolveBundle(state.bundle_id, request) ?? null
  if (bundle === null) throw uploadFailed('The bundle of this upload is not available.')
  const { expiredAt } = bundle
  if (expiredAt !== undefined && expiredAt !== null && expiredAt !== state.expired_at) {
    await engine.update(await context.caller(), upload.id, current => ({
      protocolState: { ...current.protocolState, expired_at: expiredAt }
    }))
  }
  return pool
}
