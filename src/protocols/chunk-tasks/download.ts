import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import { PasswordRequired, UploadNotFound } from '../../errors.js'
import { sendUpload } from '../../http/download/send-upload.js'
import type { UploadEngine } from '../../engine/index.js'
import type { CompleteUpload } from '../../upload.js'
import type { Caller, ProtocolSettings } from '../contract.js'
import { isOver } from './dedupe.js'
import { askerOf } from './encryption.js'
import { type Mount, callerOf, param } from './mount.js'
import { notFound } from './problem.js'
import { isTaskState } from './task.js'
import { uploadIdOf } from './task-id.js'

/**
 * GET and HEAD file/{fileId}, where the registration allows downloads: the finished file, until its own time is over. An encrypted one
 * needs its password in the header `x-encrypt-password`, percent-encoded where it has other characters than ASCII.
 */
export function download (mount: Mount, { inline }: Exclude<ProtocolSettings['downloads'], false>): RouteHandlerMethod {
  const { engine } = mount.uploads
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const upload = await engine.get(caller, uploadIdOf(param(request, 'fileId'))).catch((error: unknown) => {
      throw error instanceof UploadNotFound ? notFound('File') : error
    })
    const { protocolState } = upload
    if (upload.status !== 'complete' || (isTaskState(protocolState) && isOver(protocolState.expired_at))) throw notFound('File')
    return await sendUpload(request, reply, await readerOf(mount, caller, upload, request), upload, { inline })
  }
}

/** @throws {PasswordRequired} {@link PasswordWrong} {@link TooManyPasswords} */
async function readerOf (
  { uploads: { engine }, settings: { encryption } }: Mount, caller: Caller, upload: CompleteUpload, request: FastifyRequest
): Promise<Pick<UploadEngine, 'open' | 'present'>> {
  if (encryption === undefined || !isTaskState(upload.protocolState) || upload.protocolState.encryption === null) return engine
  const password = request.headers['x-encrypt-password']
  if (typeof password !== 'string' || password === '') throw new PasswordRequired()
  const key = await encryption.unlock(upload, decoded(password), askerOf(caller, request))
  return {
    present: async upload => await engine.present(upload),
    open: async (upload, range, options) => await engine.open(upload, range, { ...options, key })
  }
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
