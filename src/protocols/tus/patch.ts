import type { FastifyReply } from 'fastify'
import { assertThere, type BodyDigest, BodyVerifier } from '../../engine/index.js'
import { BeyondSize, OffsetMismatch, SizeConflict, UploadComplete } from '../../errors.js'
import { readBody } from '../../http/body/read-body.js'
import { type CompleteUpload, type Upload, type UploadingUpload, offsetOf } from '../../upload.js'
import { bodyIn, isEmpty, lengthIn } from './body.js'
import { digestsOf, tellOffset } from './checksum.js'
import { badHeader, finalTakesNoBytes } from './errors.js'
import { bytesOf, checkUploadType, checkVersion } from './headers.js'
import { logOf, send, setOffset, type TusContext } from './mount.js'
import { isFinal, isPartial, lacksCompletion } from './state.js'

/** What a PATCH says of its bytes. */
interface Chunk {
  readonly offset: number
  /** Length of the file, where this request tells it. */
  readonly size: number | undefined
  readonly digests: readonly BodyDigest[] | undefined
}

/** PATCH on an upload: bytes at the offset (tus 1.0.0, core protocol, checksum, creation-defer-length). */
export async function patch (context: TusContext): Promise<FastifyReply> {
  const { mount, request, reply, id } = context
  checkVersion(request)
  checkUploadType(request)
  const offset = bytesOf(request, 'Upload-Offset')
  if (offset === undefined) throw badHeader('Upload-Offset', 'is needed')
  const chunk: Chunk = { offset, size: bytesOf(request, 'Upload-Length'), digests: digestsOf(request, mount.settings) }
  const caller = await context.caller()

  const known = await mount.engine.get(caller, id)
  assertThere(known)
  if (isFinal(known)) throw finalTakesNoBytes()
  if (known.status === 'complete') return await repeatLast(context, known, chunk)
  await mount.finals.keepAlive(caller, known, logOf(context))

  if (lacksCompletion(known) && offset === known.size - 1) return await completeByLastByte(context, known, chunk)
  const length = lengthIn(request)
  const { upload, completed } = await mount.engine.write(caller, id, {
    start: offset,
    body: bodyIn(request) ?? request.raw,
    overflow: 'keep',
    claim: 'stop',
    check: upload => { checkChunk(upload, chunk) },
    complete: { when: 'full', silent: isPartial(known) },
    ...length !== undefined && { length },
    ...chunk.size !== undefined && { size: chunk.size },
    ...chunk.digests !== undefined && { digests: chunk.digests }
  }).catch(tellOffset(reply, offset, chunk.digests)).catch(async (error: unknown) => {
    const now = error instanceof UploadComplete ? await mount.engine.get(caller, id) : undefined
    if (now?.status !== 'complete') throw error
    return { upload: now, completed: undefined }
  })
  if (upload.status === 'complete' && completed === undefined) return await repeatLast(context, upload, chunk)
  await mount.finals.keepAlive(caller, upload, logOf(context))
  if (completed !== undefined && isPartial(upload)) mount.finals.partCompleted(caller, completed.upload, logOf(context))
  setOffset(reply, upload)
  mount.setExpires(reply, upload)
  return await send(reply, 204, completed?.reply)
}

/** The offset comes before the length (a client that is late hears where to go on), and a length below the offset is a bad request. */
function checkChunk (upload: UploadingUpload, { offset, size }: Chunk): void {
  const current = offsetOf(upload)
  if (offset !== current) throw new OffsetMismatch(current, offset)
  if (size !== undefined && size < current) throw badHeader('Upload-Length', 'is less than what was received')
}

type Whole = Upload & { readonly size: number }

/** The last byte comes again, as HEAD has asked for it: it is there already, and what is missing is the completion. */
async function completeByLastByte (context: TusContext, { id, size }: Whole, chunk: Chunk): Promise<FastifyReply> {
  const { mount, request, reply } = context
  const caller = await context.caller()
  const { engine, finals } = mount
  const verifier = chunk.digests === undefined ? undefined : new BodyVerifier(chunk.digests)
  let bytes = 0
  await readBody(bodyIn(request) ?? request.raw, engine.pace, data => {
    verifier?.update([data])
    bytes += data.length
    return bytes <= 1
  })
  if (bytes > 1) throw new BeyondSize(size)
  if (chunk.size !== undefined && chunk.size !== size) throw new SizeConflict(size, chunk.size)
  verifier?.check()
  if (bytes === 0) {
    setOffset(reply, await engine.get(caller, id), chunk.offset)
    return await reply.code(204).send()
  }
  const known = await engine.get(caller, id)
  const { upload, reply: wish } = await engine.complete(caller, id, { silent: isPartial(known) })
  if (isPartial(upload)) finals.partCompleted(caller, upload, logOf(context))
  setOffset(reply, upload)
  mount.setExpires(reply, upload)
  return await send(reply, 204, wish)
}

/** A complete upload takes no more bytes, but the answer to its last request may have been lost. */
async function repeatLast (
  { mount, request, reply }: TusContext, upload: CompleteUpload, { offset, size, digests }: Chunk
): Promise<FastifyReply> {
  if (offset !== upload.size) throw new OffsetMismatch(upload.size, offset)
  if (size !== undefined && size !== upload.size) throw new SizeConflict(upload.size, size)
  if (!await isEmpty(request, mount.engine.pace)) throw new BeyondSize(upload.size)
  setOffset(reply, upload)
  if (digests !== undefined) new BodyVerifier(digests).check()
  return await reply.code(204).send()
}
