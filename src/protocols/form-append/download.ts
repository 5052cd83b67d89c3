import type { FastifyReply } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { sendUpload } from '../../http/download/send-upload.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import type { Context } from '../context.js'
import type { FormMount } from './mount.js'

/** `GET videos/<upload_id>/`. */
export async function download (context: Context<FormMount>): Promise<FastifyReply> {
  const { engine, settings: { downloads } } = context.mount
  const upload = await engine.get(await context.caller(), readUploadId(context.id))
  if (upload.status === 'uploading') throw new UploadNotFound()
  return await sendUpload(context, engine, upload, downloads === false ? {} : downloads)
}
