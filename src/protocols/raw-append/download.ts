import type { FastifyReply } from 'fastify'
import { UploadGone, UploadNotFound } from '../../errors.js'
import { sendUpload } from '../../http/download/send-upload.js'
import { offsetOf } from '../../upload.js'
import type { Context } from '../context.js'
import { Refusal } from '../refusal.js'
import { stateOf } from './video.js'
import { type Video, type VideoMount, videoOf } from './mount.js'

/** `GET get_video/<id>/`. */
export async function download (context: Context<VideoMount>): Promise<FastifyReply> {
  let video = await videoOf(context)
  while (true) {
    try {
      return await sendContent(context, video)
    } catch (error) {
      if (!(error instanceof UploadNotFound || error instanceof UploadGone)) throw error
      const now = await videoOf(context)
      if (stateOf(now).content === stateOf(video).content) throw error
      // Before its first byte was at hand, a job has put a new file in its place.
      video = now
      context.reply.code(200).removeHeader('content-range')
    }
  }
}

async function sendContent (context: Context<VideoMount>, video: Video): Promise<FastifyReply> {
  const { engine, contents, settings: { contentType, filename } } = context.mount
  const { content } = stateOf(video)
  const bytes = content === null ? video : await contents.get(content)
  if (bytes.status === 'removed') throw new UploadNotFound()
  if (offsetOf(bytes) === 0) throw new Refusal(400, 'No video data associated with this video ID')
  return await sendUpload(context, engine, bytes, { contentType, filename: filename(video.serial) })
}
