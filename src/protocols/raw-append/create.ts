import type { FastifyReply } from 'fastify'
import type { Context } from '../context.js'
import type { VideoMount } from './mount.js'

/** `POST create_video/`. */
export async function create (context: Context<VideoMount>): Promise<FastifyReply> {
  const { mount: { engine, settings }, reply } = context
  const { serial } = await engine.create(await context.caller(), {
    filename: 'video',
    contentType: settings.contentType,
    metadata: {},
    protocolState: {},
    size: null,
    chunkSize: null,
    // There is no end at which a checksum would be right.
    checksum: null,
    expiresIn: settings.expirationDelta,
    serial: true
  })
  return reply.code(201).send({ video_id: serial })
}
