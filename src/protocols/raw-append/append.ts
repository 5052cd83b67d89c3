import { Readable } from 'node:stream'
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import { type Caller, internalCaller } from '../../engine/index.js'
import { BodyCut, FormInvalid } from '../../errors.js'
import { assertNoFile, formKind, isMisread, partsOf } from '../../http/body/form.js'
import type { FilePart, Part } from '../../http/body/multipart.js'
import { assertUncoded, bodyOf, contentLength, hasBody } from '../../http/body/stream-scope.js'
import { type Upload, offsetOf } from '../../upload.js'
import { callerOf, type Mount, NoData, videoOf } from './mount.js'
import { stateOf } from './video.js'

/** `POST append_video/<id>/`: the raw body, whatever its type; of a multipart form the first file. */
export function appendVideo (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const video = await videoOf(mount, caller, request)
    const store = async (body: Readable, length?: number): Promise<boolean> => {
      return mount.joins === undefined
        ? await appendBytes(mount, caller, video, body, length)
        : await mount.joins.addClip(caller, video, body, length)
    }
    const first = await (formKind(request) === 'multipart' ? storeFile(request, store) : storeBody(request, store))
    return reply.send({ message: first ? 'Video added successfully' : 'Video appended and joined successfully' })
  }
}

type Store = (body: Readable, length?: number) => Promise<boolean>

async function storeBody (request: FastifyRequest, store: Store): Promise<boolean> {
  if (!hasBody(request)) throw noData()
  assertUncoded(request)
  return await store(bodyOf(request), contentLength(request))
}

async function storeFile (request: FastifyRequest, store: Store): Promise<boolean> {
  if (!hasBody(request)) throw noData()
  const parts = partsOf(request)
  try {
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
      // Without an offset on the wire a refusal must leave nothing: the bytes end when the form has ended.
      if (next.value.kind === 'file') return await store(Readable.from(aloneIn(parts, next.value), { objectMode: false }))
    }
  } catch (error) {
    if (!(error instanceof BodyCut)) throw error
    if (isMisread(error.cause)) throw error.cause
    throw request.raw.complete ? new FormInvalid('it ends within a part') : error
  } finally {
    // Not awaited: it would wait for the next part of a form that is no longer read.
    parts.return().catch(() => {})
  }
  throw noData()
}

/** The bytes of a file, which ends with its form. @throws {SecondFile} */
async function * aloneIn (parts: AsyncIterator<Part>, file: FilePart): AsyncGenerator<Uint8Array, void, undefined> {
  yield * file.body.iterator({ destroyOnReturn: false })
  for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
    if (next.value.kind === 'file') await assertNoFile(next.value)
  }
}

/** True when these are the first bytes of the video. */
async function appendBytes (mount: Mount, caller: Caller, video: Upload, body: Readable, length: number | undefined): Promise<boolean> {
  const { content } = stateOf(video)
  let before = 0
  const { maxBytes, maxStored } = caller
  const writer = content === null ? caller : { ...internalCaller(mount.own), maxBytes, maxStored }
  const { upload } = await mount.uploads.engine.write(writer, content ?? video.id, {
    start: 'end',
    body,
    ...length !== undefined && { length },
    // Without an offset on the wire no client could go on from the middle of a chunk.
    atomic: true,
    check: current => { before = offsetOf(current) }
  })
  if (offsetOf(upload) === before) throw noData()
  return before === 0
}

export function noData (): NoData {
  return new NoData('No video data provided')
}
