import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Sameness, UploadDraft } from '../../engine/index.js'
import { BeyondSize, SizeLimitExceeded, UploadGone, UploadNotFound } from '../../errors.js'
import type { Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import { bodyIn, isEmpty, lengthIn } from './body.js'
import { digestsOf, tellOffset } from './checksum.js'
import { type Concat, concatOf } from './concat-header.js'
import { bytesOf, checkVersion, hasUploadType, headerOf, isDeferred } from './headers.js'
import { locationOf } from './location.js'
import { parseMetadata, textAt, textsOf } from './metadata.js'
import { send, setOffset, type TusMount } from './mount.js'
import { bytesOfUser, sumOf } from './part-sums.js'
import { badHeader, Refusal, wrongContentType } from './refusal.js'
import { stateOf, stored } from './state.js'

/** POST on the mount: creation, with or without the first bytes (tus 1.0.0, creation, creation-with-upload, concatenation). */
export async function create (mount: TusMount, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  checkVersion(request)
  const concat = concatOf(mount, request)
  const size = declaredSize(request, concat, mount)
  const draft = draftOf(request, concat, size, mount)
  const withBody = await checkBody(request, concat, size, mount)
  const digests = digestsOf(request, mount.settings)
  const caller = await mount.caller(request, reply)
  if (concat?.kind === 'final') return await createFinal(mount, caller, draft, concat, request, reply)

  const created = await mount.engine.create(caller, draft)
  // Whatever happens to the bytes, the upload exists, and the client can go on with it.
  announce(mount, request, reply, created)
  const body = bodyIn(request)
  const empty = body === undefined || !withBody
  if (empty && digests === undefined && created.size !== 0) {
    // tus asks for it after a body only; tus-js-client wants it also of a creation from which it kept the body back.
    setOffset(reply, created)
    return await reply.code(201).send()
  }
  const length = lengthIn(request)
  const { upload, completed } = await mount.engine.write(caller, created.id, {
    start: 0,
    body: body ?? request.raw,
    overflow: 'keep',
    claim: 'stop',
    complete: { when: 'full', silent: concat !== undefined },
    ...length !== undefined && { length },
    ...digests !== undefined && { digests }
  }).catch(tellOffset(reply, 0, digests))
  announce(mount, request, reply, upload)
  setOffset(reply, upload)
  return await send(reply, 201, completed?.reply)
}

async function createFinal (
  mount: TusMount, caller: Caller, draft: UploadDraft, concat: Concat & { kind: 'final' }, request: FastifyRequest, reply: FastifyReply
): Promise<FastifyReply> {
  const { engine, finals, settings } = mount
  // The answer to the first such request may have been lost, and the parts may be gone since: it is the same upload.
  const same = { key: JSON.stringify([concat.raw, stateOf(draft).metadata ?? null]), sources: concat.parts }
  const final = await engine.findOnce(caller, same) ?? await newFinal(mount, caller, draft, same)
  reply.header('location', locationOf(mount, request, final.id))
  const { upload, completed } = await finals.begin(caller, final, mount.log(request))
  if (upload.status === 'complete') setOffset(reply, upload)
  else if (!settings.extensions.has('concatenation-unfinished')) {
    throw new Refusal(503, 'CONCAT', 'The concatenation goes on', { 'retry-after': '5' })
  }
  mount.setExpires(reply, upload)
  return await send(reply, 201, completed?.reply)
}

async function newFinal (
  { engine, finals, settings }: TusMount, caller: Caller, draft: UploadDraft, same: Sameness
): Promise<Upload> {
  try {
    const parts = await finals.parts(caller, same.sources)
    if (!settings.extensions.has('concatenation-unfinished') && parts.some(part => part.status !== 'complete')) {
      throw new Refusal(400, 'CONCAT', 'Upload-Concat names an upload that is not complete')
    }
    const least = parts.reduce((sum, part) => sum + (part.size ?? 0), 0)
    if (caller.maxBytes !== null && least > caller.maxBytes) throw new SizeLimitExceeded(caller.maxBytes)
    const replaces = settings.deletePartials ? bytesOfUser(caller.user, parts) : 0
    return await engine.createOnce(caller, { ...draft, size: sumOf(parts), replaces }, same)
  } catch (error) {
    // An equal request may have come to its end just now, and have removed the parts.
    const known = error instanceof UploadNotFound || error instanceof UploadGone ? await engine.findOnce(caller, same) : undefined
    if (known === undefined) throw error
    return known
  }
}

function announce (mount: TusMount, request: FastifyRequest, reply: FastifyReply, upload: Upload): void {
  reply.header('location', locationOf(mount, request, upload.id)).removeHeader('upload-expires')
  mount.setExpires(reply, upload)
}

/** Bytes; null while unknown. @throws {Refusal} 400 */
function declaredSize (request: FastifyRequest, concat: Concat | undefined, { settings }: TusMount): number | null {
  const length = bytesOf(request, 'Upload-Length')
  const deferred = isDeferred(request)
  if (concat?.kind === 'final') {
    if (length !== undefined || deferred) throw badHeader('Upload-Length', 'is the sum of the parts here')
    return null
  }
  if (deferred && !settings.extensions.has('creation-defer-length')) throw badHeader('Upload-Defer-Length', 'is not supported here')
  if ((length === undefined) !== deferred) throw badHeader('Upload-Length', 'or Upload-Defer-Length is needed, not both')
  return length ?? null
}

function draftOf (
  request: FastifyRequest, concat: Concat | undefined, size: number | null, { checksum, expiresIn }: TusMount
): UploadDraft {
  const raw = headerOf(request, 'Upload-Metadata')
  const metadata = parseMetadata(raw ?? '')
  return {
    filename: textAt(metadata, 'filename', 'name') ?? '',
    contentType: textAt(metadata, 'filetype', 'type') ?? null,
    metadata: textsOf(metadata),
    protocolState: stored({
      ...raw !== undefined && { metadata: raw },
      ...concat !== undefined && { concat: concat.raw },
      ...concat?.kind === 'final' && { parts: concat.parts }
    }),
    size,
    chunkSize: null,
    checksum: checksum === false || concat?.kind === 'partial' ? null : { algorithm: checksum, value: null },
    expiresIn,
    serial: false,
    ...concat?.kind === 'partial' && { partial: true }
  }
}

/** True when there may be bytes to store. @throws {Refusal} 403, 415 {@link BeyondSize} */
async function checkBody (
  request: FastifyRequest, concat: Concat | undefined, size: number | null, { settings, engine }: TusMount
): Promise<boolean> {
  const typed = hasUploadType(request) && concat?.kind !== 'final' && settings.extensions.has('creation-with-upload')
  if (!typed) {
    if (await isEmpty(request, engine.pace)) return false
    throw concat?.kind === 'final' ? finalTakesNoBytes() : wrongContentType()
  }
  const length = lengthIn(request)
  if (length !== undefined && size !== null && length > size) throw new BeyondSize(size)
  return bodyIn(request) !== undefined
}

export const finalTakesNoBytes = (): Refusal => new Refusal(403, 'FINAL', 'A final upload gets its bytes from its parts alone')
