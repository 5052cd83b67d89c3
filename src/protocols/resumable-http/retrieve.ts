import type { FastifyReply, FastifyRequest } from 'fastify'
import { assertThere } from '../../engine/index.js'
import { keptCoding, sendUpload } from '../../http/download/send-upload.js'
import { Refusal } from '../refusal.js'
import { type ResumableContext, setProgress } from './mount.js'
import { versionOf } from './versions.js'

/**
 * HEAD or GET on an upload: where to go on. A request that still sends bytes to it is told to stop, and these are counted. GET serves a
 * finished file where the plugin's `downloads` says so.
 */
export async function retrieve (context: ResumableContext): Promise<FastifyReply> {
  const { mount, request, reply, id } = context
  // Of errors too nothing may be kept: what is unknown or gone now may be there later.
  reply.header('Cache-Control', 'no-store')
  refuseAppendFields(request)
  const caller = await context.caller()
  const upload = await mount.engine.stopWriters(caller, id)
  assertThere(upload)
  setProgress(context, upload).header('Upload-Limit', mount.limitFor(request, caller, upload))
  if (upload.size !== null) reply.header('Upload-Length', String(upload.size))
  const { downloads } = mount.settings
  if (request.method !== 'GET' || upload.status !== 'complete' || downloads === false) return reply.code(204).send()
  return await sendUpload(context, mount.engine, upload, { inline: downloads.inline, ...keptCoding(upload) })
}

/**
 * The fields of an append mean nothing in other requests: a client that sends them takes the request for another one.
 * @throws {Refusal} 400
 */
export function refuseAppendFields (request: FastifyRequest): void {
  for (const name of ['Upload-Offset', versionOf(request).completeness]) {
    if (name.toLowerCase() in request.headers) throw new Refusal(400, `${name} means nothing here`)
  }
}
