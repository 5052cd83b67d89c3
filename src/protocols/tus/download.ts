import type { FastifyReply } from 'fastify'
import { assertThere } from '../../engine/index.js'
import { sendUpload } from '../../http/download/send-upload.js'
import { refuse } from './errors.js'
import type { TusContext } from './mount.js'
import { isPartial } from './state.js'

/** GET on an upload: a finished file. It is not of tus, and needs no Tus-Resumable. */
export async function download (context: TusContext): Promise<FastifyReply> {
  const { mount: { engine, settings: { downloads } }, id } = context
  const upload = await engine.get(await context.caller(), id)
  assertThere(upload)
  if (upload.status !== 'complete' || isPartial(upload)) throw refuse(403, 'UNFINISHED', 'Only finished uploads can be downloaded')
  return await sendUpload(context, engine, upload, downloads === false ? {} : { inline: downloads.inline })
}
