import type { FastifyReply } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { type DownloadOptions, keptCoding, sendUpload } from '../../http/download/send-upload.js'
import { type Context, type Verb, assertMayKnow } from './context.js'

/** GET on a finished upload's file. Of an unfinished one there is none yet. */
export function download (options: DownloadOptions): Verb {
  return async (context: Context): Promise<FastifyReply> => {
    const { engine, request, reply, caller, id } = context
    assertMayKnow(context)
    const upload = await engine.get(caller, id)
    if (upload.status === 'uploading') throw new UploadNotFound()
    return await sendUpload(request, reply, engine, upload, { ...options, ...keptCoding(upload) })
  }
}
