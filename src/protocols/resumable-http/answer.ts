import type { FastifyReply } from 'fastify'
import type { CompleteUpload } from '../../upload.js'
import { representationDigestField } from './digests.js'
import { type ResumableContext, setProgress } from './mount.js'
import { stateOf } from './state.js'

/**
 * Sends the final reply of a finished upload, for the first time or once more.
 * @param statusCode what a finished upload is answered with, unless the host wants it otherwise
 */
export function sendFinal (context: ResumableContext, upload: CompleteUpload, statusCode: 200 | 201): FastifyReply {
  const { request, reply } = context
  const { answer } = stateOf(upload)
  setProgress(context, upload).headers({ ...representationDigestField(request, upload), ...answer?.headers })
  return reply.code(answer?.statusCode ?? statusCode).send(answer?.body ?? undefined)
}
