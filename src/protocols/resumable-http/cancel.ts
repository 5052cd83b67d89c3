import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Upload } from '../../upload.js'
import type { ResumableMount } from './mount.js'
import { Refusal } from './problem.js'
import { refuseAppendFields } from './retrieve.js'
import { versionOf } from './versions.js'

/** DELETE on an upload: requests that still bring bytes are ended first. Finished files stay, unless the host wants it otherwise. */
export async function cancel (mount: ResumableMount, request: FastifyRequest, reply: FastifyReply, id: string): Promise<FastifyReply> {
  if (versionOf(request).strictCancellation) refuseAppendFields(request)
  const caller = await mount.caller(request, reply)
  const onRemove = async (upload: Upload): Promise<void> => {
    if (upload.status === 'complete' && !mount.settings.removeFinished) throw new Refusal(403, 'A finished file is not removed')
    await caller.hooks.onRemove?.(upload)
  }
  await mount.engine.remove({ ...caller, hooks: { ...caller.hooks, onRemove } }, id)
  return reply.code(204).send()
}
