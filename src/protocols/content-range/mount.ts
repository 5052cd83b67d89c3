import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Completed } from '../../engine/index.js'
import { UploadNotFound } from '../../errors.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { Caller, Uploads } from '../contract.js'
import type { ContentRangeSettings } from './options.js'
import { wireRecord } from './record.js'
import { Refused } from './wording.js'

/** What the handlers of one mount share. */
export interface Mount {
  readonly uploads: Uploads
  readonly settings: ContentRangeSettings
}

/** @throws {Refused} the request has no user, in dialects that say so before everything else */
export async function callerOf ({ uploads, settings }: Mount, request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
  const caller = await uploads.caller(request, reply)
  if (settings.dialect.refusesAnonymousFirst && lacksUser(settings, caller)) {
    throw new Refused('Authentication credentials were not provided', 403)
  }
  return caller
}

export function lacksUser ({ requireUser }: ContentRangeSettings, { user }: Caller): boolean {
  return requireUser && user === null
}

/** drf tells an anonymous request for an upload that needs a user that there is none. @throws {UploadNotFound} */
export function assertMayKnow (settings: ContentRangeSettings, caller: Caller): void {
  if (lacksUser(settings, caller)) throw new UploadNotFound()
}

export function sendRecord (reply: FastifyReply, upload: Upload, settings: ContentRangeSettings): FastifyReply {
  return sendJson(reply.header('upload-offset', offsetOf(upload)), wireRecord(upload, reply.request, settings))
}

/** The host's words for a completed upload, and `otherwise` where it has none. */
export function sendCompleted (reply: FastifyReply, { reply: worded }: Completed, otherwise: () => FastifyReply): FastifyReply {
  reply.code(worded?.statusCode ?? 200).headers(worded?.headers ?? {})
  if (worded?.statusCode === 204) return reply.send()
  return worded?.body === undefined ? otherwise() : sendJson(reply, worded.body)
}

/** JSON as it is: the host may have changed the record, so that no schema knows its fields. */
export function sendJson (reply: FastifyReply, value: unknown): FastifyReply {
  reply.type('application/json; charset=utf-8')
  return value === null ? reply.send('null') : reply.serializer((sent: unknown) => JSON.stringify(sent)).send(value)
}
