import type { FastifyReply, FastifyRequest } from 'fastify'
import { requestedMethod } from '../service.js'
import { completenessField, completenessOf } from './completeness.js'
import { versionEcho, versionOf } from './versions.js'

/**
 * Says in a refusal that the upload is not complete, whatever refuses: this protocol, a hook of the host or Fastify itself. The target's
 * own answer has the field already, and keeps it.
 */
export function markRefused (request: FastifyRequest, reply: FastifyReply, isAppend: boolean): void {
  if (reply.statusCode < 400) return
  const version = versionOf(request)
  if (!isAppend && completenessOf(request, version) === undefined) return
  reply.headers(versionEcho(request))
  if (!reply.hasHeader(version.completeness)) reply.headers(completenessField(false, version))
}

/** True for a request that appends, if it names an upload. */
export function isAppend (request: FastifyRequest): boolean {
  return requestedMethod(request) === 'PATCH'
}
