import type { FastifyReply } from 'fastify'
import type { UploadEngine } from '../../engine/index.js'
import { PasswordRequired, UploadNotFound } from '../../errors.js'
import { sendUpload } from '../../http/download/send-upload.js'
import type { CompleteUpload } from '../../upload.js'
import { isOver } from './dedupe.js'
import { askerOf } from './encryption.js'
import type { TaskContext } from './mount.js'
import { notFound } from './refusals.js'
import { isTaskState } from './task.js'
import { uploadIdOf } from './task-id.js'

/**
 * GET and HEAD file/{fileId}, where the registration allows downloads: the finished file, until its own time is over. An encrypted one
 * needs its password in the header `x-encrypt-password`, percent-encoded where it has other characters than ASCII.
 */
export async function download (context: TaskContext): Promise<FastifyReply> {
  const { engine, settings: { downloads } } = context.mount
  const id = uploadIdOf(context.param('fileId'))
  const upload = await engine.get(await context.caller(), id).catch((error: unknown) => {
    throw error instanceof UploadNotFound ? notFound('File') : error
  })
  const { protocolState } = upload
  if (upload.status !== 'complete' || (isTaskState(protocolState) && isOver(protocolState.expired_at))) throw notFound('File')
  const inline = downloads === false ? [] : downloads.inline
  return await sendUpload(context, await readerOf(context, upload), upload, { inline })
}

/** @throws {PasswordRequired} {@link PasswordWrong} {@link TooManyPasswords} */
async function readerOf (context: TaskContext, upload: CompleteUpload): Promise<Pick<UploadEngine, 'open' | 'present'>> {
  const { mount: { engine, settings: { encryption } }, request } = context
  if (encryption === undefined || !isTaskState(upload.protocolState) || upload.protocolState.encryption === null) return engine
  const password = request.headers['x-encrypt-password']
  if (typeof password !== 'string' || password === '') throw new PasswordRequired()
  const key = await encryption.unlock(upload, decoded(password), askerOf(await context.caller(), request))
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
