import type { FastifyReply } from 'fastify'
import { PARTIAL_UPLOAD } from './errors.js'
import type { ResumableContext } from './mount.js'
import { isAppend, markRefused } from './refused.js'
import { versionEcho } from './versions.js'

/** OPTIONS: what the server takes. */
export async function tellLimits (context: ResumableContext): Promise<FastifyReply> {
  const { mount, request, reply, id } = context
  const limit = await mount.limitForAnyone(request, reply)
  const allow = id === '' ? 'POST, PUT, PATCH, OPTIONS' : 'HEAD, GET, PATCH, DELETE, OPTIONS'
  return await reply.headers({ 'Upload-Limit': limit, 'Accept-Patch': PARTIAL_UPLOAD, allow }).code(200).send()
}

/** What replies say as they leave, those of the host's hooks included. */
export async function announce (context: ResumableContext): Promise<void> {
  const { request, reply, id } = context
  reply.headers(versionEcho(request))
  markRefused(request, reply, id !== '' && isAppend(request))
  await announceLimits(context)
}

/** The limits where @fastify/cors has answered already; a preflight of a browser asks for something else. */
async function announceLimits ({ mount, request, reply }: ResumableContext): Promise<void> {
  if (request.method !== 'OPTIONS' || 'access-control-request-method' in request.headers) return
  if (reply.hasHeader('upload-limit') || reply.statusCode >= 400) return
  // Hooks that determine the user have not run: what the host then says of the user, or throws, is no answer.
  const limit = await mount.limitForAnyone(request, reply).catch(() => undefined)
  if (limit !== undefined) reply.headers({ 'Upload-Limit': limit, 'Accept-Patch': PARTIAL_UPLOAD })
}
