import { Readable } from 'node:stream'
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Caller, WriteRequest } from '../../engine/index.js'
import { formKind } from '../../http/body/form.js'
import { type FormFile, withFormFile } from '../../http/body/form-file.js'
import { assertUncoded, bodyOf, contentLength, hasBody } from '../../http/body/stream-scope.js'
import { type Upload, offsetOf } from '../../upload.js'
import { noData } from './errors.js'
import { callerOf, type Mount, videoOf } from './mount.js'
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
  return await withFormFile(request, { missing: noData }, async file => {
    // Without an offset on the wire a refusal must leave nothing: the bytes end when the form has ended.
    return await store(Readable.from(untilFormEnds(file), { objectMode: false }))
  })
}

async function * untilFormEnds (file: FormFile): AsyncGenerator<Uint8Array, void, undefined> {
  yield * file.body.iterator({ destroyOnReturn: false })
  await file.finish()
}

/** True when these are the first bytes of the video. */
async function appendBytes (mount: Mount, caller: Caller, video: Upload, body: Readable, length: number | undefined): Promise<boolean> {
  const { content } = stateOf(video)
  let before = 0
  const request: WriteRequest = {
    start: 'end',
    body,
    ...length !== undefined && { length },
    // Without an offset on the wire no client could go on from the middle of a chunk.
    atomic: true,
    check: current => { before = offsetOf(current) }
  }
  const { user, maxBytes, maxStored } = caller
  const upload = content === null
    ? (await mount.uploads.engine.write(caller, video.id, request)).upload
    : await mount.contents.write(content, request, { user, maxBytes, maxStored })
  if (offsetOf(upload) === before) throw noData()
  return before === 0
}
