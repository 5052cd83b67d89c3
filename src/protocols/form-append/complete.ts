import type { FastifyReply } from 'fastify'
import { formKind, readForm } from '../../http/body/form.js'
import { hasBody } from '../../http/body/stream-scope.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import type { Context } from '../context.js'
import { Refusal } from '../refusal.js'
import { unsupportedType } from './errors.js'
import type { FormMount } from './mount.js'
import { recordOf } from './record.js'

/** `POST upload/complete/`: takes what is there as the whole file. */
export async function complete (context: Context<FormMount>): Promise<FastifyReply> {
  const { mount, request, reply } = context
  if (formKind(request) === undefined && hasBody(request)) throw unsupportedType(request.headers['content-type'])
  const caller = await context.caller()
  const { upload_id: uploadId } = await readForm(request)
  if (uploadId === undefined || uploadId === null || uploadId === '') throw new Refusal(400, 'upload_id is required.')

  const { upload, reply: wish } = await mount.engine.complete(caller, readUploadId(uploadId), { asReceived: true })
  return reply
    .code(wish?.statusCode ?? 200)
    .headers(wish?.headers ?? {})
    .send(wish?.body ?? { message: 'Upload complete.', upload: recordOf(mount, upload, request) })
}
