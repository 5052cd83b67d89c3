import type { FastifyReply } from 'fastify'
import { assertThere } from '../../engine/index.js'
import { UploadComplete } from '../../errors.js'
import { type Upload, offsetOf } from '../../upload.js'
import { refuse } from './errors.js'
import { checkVersion } from './headers.js'
import { logOf, setOffset, type TusContext } from './mount.js'
import { isFinal, isPartial, lacksCompletion, stateOf } from './state.js'

/**
 * HEAD on an upload: where to go on (tus 1.0.0, core protocol). A request that still sends bytes to it is told to stop, and these are
 * counted. An upload that has all its bytes and waits for the host's `onComplete`, as that has refused it or a crash came in between, lacks
 * its last byte here: the client then sends that again, and the PATCH asks the host. Clients take an offset at the end for success.
 */
export async function head (context: TusContext): Promise<FastifyReply> {
  const { mount, request, reply, id } = context
  checkVersion(request)
  // Of errors too nothing may be kept: what is unknown or gone now may be there later.
  reply.header('cache-control', 'no-store')
  const caller = await context.caller()
  const known = await mount.engine.get(caller, id)
  assertThere(known)
  const isRefused = known.status === 'uploading' && stateOf(known).refused === true
  if (isRefused) throw refuse(403, 'REFUSED', 'This server does not accept the file')
  const upload = isFinal(known)
    ? (await mount.finals.advance(caller, known, logOf(context))).upload
    : await settled(context, known)

  const { metadata = '', concat } = stateOf(upload)
  const size = isFinal(upload) ? await mount.finals.sizeOf(caller, upload) : upload.size
  if (metadata !== '') reply.header('upload-metadata', metadata)
  if (concat !== undefined) reply.header('upload-concat', concat)
  if (size !== null) reply.header('upload-length', String(size))
  else if (!isFinal(upload)) reply.header('upload-defer-length', '1')
  if (!isFinal(upload) || upload.status === 'complete') setOffset(reply, upload, lacksCompletion(upload) ? upload.size - 1 : undefined)
  mount.setExpires(reply, upload)
  return await reply.code(200).send()
}

/**
 * The upload once no request writes to it any more. One that has all its bytes becomes complete, if only now, where the host has no say in
 * it any more: a read asks the host nothing.
 */
async function settled (context: TusContext, known: Upload): Promise<Upload> {
  const { engine, finals } = context.mount
  const caller = await context.caller()
  const upload = known.status === 'uploading' ? await engine.stopWriters(caller, known.id) : known
  assertThere(upload)
  if (upload.status === 'complete' || upload.size !== offsetOf(upload)) return upload
  const silent = isPartial(upload)
  if (!silent && upload.agreed === undefined && caller.hooks.onComplete !== undefined) {
    if (upload.size === 0) throw refuse(409, 'INCOMPLETE', 'An empty PATCH completes this upload')
    return upload
  }
  try {
    const completed = await engine.complete(caller, upload.id, { silent })
    if (silent) finals.partCompleted(caller, completed.upload, logOf(context))
    return completed.upload
  } catch (error) {
    if (error instanceof UploadComplete) return await engine.get(caller, upload.id)
    throw error
  }
}
