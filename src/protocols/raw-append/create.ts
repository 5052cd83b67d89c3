import type { RouteHandlerMethod } from 'fastify'
import { callerOf, type Mount } from './mount.js'

/** `POST create_video/`. */
export function createVideo (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const { serial } = await mount.uploads.engine.create(caller, {
      filename: 'video',
      contentType: mount.contentType,
      metadata: {},
      protocolState: {},
      size: null,
      chunkSize: null,
      // There is no end at which a checksum would be right.
      checksum: null,
      expiresIn: mount.expirationDelta,
      serial: true
    })
    return reply.code(201).send({ video_id: serial })
  }
}
