import type { FastifyReply } from 'fastify'
import { requestedMethod } from '../service.js'
import { TUS_VERSION } from './headers.js'
import type { TusContext } from './mount.js'

/** OPTIONS: all that there is to say is in the headers, see {@link announce}. */
export async function discover ({ reply }: TusContext): Promise<FastifyReply> {
  return await reply.code(200).send()
}

/**
 * Says on every reply which protocol it is, and on OPTIONS what the server can do. Done as replies leave, so that those of the host's hooks
 * carry it as well: the refusals of its authentication, the preflights of @fastify/cors.
 */
export function announce ({ mount, request, reply }: TusContext): void {
  reply.header('tus-resumable', TUS_VERSION)
  if (requestedMethod(request) !== 'OPTIONS') return
  const { extensions, checksumAlgorithms, expirationDelta } = mount.settings
  const announced = [...extensions].filter(extension => extension !== 'expiration' || expirationDelta !== null)
  reply.header('tus-version', TUS_VERSION)
  if (announced.length > 0) reply.header('tus-extension', announced.join(','))
  if (mount.maxSize !== null) reply.header('tus-max-size', String(mount.maxSize))
  if (extensions.has('checksum')) reply.header('tus-checksum-algorithm', [...checksumAlgorithms.keys()].join(','))
}
