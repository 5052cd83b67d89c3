import type { FastifyInstance } from 'fastify'
import { methodOf } from '../../http/routing/method-override.js'
import { TUS_VERSION } from './headers.js'
import type { TusMount } from './mount.js'

/**
 * Says on every reply which protocol it is, and on OPTIONS what the server can do. Done as replies leave, so that those of the host's hooks
 * carry it as well: the refusals of its authentication, the preflights of @fastify/cors.
 */
export function announceTus (scope: FastifyInstance, mount: TusMount): void {
  scope.addHook('onSend', async (request, reply) => {
    reply.header('tus-resumable', TUS_VERSION)
    if (methodOf(request) !== 'OPTIONS') return
    const { extensions, checksumAlgorithms } = mount.settings
    const announced = [...extensions].filter(extension => extension !== 'expiration' || mount.expiresIn !== null)
    reply.header('tus-version', TUS_VERSION)
    if (announced.length > 0) reply.header('tus-extension', announced.join(','))
    if (mount.maxSize !== null) reply.header('tus-max-size', String(mount.maxSize))
    if (extensions.has('checksum')) reply.header('tus-checksum-algorithm', [...checksumAlgorithms.keys()].join(','))
  })
}
