import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Upload, offsetOf } from '../../upload.js'
import type { Context } from '../context.js'
import type { Caller } from '../contract.js'
import { Mount } from '../mount.js'
import { completenessField } from './completeness.js'
import { lifetimeOf, uploadLimit } from './limits.js'
import type { ResumableHttpSettings } from './options.js'
import { versionEcho, versionOf } from './versions.js'

/** A request to a mount of resumableHttp, or to a route of the host that it makes resumable. */
export type ResumableContext = Context<ResumableMount>

/** One mount of the protocol: what its verbs share. */
export class ResumableMount extends Mount<ResumableHttpSettings> {
  constructor ({ parts }: Mount<ResumableHttpSettings>) { super(parts) }

  override async caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    reply.headers(versionEcho(request))
    return await super.caller(request, reply)
  }

  /** Upload-Limit as it is for the caller: before an upload is there, or for the rest of one. */
  limitFor (request: FastifyRequest, caller: Caller, upload?: Upload): string {
    const lifetime = upload === undefined ? this.settings.expirationDelta : lifetimeOf(upload)
    return uploadLimit(this.settings, this.engine.limits(caller).maxSize, versionOf(request), lifetime)
  }

  /** The limits without a user, for requests that only ask what the server can do. */
  async limitForAnyone (request: FastifyRequest, reply: FastifyReply): Promise<string> {
    return this.limitFor(request, await this.anyCaller(request, reply))
  }

  /** The URL of an upload, for Location. */
  locationOf (request: FastifyRequest, id: string): string {
    const { origin = '', path } = this.address(request)
    return `${this.settings.relativeLocation ? '' : origin}${path}/${id}`
  }
}

/** Where the bytes of an upload end, and whether they are all: in each reply that knows. */
export function setProgress ({ request, reply }: Pick<ResumableContext, 'request' | 'reply'>, upload: Upload): FastifyReply {
  const complete = upload.status === 'complete'
  return reply.headers({
    'Upload-Offset': String(upload.status === 'complete' ? upload.size : offsetOf(upload)),
    ...completenessField(complete, versionOf(request))
  })
}
