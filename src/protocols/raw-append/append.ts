import type { Readable } from 'node:stream'
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import { type Caller, internalCaller } from '../../engine/caller.js'
import { BodyCut, FormInvalid } from '../../errors.js'
import { formKind, partsOf } from '../../http/form.js'
import { bodyOf, contentLength, hasBody } from '../../http/stream-scope.js'
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
  // Of an encoded body, that the host decodes, the header tells another length.
  return await store(bodyOf(request), request.headers['content-encoding'] === undefined ? contentLength(request) : undefined)
}

async function storeFile (request: FastifyRequest, store: Store): Promise<boolean> {
  if (!hasBody(request)) throw noData()
  for await (const part of partsOf(request)) {
    if (part.kind === 'field') continue
    try {
      return await store(part.body)
    } catch (error) {
      throw error instanceof BodyCut && request.raw.complete ? new FormInvalid('it ends within a part') : error
    }
  }
  throw noData()
}

/** True when these are the first bytes of the video. */
async function appendBytes (mount: Mount, caller: Caller, video: Upload, body: Readable, length: number | undefined): Promise<boolean> {
  const { content } = stateOf(video)
  let before = 0
  const writer = content === null ? caller : { ...internalCaller(mount.own), maxBytes: caller.maxBytes }
  const { upload } = await mount.uploads.engine.write(writer, content ?? video.id, {
    start: 'end',
    body,
    ...length !== undefined && { length },
    // Without an offset on the wire nobody could go on from the middle of a chunk.
    atomic: true,
    check: current => { before = offsetOf(current) }
  })
  if (offsetOf(upload) === before) throw noData()
  return before === 0
}

export function noData (): NoData {
  return new NoData('No video data provided')
}
