import type { Readable } from 'node:stream'
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Caller } from '../../engine/index.js'
import { BodyCut, ForeignClient, FormInvalid, OffsetMismatch, SizeLimitExceeded, StorageTrouble } from '../../errors.js'
import { cleanFileName } from '../../file-name.js'
import { assertNoFile, mediaType, partsOf } from '../../http/body/form.js'
import type { FilePart, Part } from '../../http/body/multipart.js'
import { hasBody } from '../../http/body/stream-scope.js'
import type { Upload } from '../../upload.js'
import { DirectWrite } from './direct-write.js'
import { idOf, type Mount } from './mount.js'
import { recordOf } from './record.js'
import { type SpooledPart, spoolPart } from './spool.js'
import { Refusal, unsupportedType } from './wording.js'

/** Characters of a name in the original's database. */
const NAME_LENGTH = 255

/** `POST upload/`: appends the part `file` to the upload `upload_id`, or starts a new upload with it. */
export function receiveChunk (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    if (mediaType(request) !== 'multipart/form-data' && hasBody(request)) throw unsupportedType(request.headers['content-type'])
    const caller = await mount.caller(request, reply)
    const upload = await new ChunkForm(mount, caller, request).read()
    return reply.send(recordOf(mount, upload, request))
  }
}

/** One form on its way in. */
class ChunkForm {
  readonly #mount: Mount
  readonly #caller: Caller
  readonly #request: FastifyRequest
  readonly #fields = new Map<string, string>()
  #file: { readonly filename: string, readonly contentType: string } | undefined
  #direct: DirectWrite | undefined
  #spooled: SpooledPart | undefined

  constructor (mount: Mount, caller: Caller, request: FastifyRequest) {
    this.#mount = mount
    this.#caller = caller
    this.#request = request
  }

  async read (): Promise<Upload> {
    if (!hasBody(this.#request)) throw noFile()
    const parts = partsOf(this.#request)
    try {
      while (true) {
        const next = await (this.#direct === undefined ? parts.next() : Promise.race([parts.next(), this.#direct.failed]))
        if (next.done === true) break
        await this.#take(next.value)
      }
      return await this.#store()
    } catch (error) {
      // Not awaited: it would wait for the next part of a form that is no longer read.
      parts.return().catch(() => {})
      // The request came to its end, so that it is the form which stops within a part.
      throw error instanceof BodyCut && this.#request.raw.complete ? new FormInvalid('it ends within a part') : error
    } finally {
      await this.#direct?.abort()
      await this.#spooled?.discard()
    }
  }

  async #take (part: Part): Promise<void> {
    if (part.kind === 'field') this.#fields.set(part.name, part.value)
    else if (this.#mount.fieldNames.includes(part.name)) await this.#takeFile(part)
  }

  async #takeFile (part: FilePart): Promise<void> {
    if (this.#file !== undefined) return await assertNoFile(part)
    this.#file = part
    const { uploadId } = this
    if (uploadId !== undefined) this.#direct = new DirectWrite(this.#mount, this.#caller, idOf(uploadId), part.body)
    else this.#spooled = await spoolPart(this.#mount, this.#caller, part.body)
  }

  async #store (): Promise<Upload> {
    const { uploadId, start } = this
    if (this.#direct !== undefined && uploadId !== undefined) {
      const direct = this.#direct
      return await this.#unlessThere(idOf(uploadId), start, () => direct.bytes, async () => await direct.finish(start))
    }
    const part = this.#spooled
    if (part === undefined) throw noFile()
    if (uploadId === undefined) return await this.#startNew(part, start)
    const id = idOf(uploadId)
    return await this.#unlessThere(id, start, () => part.length, async () => await this.#append(id, part, start ?? 'end'))
  }

  /** Stores the chunk. One that is there already, by what the client says of its place, is as good as stored now. */
  async #unlessThere (id: string, start: number | undefined, length: () => number, store: () => Promise<Upload>): Promise<Upload> {
    try {
      return await store()
    } catch (error) {
      if (start === undefined || !(error instanceof OffsetMismatch) || start + length() > error.expected) throw error
      return await this.#mount.engine.get(this.#caller, id)
    }
  }

  async #startNew (part: SpooledPart, start = this.#startInFile()): Promise<Upload> {
    const { engine, names, expirationDelta, checksum } = this.#mount
    const { maxBytes } = this.#caller
    if (start !== 0) throw new OffsetMismatch(0, start)
    if (maxBytes !== null && part.length > maxBytes) throw new SizeLimitExceeded(maxBytes)
    const told = this.#told()
    const filename = nameOf(told)
    const { id } = await engine.create(this.#caller, {
      filename,
      contentType: this.#file?.contentType ?? null,
      metadata: told === filename || told === '' ? {} : { filename: told },
      protocolState: names.take(filename),
      size: null,
      chunkSize: null,
      checksum: checksum === false ? null : { algorithm: checksum, value: null },
      expiresIn: expirationDelta,
      serial: true
    })
    try {
      return await this.#append(id, part, 0)
    } catch (error) {
      // The client never heard of it.
      await engine.remove({ ...this.#caller, hooks: {} }, id).catch(() => {})
      throw error
    }
  }

  async #append (id: string, part: SpooledPart, start: number | 'end'): Promise<Upload> {
    const body: Readable = part.open()
    try {
      const { upload } = await this.#mount.engine.write(this.#caller, id, {
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

  /** Undefined for a new upload. */
  get uploadId (): string | undefined {
    const uploadId = this.#fields.get('upload_id')
    return uploadId === '' ? undefined : uploadId
  }

  /** The byte at which the client says the chunk starts; undefined when it does not say. */
  get start (): number | undefined {
    const offset = this.#fields.get('offset')
    if (offset !== undefined && offset !== '') {
      if (!/^\d{1,15}$/.test(offset)) throw new Refusal(400, { error: 'Invalid offset.' })
      return Number(offset)
    }
    const header = this.#mount.contentRange ? this.#request.headers['content-range'] : undefined
    if (header === undefined) return undefined
    const [, first] = /^bytes (\d{1,15})-\d+\/(?:\d+|\*)$/.exec(header) ?? []
    if (first === undefined) throw new Refusal(400, { error: 'Invalid Content-Range.' })
    return Number(first)
  }

  /**
   * The byte from which a new upload is sent where the fields do not tell.
   * @throws {ForeignClient} Content-Range, which means nothing here, shows that the client takes it for a later one
   */
  #startInFile (): number {
    const [, first = '0'] = /^bytes (\d+)-/.exec(this.#request.headers['content-range'] ?? '') ?? []
    if (/^0*$/.test(first)) return 0
    const instead = 'add the upload_id of the first answer to the form, or use contentRange()'
    throw new ForeignClient('clients of contentRange', 'Content-Range without upload_id', instead)
  }

  /** The name as the client wrote it: in the field, else in the part. */
  #told (): string {
    const field = this.#fields.get('filename') ?? ''
    return cleanFileName(field) === '' ? this.#file?.filename ?? '' : field
  }
}

function nameOf (told: string): string {
  const name = cleanFileName(told)
  // Half a character at the cut is none.
  return name === '' ? 'blob' : name.slice(0, NAME_LENGTH).replace(/[\ud800-\udbff]$/, '')
}

function noFile (): Refusal {
  return new Refusal(400, { error: 'No file provided.' })
}
