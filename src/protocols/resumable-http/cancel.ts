import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ResumableMount } from './mount.js'
import { refuseAppendFields } from './retrieve.js'
import { versionOf } from './versions.js'

/**
 * DELETE on an upload: requests that still bring bytes are ended first. Of a finished one the resource is forgotten and its file stays,
 * unless the host wants it otherwise; the host is asked (`onRemove`) in either case.
 */
export async function cancel (mount: ResumableMount, request: FastifyRequest, reply: FastifyReply, id: string): Promise<FastifyReply> {
  if (versionOf(request).strictCancellation) refuseAppendFields(request)
  const caller = await mount.caller(request, reply)
  await mount.engine.remove(caller, id, { keepFinished: !mount.settings.removeFinished })
  return reply.code(204).send()
}
