import type { FastifyReply } from 'fastify'
import { readUploadId } from '../../http/fields/upload-id.js'
import { sendJson } from '../../http/fields/json.js'
import { formOf, textOf } from './checksum-field.js'
import { type ContentRangeContext, sendCompleted } from './mount.js'
import { refuse } from './errors.js'

/** POST complete/ of django-chunked-upload: `upload_id` and the checksum in a form; the answer is empty unless the host words it. */
export async function parentComplete (context: ContentRangeContext): Promise<FastifyReply> {
  const { mount: { engine, settings: { checksum: algorithm } }, request, reply } = context
  const caller = await context.caller()
  const fields = await formOf(request)
  const id = textOf(fields['upload_id'])
  const checksum = algorithm === false ? undefined : textOf(fields[algorithm])
  if (id === '' || checksum === '') {
    throw refuse(algorithm === false ? "'upload_id' is required" : `Both 'upload_id' and '${algorithm}' are required`)
  }
  const completed = await engine.complete(caller, readUploadId(id), { ...checksum !== undefined && { checksum } })
  return sendCompleted(reply, completed, () => sendJson(reply, {}))
}
