import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../../engine/index.js'
import { uuidOf } from '../../http/fields/upload-id.js'
import type { Upload } from '../../upload.js'
import { Mount } from '../mount.js'
import type { FormAppendSettings } from './options.js'
import { StoredNames, storedPath } from './stored-name.js'

const DAY = 86_400_000

/** One mount of the protocol: what its verbs share. */
export class FormMount extends Mount<FormAppendSettings> {
  readonly names = new StoredNames()

  /** ms after which a part that a crash left behind is swept. */
  get spoolExpiry (): number {
    return this.parts.uploads.settings.expirationDelta ?? DAY
  }

  override async anyCaller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const caller = await super.anyCaller(request, reply)
    return { ...caller, maxBytes: caller.maxBytes ?? this.settings.largestFile }
  }

  /** The record's `file`. */
  fileUrl (upload: Upload, request: FastifyRequest): string {
    const { downloads, mediaUrl = downloads === false ? '/media/' : undefined } = this.settings
    if (mediaUrl === undefined) return `${this.address(request).path}/videos/${uuidOf(upload.id)}/`
    return typeof mediaUrl === 'function' ? mediaUrl(upload, storedPath(upload)) : mediaUrl + encodeURI(storedPath(upload))
  }
}
