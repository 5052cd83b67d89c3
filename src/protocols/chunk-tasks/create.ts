import type { FastifyReply } from 'fastify'
import { ChecksumMismatch, UploadGone } from '../../errors.js'
import { sendJson } from '../../http/fields/json.js'
import type { CompleteUpload, JsonObject, Upload } from '../../upload.js'
import { cloudFile } from './cloud-file.js'
import { checkPlace } from './complete.js'
import { findKnown } from './dedupe.js'
import { askerOf } from './encryption.js'
import type { TaskContext } from './mount.js'
import { type NewTask, algorithmOf, chunkSizeFor, newTaskState, readNewTask } from './new-task.js'
import { checkPolicy } from './policy.js'
import { chunkSizeOf, chunksCount } from './task.js'
import { taskIdOf } from './task-id.js'

/** POST create: a new task, or the file that makes it needless. */
export async function create (context: TaskContext): Promise<FastifyReply> {
  const { mount: { settings }, request, reply } = context
  const { user } = await context.caller()
  const task = await readNewTask(request)
  const wanted = { ...task.wanted, user }
  const pool = await checkPolicy(settings, wanted, request)
  const found = await findKnown(context, wanted)
  const known = found !== undefined && await isOfAnother(context, found) ? await copyFor(context, found, task) : found
  return sendJson(reply, known === undefined
    ? newTaskAnswer(await createUpload(context, task))
    : {
        file_exists: true,
        file: await cloudFile(settings, known, pool, request),
        task_id: null,
        chunk_size: null,
        chunks_count: null
      })
}

/** What a function of the host has found is shown as it is: the host has decided that. */
async function isOfAnother (context: TaskContext, found: CompleteUpload): Promise<boolean> {
  const { dedupe } = context.mount.settings
  const { restricted, user } = await context.caller()
  return typeof dedupe !== 'function' && restricted && (user === null || found.user !== user)
}

/**
 * A record of the caller's own with a copy of the bytes: the caller learns nothing of the other record, and what becomes of one does not
 * touch the other. Undefined when the file is not there any more as it was. A copy that a crash
 * interrupts is an unfinished upload, which expires.
 */
async function copyFor (context: TaskContext, found: CompleteUpload, task: NewTask): Promise<CompleteUpload | undefined> {
  const { engine } = context.mount
  const caller = await context.caller()
  const copy = await createUpload(context, task)
  try {
    await checkPlace(context, copy)
    return (await engine.concat(caller, copy.id, [found])).upload
  } catch (error) {
    await engine.remove({ ...caller, hooks: {} }, copy.id).catch(() => {})
    if (error instanceof UploadGone || error instanceof ChecksumMismatch) return undefined
    throw error
  }
}

function newTaskAnswer (upload: Upload): JsonObject {
  return {
    file_exists: false,
    file: null,
    task_id: taskIdOf(upload.id),
    chunk_size: chunkSizeOf(upload),
    chunks_count: chunksCount(upload)
  }
}

async function createUpload (context: TaskContext, { wanted, fileName, password, chunkSize }: NewTask): Promise<Upload> {
  const { mount: { engine, settings }, request } = context
  const caller = await context.caller()
  // Of a file that is too large its size is what is wrong, not the number of its chunks.
  engine.checkSize(caller, wanted.fileSize)
  const algorithm = algorithmOf(wanted.hash)
  const { encryption } = settings
  const upload = await engine.create(caller, {
    filename: fileName,
    contentType: wanted.contentType,
    metadata: {},
    protocolState: newTaskState(wanted, null),
    size: wanted.fileSize,
    chunkSize: chunkSizeFor(chunkSize, wanted.fileSize, settings, engine.limits(caller)),
    checksum: algorithm === undefined ? null : { algorithm, value: wanted.hash },
    expiresIn: settings.expirationDelta,
    serial: false
  }, password === null || encryption === undefined
    ? undefined
    : async ({ protocolState }) => ({ ...protocolState, encryption: await encryption.seal(password, askerOf(caller, request)) }))
  request.log.debug({ upload: upload.id }, 'upload task created')
  return upload
}
