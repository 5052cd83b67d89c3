import type { FastifyReply } from 'fastify'
import type { Sameness, UploadDraft } from '../../engine/index.js'
import { BeyondSize, SizeLimitExceeded, UploadGone, UploadNotFound } from '../../errors.js'
import type { Upload } from '../../upload.js'
import { Refusal } from '../refusal.js'
import { bodyIn, isEmpty, lengthIn } from './body.js'
import { digestsOf, tellOffset } from './checksum.js'
import { type Concat, concatOf } from './concat-header.js'
import { badHeader, finalTakesNoBytes, refuse, wrongContentType } from './errors.js'
import { bytesOf, checkVersion, hasUploadType, headerOf, isDeferred } from './headers.js'
import { locationOf } from './location.js'
import { parseMetadata, textAt, textsOf } from './metadata.js'
import { logOf, send, setOffset, type TusContext } from './mount.js'
import { bytesOfUser, sumOf } from './part-sums.js'
import { stateOf, stored } from './state.js'

/** POST on the mount: creation, with or without the first bytes (tus 1.0.0, creation, creation-with-upload, concatenation). */
export async function create (context: TusContext): Promise<FastifyReply> {
  const { mount, request, reply } = context
  checkVersion(request)
  const concat = concatOf(context)
  const size = declaredSize(context, concat)
  const draft = draftOf(context, concat, size)
  const withBody = await checkBody(context, concat, size)
  const digests = digestsOf(request, mount.settings)
  const caller = await context.caller()
  if (concat?.kind === 'final') return await createFinal(context, draft, concat)

  const created = await mount.engine.create(caller, draft)
  // Whatever happens to the bytes, the upload exists, and the client can go on with it.
  announce(context, created)
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
  announce(context, upload)
  setOffset(reply, upload)
  return await send(reply, 201, completed?.reply)
}

async function createFinal (
  context: TusContext, draft: UploadDraft, concat: Concat & { kind: 'final' }
): Promise<FastifyReply> {
  const { mount, reply } = context
  const { engine, finals, settings } = mount
  const caller = await context.caller()
  // The answer to the first such request may have been lost, and the parts may be gone since: it is the same upload.
  const same = { key: JSON.stringify([concat.raw, stateOf(draft).metadata ?? null]), sources: concat.parts }
  const final = await engine.findOnce(caller, same) ?? await newFinal(context, draft, same)
  reply.header('location', locationOf(context, final.id))
  const { upload, completed } = await finals.begin(caller, final, logOf(context))
  if (upload.status === 'complete') setOffset(reply, upload)
  else if (!settings.extensions.has('concatenation-unfinished')) {
    throw new Refusal(503, 'The concatenation goes on', { code: 'CONCAT', headers: { 'retry-after': '5' } })
  }
  mount.setExpires(reply, upload)
  return await send(reply, 201, completed?.reply)
}

async function newFinal (context: TusContext, draft: UploadDraft, same: Sameness): Promise<Upload> {
  const { engine, finals, settings } = context.mount
  const caller = await context.caller()
  try {
    const parts = await finals.parts(caller, same.sources)
    if (!settings.extensions.has('concatenation-unfinished') && parts.some(part => part.status !== 'complete')) {
      throw refuse(400, 'CONCAT', 'Upload-Concat names an upload that is not complete')
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

function announce (context: TusContext, upload: Upload): void {
  const { mount, reply } = context
  reply.header('location', locationOf(context, upload.id)).removeHeader('upload-expires')
  mount.setExpires(reply, upload)
}

/** Bytes; null while unknown. @throws {Refusal} 400 */
function declaredSize ({ request, mount: { settings } }: TusContext, concat: Concat | undefined): number | null {
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

function draftOf ({ request, mount }: TusContext, concat: Concat | undefined, size: number | null): UploadDraft {
  const { checksum, expirationDelta: expiresIn } = mount.settings
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
  { request, mount: { settings, engine } }: TusContext, concat: Concat | undefined, size: number | null
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
