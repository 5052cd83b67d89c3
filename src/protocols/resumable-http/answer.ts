import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CompleteUpload } from '../../upload.js'
import { representationDigestField } from './digests.js'
import { setProgress } from './mount.js'
import { stateOf } from './state.js'

/**
 * Sends the final reply of a finished upload, for the first time or once more.
 * @param statusCode what a finished upload is answered with, unless the host wants it otherwise
 */
export function sendFinal (request: FastifyRequest, reply: FastifyReply, upload: CompleteUpload, statusCode: 200 | 201): FastifyReply {
  const { answer } = stateOf(upload)
  setProgress(request, reply, upload).headers({ ...representationDigestField(request, upload), ...answer?.headers })
  return reply.code(answer?.statusCode ?? statusCode).send(answer?.body ?? undefined)
}
