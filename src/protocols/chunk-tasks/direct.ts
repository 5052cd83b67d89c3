import type { FastifyReply } from 'fastify'
import { LengthMismatch, SizeLimitExceeded } from '../../errors.js'
import { cleanFileName } from '../../file-name.js'
import { type FormFile, withFormFile } from '../../http/body/form-file.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { Caller } from '../contract.js'
import { sendFile } from './complete.js'
import { FieldReader, text, time, uuid } from './fields.js'
import type { TaskContext } from './mount.js'
import { newTaskState } from './new-task.js'
import { checkPolicy, noEncryption } from './policy.js'
import { type TaskRefusal, badRequest } from './refusals.js'

const MIB = 1024 * 1024

/**
 * POST direct: a small file in one form, with `pool_id`, `bundle_id` and `expired_at` as fields before or after it. A field `content_type`
 * before it takes the place of the part's own type; after it, it comes too late: by then the file has a type, which was checked.
 */
export async function direct (context: TaskContext): Promise<FastifyReply> {
  const { mount: { engine, settings: { directBytes } }, request } = context
  const known = await context.caller()
  const caller = { ...known, maxBytes: Math.min(known.maxBytes ?? Infinity, directBytes) }
  return await withFormFile(request, { names: ['file'], missing: () => badRequest('File is required') }, async file => {
    // Before a byte of it is stored in clear.
    if (file.fields.has('encrypt_password')) throw noEncryption()
    const upload = await newUpload(context, caller, file)
    try {
      return await storeWhole(context, caller, upload, file)
    } catch (error) {
      await engine.remove({ ...caller, hooks: {} }, upload.id).catch(() => {})
      const { maxBytes } = caller
      const tooLarge = error instanceof SizeLimitExceeded || error instanceof LengthMismatch
      throw tooLarge && maxBytes === directBytes ? fileTooLarge(maxBytes) : error
    }
  })
}

async function newUpload ({ mount: { engine, settings } }: TaskContext, caller: Caller, file: FormFile): Promise<Upload> {
  const { checksum, expirationDelta } = settings
  const wanted = wantedOf(file)
  return await engine.create(caller, {
    filename: file.filename,
    contentType: wanted.contentType,
    metadata: {},
    protocolState: newTaskState({ ...wanted, encrypted: false, fileSize: 0 }, null),
    size: null,
    chunkSize: null,
    checksum: checksum === false ? null : { algorithm: checksum, value: null },
    expiresIn: expirationDelta,
    oneRequest: true,
    serial: false
  })
}

async function storeWhole (context: TaskContext, caller: Caller, { id }: Upload, file: FormFile): Promise<FastifyReply> {
  const { mount: { engine, settings }, request } = context
  const { upload } = await engine.write(caller, id, { start: 0, body: file.body, atomic: true })
  await file.finish()
  const encrypted = file.fields.has('encrypt_password')
  const contentType = upload.contentType ?? ''
  const wanted = { ...wantedOf(file), contentType, encrypted, fileSize: offsetOf(upload), user: caller.user }
  const pool = await checkPolicy({ ...settings, encryption: undefined }, wanted, request)
  await engine.amend(caller, id, { protocolState: { ...upload.protocolState, ...newTaskState(wanted, null) } })
  return await sendFile(context, await engine.complete(caller, id, { asReceived: true, sameRequest: true }), pool)
}

function wantedOf ({ fields, filename, contentType }: FormFile) {
  const read = new FieldReader(Object.fromEntries(fields))
  const wanted = {
    hash: '',
    fileName: cleanFileName(filename),
    contentType: read.optional('content_type', text) || contentType,
    poolId: read.optional('pool_id', uuid),
    bundleId: read.optional('bundle_id', uuid),
    expiredAt: read.optional('expired_at', time)
  }
  read.check()
  return wanted
}

function fileTooLarge (limit: number): TaskRefusal {
  return badRequest(`File is too large for direct upload, max size is ${limit / MIB}MB`)
}
