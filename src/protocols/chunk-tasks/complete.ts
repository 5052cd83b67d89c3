import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { UploadIncomplete } from '../../errors.js'
import type { Completed } from '../../engine/index.js'
import type { Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import { cloudFile } from './cloud-file.js'
import type { Pool } from './hooks.js'
import { type Mount, type OpenTask, callerOf, openTask, sendJson } from './mount.js'
import { findPool } from './policy.js'
import { Refused, uploadFailed } from './problem.js'
import { keyToVerify } from './verify-encrypted.js'
import { missingChunks, sizeOf, taskStateOf } from './task.js'
import { isLost } from './wording.js'

/** POST complete/{taskId}: the chunks are one file. Whatever is refused keeps the task, so that the client can send what is missing. */
export function complete (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const task = await openTask(mount, caller, request)
    assertNothingMissing(mount, task)
    const pool = await checkPlace(mount, caller, task.upload, request)
    try {
      const { engine } = mount.uploads
      const key = await keyToVerify(mount, task, caller, request)
      const completed = await engine.complete(caller, task.upload.id, { key })
      return await sendFile(mount, completed, pool, request, reply)
    } catch (error) {
      if (error instanceof UploadIncomplete) assertNothingMissing(mount, await openTask(mount, caller, request))
      if (isLost(error)) {
        throw new Refused({ status: 400, code: 'SIZE_MISMATCH', message: `The stored file has not ${sizeOf(task.upload)} bytes.` })
      }
      throw error
    }
  }
}

/** The finished file, unless the host words the reply. */
export async function sendFile (
  { settings }: Mount, { upload, reply: worded }: Completed, pool: Pool | null, request: FastifyRequest, reply: FastifyReply
): Promise<FastifyReply> {
  reply.code(worded?.statusCode ?? 200).headers(worded?.headers ?? {})
  if (worded?.statusCode === 204) return reply.send()
  return sendJson(reply, worded?.body ?? await cloudFile(settings, upload, pool, request))
}

/** @throws {Refused} names the lowest chunk that is missing, and all of them in `meta` */
function assertNothingMissing ({ settings: { maxChunks } }: Mount, { upload }: OpenTask): void {
  const missing = missingChunks(upload, maxChunks)
  const [first] = missing
  if (first === undefined) return
  throw new Refused({ status: 400, code: 'CHUNK_MISSING', message: `Chunk ${first} is missing.`, meta: { missing } })
}

/** Whether pool and bundle are still there for the file; the bundle's expiry becomes the file's. @throws {Refused} */
export async function checkPlace (
  { uploads: { engine }, settings }: Mount, caller: Caller, upload: Upload, request: FastifyRequest
): Promise<Pool | null> {
  const state = taskStateOf(upload)
  const pool = await findPool(settings, state.pool_id, request)
  if (pool === undefined) throw uploadFailed('The pool of this upload is not available.')
  if (state.bundle_id === null || settings.resolveBundle === undefined) return pool
  const bundle = await settings.resolveBundle(state.bundle_id, request) ?? null
  if (bundle === null) throw uploadFailed('The bundle of this upload is not available.')
  const { expiredAt } = bundle
  if (expiredAt !== undefined && expiredAt !== null && expiredAt !== state.expired_at) {
    await engine.update(caller, upload.id, current => ({ protocolState: { ...current.protocolState, expired_at: expiredAt } }))
  }
  return pool
}
