import type { FastifyReply } from 'fastify'
import type { ResumableContext } from './mount.js'
import { refuseAppendFields } from './retrieve.js'
import { versionOf } from './versions.js'

/**
 * DELETE on an upload: requests that still bring bytes are ended first. Of a finished one the resource is forgotten and its file stays,
 * unless the host wants it otherwise; the host is asked (`onRemove`) in either case.
 */
export async function cancel (context: ResumableContext): Promise<FastifyReply> {
  const { mount, request, reply, id } = context
  if (versionOf(request).strictCancellation) refuseAppendFields(request)
  const caller = await context.caller()
  await mount.engine.remove(caller, id, { keepFinished: !mount.settings.removeFinished })
  return reply.code(204).send()
}
