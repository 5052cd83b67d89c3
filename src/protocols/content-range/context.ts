import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Completed, UploadEngine } from '../../engine/index.js'
import { UploadNotFound } from '../../errors.js'
import { sendJson } from '../../http/fields/json.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { Caller, Uploads } from '../contract.js'
import { Refusal } from './errors.js'
import type { ContentRangeSettings } from './options.js'
import { wireRecord } from './record.js'

/** One registration of the protocol. */
export interface Mount {
  readonly uploads: Uploads
  readonly settings: ContentRangeSettings
}

/** One request: what a verb has in hand. */
export interface Context {
  readonly engine: UploadEngine
  readonly settings: ContentRangeSettings
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly caller: Caller
  /** The upload that the URL names; empty for one that cannot be. */
  readonly id: string
}

export type Verb = (context: Context) => Promise<FastifyReply>

/** @throws {Refusal} the request has no user, in dialects that say so before everything else */
export function handlerOf ({ uploads, settings }: Mount, verb: Verb): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await uploads.caller(request, reply)
    if (settings.dialect.refusesAnonymousFirst && lacksUser({ settings, caller })) {
      throw new Refusal('Authentication credentials were not provided', 403)
    }
    const { params } = request
    const id = readUploadId(typeof params === 'object' && params !== null && 'id' in params ? params.id : undefined)
    return await verb({ engine: uploads.engine, settings, request, reply, caller, id })
  }
}

export function lacksUser ({ settings: { requireUser }, caller: { user } }: Pick<Context, 'settings' | 'caller'>): boolean {
  return requireUser && user === null
}

/** drf tells an anonymous request for an upload that needs a user that there is none. @throws {UploadNotFound} */
export function assertMayKnow (context: Context): void {
  if (lacksUser(context)) throw new UploadNotFound()
}

export function sendRecord ({ settings, request, reply }: Context, upload: Upload): FastifyReply {
  return sendJson(reply.header('upload-offset', offsetOf(upload)), wireRecord(upload, request, settings))
}

/** The host's words for a completed upload, and `otherwise` where it has none. */
export function sendCompleted ({ reply }: Context, { reply: worded }: Completed, otherwise: () => FastifyReply): FastifyReply {
  reply.code(worded?.statusCode ?? 200).headers(worded?.headers ?? {})
  if (worded?.statusCode === 204) return reply.send()
  return worded?.body === undefined ? otherwise() : sendJson(reply, worded.body)
}
