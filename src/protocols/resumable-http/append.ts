import type { FastifyReply } from 'fastify'
import { mediaType } from '../../http/body/form.js'
import { UploadComplete } from '../../errors.js'
import type { CompleteUpload } from '../../upload.js'
import { Refusal } from '../refusal.js'
import { sendFinal } from './answer.js'
import { offsetIn, type UploadBody, uploadBodyOf } from './body.js'
import { inconsistentLength, PARTIAL_UPLOAD, wrongMediaType } from './errors.js'
import { checkAppendSize } from './limits.js'
import { type ResumableContext, setProgress } from './mount.js'
import { receive } from './receive.js'
import type { Dispatch } from './resumable-route.js'
import { stateOf } from './state.js'

/** PATCH on an upload: bytes from Upload-Offset on. */
export async function append (context: ResumableContext, dispatch: Dispatch): Promise<FastifyReply> {
  const { mount, request, reply, id } = context
  const caller = await context.caller()
  const body = uploadBodyOf(request)
  const { version, length, present } = body
  if (version.typedAppend && present && mediaType(request) !== PARTIAL_UPLOAD) throw wrongMediaType()
  const offset = offsetIn(request)
  if (offset === undefined) throw new Refusal(400, 'Upload-Offset is needed')
  const last = lastOf(body)
  reply.header('Upload-Limit', mount.limitFor(request, caller))

  const known = await mount.engine.get(caller, id)
  if (known.status === 'complete') return repeatFinal(context, known, { ...body, last }, offset)
  reply.header('Upload-Limit', mount.limitFor(request, caller, known))
  checkAppendSize(length, last, mount.settings)

  const { route } = stateOf(known)
  if (route !== undefined && last) {
    return await dispatch.run(context, route, finish => receive(context, { id, offset, body, last, finish }))
  }
  const { upload } = await receive(context, { id, offset, body, last })
  if (upload.status === 'complete') return sendFinal(context, upload, version.finishedAppend)
  return setProgress(context, upload).code(version.unfinishedAppend).send()
}

/**
 * Whether the file ends with an append.
 * @throws {Refusal} 400, the append does not say it, and its version has no rule for that
 */
function lastOf ({ last, version: { unsaid, completeness } }: UploadBody): boolean {
  if (last === undefined && unsaid === 'refuse') throw new Refusal(400, `${completeness} is needed: ?1 with the last bytes, else ?0`)
  return last ?? unsaid === 'last'
}

/**
 * A finished upload takes no bytes. But the reply to its last request may have been lost: who repeats that request, or asks to finish once
 * more, gets the same reply again, where the version allows it.
 */
function repeatFinal (
  context: ResumableContext, upload: CompleteUpload, { version, length, last }: UploadBody, offset: number
): FastifyReply {
  if (version.problems.has('completed-upload')) throw new UploadComplete()
  if (last !== true || length === undefined || offset + length !== upload.size) {
    throw inconsistentLength(`The upload is complete with ${upload.size} bytes`)
  }
  return sendFinal(context, upload, version.finishedAppend)
}
