import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { UploadEngine } from '../../engine/index.js'
import { ShuttingDown, UserRequired } from '../../errors.js'
import { type MountAddress, mountAddress } from '../../http/routing/mount-address.js'
import { type Upload, mayExpire, offsetOf } from '../../upload.js'
import type { Caller, CompletionReply, Uploads } from '../contract.js'
import { Concatenations } from './finals.js'
import type { TusSettings } from './options.js'

/** One mount of the protocol: what its verbs share. */
export class TusMount {
  readonly engine: UploadEngine
  readonly settings: TusSettings
  readonly finals: Concatenations
  readonly #uploads: Uploads
  /** Path of the mount, with Fastify's `:parameters`. */
  readonly #prefix: string

  constructor (uploads: Uploads, settings: TusSettings, prefix: string) {
    this.#uploads = uploads
    this.#prefix = prefix
    this.engine = uploads.engine
    this.settings = settings
    this.finals = new Concatenations(uploads.engine, settings)
  }

  /** ms from creation until an unfinished upload expires; null for never. */
  get expiresIn (): number | null {
    return this.settings.expirationDelta === undefined ? this.#uploads.settings.expirationDelta : this.settings.expirationDelta
  }

  /** Algorithm of the whole-file checksum; false for none. */
  get checksum (): string | false {
    return this.settings.checksum ?? this.#uploads.settings.wideChecksum ?? false
  }

  get downloads (): Uploads['settings']['downloads'] {
    return this.#uploads.settings.downloads
  }

  /** Largest file in bytes where it is the same for all requests; null otherwise. */
  get maxSize (): number | null {
    return this.engine.limits(this.#uploads.settings).maxSize
  }

  /** On whose behalf the request acts. @throws {UserRequired} */
  async caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const caller = await this.#uploads.caller(request, reply)
    if (caller.user === null && (this.settings.requireUser ?? this.#uploads.settings.requireUser)) throw new UserRequired()
    this.finals.adopt(caller, this.log(request))
    return caller
  }

  /** Where the client sees the mount. */
  address (request: FastifyRequest): MountAddress {
    return mountAddress(request, this.#prefix, this.settings.baseUrl ?? this.#uploads.settings.baseUrl)
  }

  /** Takes up final uploads that an earlier run of the server has left. */
  recover (name: string, logger: FastifyBaseLogger): void {
    const { maxBytes, maxStored, asksHost = false } = this.#uploads.settings
    const own: Caller = { protocol: name, user: null, restricted: false, maxBytes, maxStored, hooks: {} }
    const log = logTo(logger)
    this.finals.recover(own, asksHost, log).catch((error: unknown) => { if (!this.engine.stopping) log(error, '') })
  }

  /** Upload-Expires, as long as the upload may expire (tus 1.0.0, expiration): a partial one even when it is complete. */
  setExpires (reply: FastifyReply, upload: Upload): void {
    if (!this.settings.extensions.has('expiration') || !mayExpire(upload) || upload.expiresAt === null) return
    reply.header('upload-expires', new Date(upload.expiresAt).toUTCString())
  }

  /** For a concatenation that goes wrong where its own client does not hear of it. */
  log (request: FastifyRequest): (error: unknown, upload: string) => void {
    return logTo(request.log)
  }
}

function logTo (logger: FastifyBaseLogger): (error: unknown, upload: string) => void {
  return (error, upload) => {
    const refused = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500
    logger[refused || error instanceof ShuttingDown ? 'info' : 'error']({ err: error, upload }, 'a concatenation failed')
  }
}

/** The offset of a reply: what is stored, or where the client is to send some of it again. */
export function setOffset (reply: FastifyReply, upload: Upload, again?: number): void {
  reply.header('upload-offset', String(again ?? (upload.status === 'complete' ? upload.size : offsetOf(upload))))
}

/** Answers as the protocol does, unless the host's `onComplete` wants it otherwise. */
export function send (reply: FastifyReply, statusCode: number, wish: CompletionReply | undefined): FastifyReply {
  const code = wish?.statusCode ?? (wish?.body !== undefined && statusCode === 204 ? 200 : statusCode)
  return reply.code(code).headers(wish?.headers ?? {}).send(wish?.body)
}
