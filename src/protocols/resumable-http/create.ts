import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadDraft, Written } from '../../engine/index.js'
import { cleanFileName } from '../../file-name.js'
import { dispositionFilename } from '../../http/fields/content-disposition.js'
import { mediaType } from '../../http/body/form.js'
import type { JsonObject, Upload } from '../../upload.js'
import { Refusal } from '../refusal.js'
import { sendFinal } from './answer.js'
import { sizeBy, type UploadBody, uploadBodyOf } from './body.js'
import { draftChecksum } from './digests.js'
import { PARTIAL_UPLOAD } from './errors.js'
import { sendInterim } from './interim.js'
import { checkAppendSize } from './limits.js'
import { type ResumableContext, setProgress } from './mount.js'
import { receive, type Reception } from './receive.js'
import { type RoutedRequest, stored } from './state.js'

/** The route of the host that a creation is for. */
export interface Target {
  readonly route: RoutedRequest
  readonly finish: Reception['finish']
}

/**
 * POST, PUT or PATCH on the mount. With a valid Upload-Complete it makes an upload that can be resumed; without one the body is the whole
 * file, in one request.
 */
export async function create (context: ResumableContext): Promise<FastifyReply> {
  await context.caller()
  const body = uploadBodyOf(context.request)
  if (body.last === undefined) return await storeWhole(context, body)
  const { upload } = await createUpload(context, { ...body, last: body.last })
  return upload.status === 'complete' ? sendFinal(context, upload, 201) : sendCreated(context, upload)
}

/**
 * Makes an upload, tells the client of it beforehand, and stores what the request brings.
 * @param target the host's route that gets the file; without one it is the mount's own
 */
export async function createUpload (
  context: ResumableContext, body: UploadBody & { readonly last: boolean }, target?: Target
): Promise<Written> {
  const { mount, request, reply } = context
  const { engine, settings } = mount
  const caller = await context.caller()
  const { present, length, last } = body
  reply.header('Upload-Limit', mount.limitFor(request, caller))
  const size = sizeBy(body, 0)
  const tooSmall = size !== undefined && size < settings.minSize
  if (tooSmall && !last) throw new Refusal(400, `Files below ${settings.minSize} bytes must come in one request`)
  if (present) checkAppendSize(length, last, settings)

  const created = await engine.create(caller, draftOf(context, size, target))
  const location = mount.locationOf(request, created.id)
  const known = { Location: location, 'Upload-Limit': mount.limitFor(request, caller, created) }
  reply.headers(known)
  if (present && !tooSmall) sendInterim(reply, settings, known)
  if (!present && !last) return { upload: created, completed: undefined }
  return await receive(context, { id: created.id, offset: 0, body, last, finish: target?.finish })
}

export function sendCreated (context: ResumableContext, upload: Upload): FastifyReply {
  return setProgress(context, upload).code(201).send()
}

/** A body without Upload-Complete: all of it, or nothing. */
async function storeWhole (context: ResumableContext, body: UploadBody): Promise<FastifyReply> {
  const { mount, request, reply } = context
  const caller = await context.caller()
  if (mediaType(request) === 'multipart/form-data') {
    throw new Refusal(400, 'The body is the file here, and this one is a form: send the file itself, or use contentRange() or formAppend()')
  }
  if (!body.present) throw new Refusal(400, `${body.version.completeness} is needed, ?1 or ?0, or a file as the body`)
  reply.header('Upload-Limit', mount.limitFor(request, caller))
  const { engine } = mount
  const { id } = await engine.create(caller, draftOf(context, sizeBy({ ...body, last: true }, 0)))
  try {
    const { upload } = await receive(context, { id, offset: 0, body, last: true })
    if (upload.status !== 'complete') throw new Refusal(409, 'The upload was ended')
    reply.header('Location', mount.locationOf(request, id))
    return sendFinal(context, upload, 201)
  } catch (error) {
    // No client knows its URL.
    await engine.remove({ ...caller, hooks: {} }, id).catch(() => {})
    throw error
  }
}

/** What the creation says of the file: its type, name and coding; offsets count the bytes as they are sent. */
function draftOf ({ mount: { settings }, request }: ResumableContext, size: number | undefined, target?: Target): UploadDraft {
  const { 'content-type': type, 'content-disposition': disposition } = request.headers
  const isFile = type !== undefined && type.split(';', 1)[0]?.trim().toLowerCase() !== PARTIAL_UPLOAD
  return {
    filename: cleanFileName(dispositionFilename(disposition) ?? '') || 'upload',
    contentType: isFile ? type : null,
    metadata: representationOf(request),
    protocolState: stored(target === undefined ? {} : { route: target.route }),
    size: size ?? null,
    chunkSize: null,
    checksum: draftChecksum(request, settings.checksum),
    expiresIn: settings.expirationDelta,
    serial: false
  }
}

/** Fields that tell of the representation, byte for byte as they came. */
function representationOf ({ headers }: FastifyRequest): JsonObject {
  const {
    'content-disposition': contentDisposition, 'content-encoding': contentEncoding, 'content-language': contentLanguage
  } = headers
  return {
    ...contentDisposition !== undefined && { contentDisposition },
    ...contentEncoding !== undefined && { contentEncoding },
    ...contentLanguage !== undefined && { contentLanguage }
  }
}
