import type { FastifyReply } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { keptCoding, sendUpload } from '../../http/download/send-upload.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import type { ContentRangeContext } from './mount.js'

/** GET on a finished upload's file. Of an unfinished one there is none yet. */
export async function download (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount } = context
  const { engine, settings: { downloads } } = mount
  const caller = await context.caller()
  mount.assertMayKnow(caller)
  const upload = await engine.get(caller, readUploadId(context.id))
  if (upload.status === 'uploading') throw new UploadNotFound()
  const inline = downloads === false ? [] : downloads.inline
  return await sendUpload(context, engine, upload, { inline, ...keptCoding(upload) })
}
