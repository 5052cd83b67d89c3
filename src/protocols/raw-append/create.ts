import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf, type Mount } from './mount.js'

/** `POST create_video/`. */
export async function createVideo (mount: Mount, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
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
