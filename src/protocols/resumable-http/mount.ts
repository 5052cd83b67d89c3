import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadEngine } from '../../engine/index.js'
import { UserRequired } from '../../errors.js'
import { mountAddress } from '../../http/routing/mount-address.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { Caller, Uploads } from '../contract.js'
import { completenessField } from './fields.js'
import { lifetimeOf, uploadLimit } from './limits.js'
import { expiresIn, type ResumableHttpSettings } from './options.js'
import { versionEcho, versionOf } from './versions.js'

/** One mount of the protocol: what its verbs share. */
export class ResumableMount {
  readonly engine: UploadEngine
  readonly settings: ResumableHttpSettings
  readonly #uploads: Uploads
  /** Path of the mount, with Fastify's `:parameters`. */
  readonly #prefix: string

  constructor (uploads: Uploads, settings: ResumableHttpSettings, prefix: string) {
    this.#uploads = uploads
    this.engine = uploads.engine
    this.settings = settings
    this.#prefix = prefix
  }

  get expiresIn (): number | null {
    return expiresIn(this.settings, this.#uploads.settings)
  }

  /** Algorithm of the whole-file checksum that an upload keeps where its client asks for none; false for none. */
  get checksum (): string | false {
    return this.settings.checksum ?? this.#uploads.settings.wideChecksum ?? false
  }

  get downloads (): Uploads['settings']['downloads'] {
    return this.#uploads.settings.downloads
  }

  /** On whose behalf the request acts. @throws {UserRequired} */
  async caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    reply.headers(versionEcho(request))
    const caller = await this.#uploads.caller(request, reply)
    if (caller.user === null && (this.settings.requireUser ?? this.#uploads.settings.requireUser)) throw new UserRequired()
    return caller
  }

  /** Upload-Limit as it is for the caller: before an upload is there, or for the rest of one. */
  limitFor (request: FastifyRequest, caller: Caller, upload?: Upload): string {
    const lifetime = upload === undefined ? this.expiresIn : lifetimeOf(upload)
    return uploadLimit(this.engine, caller, this.settings, versionOf(request), lifetime)
  }

  /** The limits without a caller, for requests that only ask what the server can do. */
  async limitForAnyone (request: FastifyRequest, reply: FastifyReply): Promise<string> {
    return this.limitFor(request, await this.#uploads.caller(request, reply))
  }

  /** The URL of an upload, for Location. */
  locationOf (request: FastifyRequest, id: string): string {
    const { origin = '', path } = mountAddress(request, this.#prefix, this.settings.baseUrl ?? this.#uploads.settings.baseUrl)
    return `${this.settings.relativeLocation ? '' : origin}${path}/${id}`
  }
}

/** Where the bytes of an upload end, and whether they are all: in each reply that knows. */
export function setProgress (request: FastifyRequest, reply: FastifyReply, upload: Upload): FastifyReply {
  const complete = upload.status === 'complete'
  return reply.headers({
    'Upload-Offset': String(upload.status === 'complete' ? upload.size : offsetOf(upload)),
    ...completenessField(complete, versionOf(request))
  })
}
