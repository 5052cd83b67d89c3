import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, UploadEngine } from '../../engine/index.js'
import { UserRequired } from '../../errors.js'
import { uuidOf } from '../../http/fields/upload-id.js'
import { type MountAddress, mountAddress } from '../../http/routing/mount-address.js'
import { lifetimeOf } from '../../option-rules.js'
import type { Upload } from '../../upload.js'
import type { Uploads } from '../contract.js'
import type { FormAppendOptions } from './index.js'
import { StoredNames, storedPath } from './stored-name.js'

/** Largest file of the original, in bytes. */
const MAX_BYTES = 1_048_576_000
const DAY = 86_400_000

/** One registration of the protocol: its options with their defaults, and what its routes share. */
export class Mount {
  readonly engine: UploadEngine
  readonly fieldNames: readonly string[]
  readonly expirationDelta: number | null
  readonly checksum: string | false
  readonly contentRange: boolean
  readonly listAnonymous: boolean
  readonly names = new StoredNames()
  readonly #uploads: Uploads
  readonly #maxBytes: number | null
  /** Path of the mount, with Fastify's `:parameters`. */
  readonly #prefix: string
  readonly #baseUrl: URL | undefined
  readonly #mediaUrl: FormAppendOptions['mediaUrl']

  constructor (uploads: Uploads, options: FormAppendOptions, prefix: string) {
    const { engine, settings } = uploads
    this.#uploads = uploads
    this.engine = engine
    this.fieldNames = settings.fieldNames
    this.expirationDelta = lifetimeOf(options.expirationDelta, null)
    this.checksum = options.checksum ?? settings.wideChecksum ?? false
    this.contentRange = options.contentRange ?? false
    this.listAnonymous = options.listAnonymous ?? false
    this.#maxBytes = options.maxBytes === undefined ? MAX_BYTES : options.maxBytes
    this.#prefix = prefix
    this.#baseUrl = options.baseUrl === undefined ? settings.baseUrl : new URL(options.baseUrl)
    this.#mediaUrl = options.mediaUrl ?? (settings.downloads === false ? '/media/' : undefined)
  }

  /** ms after which a part that a crash left behind is swept. */
  get spoolExpiry (): number {
    return this.#uploads.settings.expirationDelta ?? DAY
  }

  async caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const caller = await this.#uploads.caller(request, reply)
    if (this.#uploads.settings.requireUser && caller.user === null) throw new UserRequired()
    return { ...caller, maxBytes: caller.maxBytes ?? this.#maxBytes }
  }

  /** Where the client sees the mount. */
  address (request: FastifyRequest): MountAddress {
    return mountAddress(request, this.#prefix, this.#baseUrl)
  }

  /** The record's `file`. */
  fileUrl (upload: Upload, request: FastifyRequest): string {
    const mediaUrl = this.#mediaUrl
    if (mediaUrl === undefined) return `${this.address(request).path}/videos/${uuidOf(upload.id)}/`
    return typeof mediaUrl === 'function' ? mediaUrl(upload, storedPath(upload)) : mediaUrl + encodeURI(storedPath(upload))
  }
}
