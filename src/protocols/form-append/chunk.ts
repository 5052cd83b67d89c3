import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, SpooledBody } from '../../engine/index.js'
import { BodyCut, ForeignClient, OffsetMismatch, SizeLimitExceeded, StorageTrouble } from '../../errors.js'
import { cleanFileName } from '../../file-name.js'
import { mediaType } from '../../http/body/form.js'
import { type FormFile, withFormFile } from '../../http/body/form-file.js'
import { hasBody } from '../../http/body/stream-scope.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import type { Upload } from '../../upload.js'
import type { Context } from '../context.js'
import { Refusal } from '../refusal.js'
import { DirectWrite } from './direct-write.js'
import { unsupportedType } from './errors.js'
import type { FormMount } from './mount.js'
import { recordOf } from './record.js'

/** Characters of a name in the original's database. */
const NAME_LENGTH = 255

/** `POST upload/`: appends the part `file` to the upload `upload_id`, or starts a new upload with it. */
export async function chunk (context: Context<FormMount>): Promise<FastifyReply> {
  const { mount, request, reply } = context
  if (mediaType(request) !== 'multipart/form-data' && hasBody(request)) throw unsupportedType(request.headers['content-type'])
  const caller = await context.caller()
  const upload = await withFormFile(request, { names: mount.settings.fieldNames, missing: noFile }, async file => {
    const form: ChunkForm = { mount, caller, request, file }
    const uploadId = uploadIdOf(form)
    return uploadId === undefined ? await storeWhenRead(form) : await appendAsItComes(form, uploadId)
  })
  return reply.send(recordOf(mount, upload, request))
}

/** One form on its way in. */
interface ChunkForm {
  readonly mount: FormMount
  readonly caller: Caller
  readonly request: FastifyRequest
  readonly file: FormFile
}

/** The form names its upload before the file: its bytes go straight there, and count once the form has ended. */
async function appendAsItComes ({ mount, caller, request, file }: ChunkForm, id: string): Promise<Upload> {
  const direct = new DirectWrite(mount, caller, id, file.body)
  try {
    await Promise.race([file.finish(), direct.failed])
    const start = startOf({ mount, request, file })
    return await direct.finish(start).catch(async (error: unknown) => {
      if (!isThere(error, start, direct.bytes)) throw error
      return await mount.engine.get(caller, id)
    })
  } finally {
    await direct.abort()
  }
}

/** What the form says after the file may name its upload; else it is a new one. */
async function storeWhenRead (form: ChunkForm): Promise<Upload> {
  const { mount, caller, file } = form
  const part = await mount.engine.spool(caller, file.body, mount.spoolExpiry)
  try {
    await file.finish()
    const start = startOf(form)
    const id = uploadIdOf(form)
    if (id === undefined) return await startNew(form, part, start ?? startInFile(form))
    return await append(form, part, id, start ?? 'end').catch(async (error: unknown) => {
      if (!isThere(error, start, part.length)) throw error
      return await mount.engine.get(caller, id)
    })
  } finally {
    await part.discard()
  }
}

/** True where a chunk did not fit because it is there already, by what the client says of its place: it is as good as stored now. */
function isThere (error: unknown, start: number | undefined, length: number): boolean {
  return start !== undefined && error instanceof OffsetMismatch && start + length <= error.expected
}

async function startNew (form: ChunkForm, part: SpooledBody, start: number): Promise<Upload> {
  const { mount: { engine, names, settings: { expirationDelta, checksum } }, caller, file } = form
  const { maxBytes } = caller
  if (start !== 0) throw new OffsetMismatch(0, start)
  if (maxBytes !== null && part.length > maxBytes) throw new SizeLimitExceeded(maxBytes)
  const told = toldName(file)
  const filename = nameOf(told)
  const { id } = await engine.create(caller, {
    filename,
    contentType: file.contentType,
    metadata: told === filename || told === '' ? {} : { filename: told },
    protocolState: names.take(filename),
    size: null,
    chunkSize: null,
    checksum: checksum === false ? null : { algorithm: checksum, value: null },
    expiresIn: expirationDelta,
    serial: true
  })
  try {
    return await append(form, part, id, 0)
  } catch (error) {
    // The client never heard of it.
    await engine.remove({ ...caller, hooks: {} }, id).catch(() => {})
    throw error
  }
}

async function append ({ mount, caller }: ChunkForm, part: SpooledBody, id: string, start: number | 'end'): Promise<Upload> {
  const body = part.open()
  try {
    const { upload } = await mount.engine.write(caller, id, {
      start, body, own: true, length: part.length, counted: part.counted, atomic: true
    })
    return upload
  } catch (error) {
    // The client has sent all of it: that it broke off is the storage's trouble.
    throw error instanceof BodyCut ? new StorageTrouble({ cause: error.cause }) : error
  } finally {
    body.destroy()
  }
}

/** The upload that the fields read so far name; undefined for a new one. */
function uploadIdOf ({ file: { fields } }: ChunkForm): string | undefined {
  const uploadId = fields.get('upload_id')
  return uploadId === undefined || uploadId === '' ? undefined : readUploadId(uploadId)
}

/** The byte at which the client says the chunk starts; undefined when it does not say. @throws {Refusal} */
function startOf ({ mount, request, file }: Omit<ChunkForm, 'caller'>): number | undefined {
  const offset = file.fields.get('offset')
  if (offset !== undefined && offset !== '') {
    if (!/^\d{1,15}$/.test(offset)) throw new Refusal(400, 'Invalid offset.')
    return Number(offset)
  }
  const header = mount.settings.contentRange ? request.headers['content-range'] : undefined
  if (header === undefined) return undefined
  const [, first] = /^bytes (\d{1,15})-\d+\/(?:\d+|\*)$/.exec(header) ?? []
  if (first === undefined) throw new Refusal(400, 'Invalid Content-Range.')
  return Number(first)
}

/**
 * The byte from which a new upload is sent where the fields do not tell.
 * @throws {ForeignClient} Content-Range, which means nothing here, shows that the client takes it for a later one
 */
function startInFile ({ request }: ChunkForm): number {
  const [, first = '0'] = /^bytes (\d+)-/.exec(request.headers['content-range'] ?? '') ?? []
  if (/^0*$/.test(first)) return 0
  const instead = 'add the upload_id of the first answer to the form, or use contentRange()'
  throw new ForeignClient('clients of contentRange', 'Content-Range without upload_id', instead)
}

/** The name as the client wrote it: in the field, else in the part. */
function toldName ({ fields, filename }: FormFile): string {
  const field = fields.get('filename') ?? ''
  return cleanFileName(field) === '' ? filename : field
}

function nameOf (told: string): string {
  const name = cleanFileName(told)
  // Half a character at the cut is none.
  return name === '' ? 'blob' : name.slice(0, NAME_LENGTH).replace(/[\ud800-\udbff]$/, '')
}

function noFile (): Refusal {
  return new Refusal(400, 'No file provided.')
}
