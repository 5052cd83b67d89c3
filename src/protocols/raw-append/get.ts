import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { UploadGone, UploadNotFound } from '../../errors.js'
import { sendUpload } from '../../http/download/send-upload.js'
import { offsetOf } from '../../upload.js'
import { Refusal } from './errors.js'
import { callerOf, type Mount, type Video, videoOf } from './mount.js'
import { stateOf } from './video.js'

/** `GET get_video/<id>/`. */
export function getVideo (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    let video = await videoOf(mount, caller, request)
    while (true) {
      try {
        return await sendContent(mount, video, request, reply)
      } catch (error) {
        if (!(error instanceof UploadNotFound || error instanceof UploadGone)) throw error
        const now = await videoOf(mount, caller, request)
        if (stateOf(now).content === stateOf(video).content) throw error
        // Before its first byte was at hand, a job has put a new file in its place.
        video = now
        reply.code(200).removeHeader('content-range')
      }
    }
  }
}

async function sendContent (mount: Mount, video: Video, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { engine } = mount.uploads
  const { content } = stateOf(video)
  const bytes = content === null ? video : await mount.contents.get(content)
  if (bytes.status === 'removed') throw new UploadNotFound()
  if (offsetOf(bytes) === 0) throw new Refusal('No video data associated with this video ID')
  return await sendUpload(request, reply, engine, bytes, { contentType: mount.contentType, filename: mount.filename(video.serial) })
}
