import type { FastifyReply, FastifyRequest } from 'fastify'
import { innerCaller } from '../../engine/caller.js'
import { UploadNotFound } from '../../errors.js'
import { sendUpload } from '../../http/download.js'
import { offsetOf } from '../../upload.js'
import { callerOf, type Mount, NoData, videoOf } from './mount.js'
import { stateOf } from './video.js'

/** `GET get_video/<id>/`. */
export async function getVideo (mount: Mount, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { engine } = mount.uploads
  const caller = await callerOf(mount, request, reply)
  const video = await videoOf(mount, caller, request)
  const { content } = stateOf(video)
  const bytes = content === null ? video : await engine.get(innerCaller(mount.own), content)
  if (bytes.status === 'removed') throw new UploadNotFound()
  if (offsetOf(bytes) === 0) throw new NoData('No video data associated with this video ID')
  return await sendUpload(request, reply, engine, bytes, { contentType: mount.contentType, filename: mount.filename(video.serial) })
}
