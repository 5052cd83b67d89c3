import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, Completed } from '../../engine/index.js'
import { UploadNotFound } from '../../errors.js'
import { sendJson } from '../../http/fields/json.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { Context } from '../context.js'
import { Mount } from '../mount.js'
import { refuse } from './errors.js'
import type { ContentRangeSettings } from './options.js'
import { wireRecord } from './record.js'

/** A request to a mount of the protocol. */
export type ContentRangeContext = Context<ContentRangeMount>

/** One mount of the protocol: what its verbs share. */
export class ContentRangeMount extends Mount<ContentRangeSettings> {
  /** Requests without a user are refused here, or by each verb in its own words. @throws {Refusal} */
  override async caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const caller = await this.anyCaller(request, reply)
    if (this.settings.dialect.refusesAnonymousFirst && this.lacksUser(caller)) {
      throw refuse('Authentication credentials were not provided', 403)
    }
    return caller
  }

  lacksUser ({ user }: Caller): boolean {
    return this.settings.requireUser && user === null
  }

  /** drf tells an anonymous request for an upload that needs a user that there is none. @throws {UploadNotFound} */
  assertMayKnow (caller: Caller): void {
    if (this.lacksUser(caller)) throw new UploadNotFound()
  }
}

export function sendRecord ({ mount, request, reply }: ContentRangeContext, upload: Upload): FastifyReply {
  return sendJson(reply.header('upload-offset', offsetOf(upload)), wireRecord(mount, upload, request))
}

/** The host's words for a completed upload, and `otherwise` where it has none. */
export function sendCompleted (reply: FastifyReply, { reply: worded }: Completed, otherwise: () => FastifyReply): FastifyReply {
  reply.code(worded?.statusCode ?? 200).headers(worded?.headers ?? {})
  if (worded?.statusCode === 204) return reply.send()
  return worded?.body === undefined ? otherwise() : sendJson(reply, worded.body)
}
