import type { FastifyReply, FastifyRequest } from 'fastify'
import { assertUploading } from '../../engine/index.js'
import type { Upload, UploadingUpload } from '../../upload.js'
import type { Caller, Uploads } from '../contract.js'
import type { ChunkTasksSettings } from './options.js'
import { unauthorized } from './problem.js'
import { type TaskState, taskStateOf } from './task.js'
import { uploadIdOf } from './task-id.js'

/** What the handlers of one mount share. */
export interface Mount {
  readonly uploads: Uploads
  readonly settings: ChunkTasksSettings
}

/** @throws {Refused} the request has no user, where one is required */
export async function callerOf ({ uploads, settings }: Mount, request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
  const caller = await uploads.caller(request, reply)
  if (settings.requireUser && caller.user === null) throw unauthorized()
  return caller
}

/** A task that is in progress, and what the contract keeps with it. */
export interface OpenTask {
  readonly upload: UploadingUpload
  readonly state: TaskState
}

/**
 * The task of the URL, if it is the caller's and in progress.
 * @throws {Refused} {@link UploadNotFound} {@link UploadComplete} {@link UploadExpired} {@link UploadGone}
 */
export async function openTask ({ uploads: { engine } }: Mount, caller: Caller, request: FastifyRequest): Promise<OpenTask> {
  const upload: Upload = await engine.get(caller, uploadIdOf(param(request, 'taskId')))
  assertUploading(upload)
  return { upload, state: taskStateOf(upload) }
}

/** A parameter of the URL. */
export function param ({ params }: FastifyRequest, name: string): string {
  const entries = typeof params === 'object' && params !== null ? Object.entries(params) : []
  const value: unknown = entries.find(([key]) => key === name)?.[1]
  return typeof value === 'string' ? value : ''
}

/** JSON as it is: the host's hooks may have changed the record, so that no schema knows its members. */
export function sendJson (reply: FastifyReply, value: unknown): FastifyReply {
  reply.type('application/json; charset=utf-8')
  return value === null ? reply.send('null') : reply.serializer((sent: unknown) => JSON.stringify(sent)).send(value)
}
