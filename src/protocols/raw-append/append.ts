import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { WriteRequest } from '../../engine/index.js'
import { formKind } from '../../http/body/form.js'
import { type FormFile, withFormFile } from '../../http/body/form-file.js'
import { assertUncoded, bodyOf, contentLength, hasBody } from '../../http/body/stream-scope.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { Context } from '../context.js'
import { noData } from './errors.js'
import type { Bytes } from './joins.js'
import { stateOf } from './video.js'
import { type VideoMount, videoOf } from './mount.js'

/** `POST append_video/<id>/`: the raw body, whatever its type; of a multipart form the first file. */
export async function append (context: Context<VideoMount>): Promise<FastifyReply> {
  const { mount: { joins }, request, reply } = context
  const caller = await context.caller()
  const video = await videoOf(context)
  const first = await withBytes(request, async bytes => {
    return await (joins === undefined ? appendBytes(context, video, bytes) : joins.addClip(caller, video, bytes))
  })
  return reply.send({ message: first ? 'Video added successfully' : 'Video appended and joined successfully' })
}

async function withBytes<T> (request: FastifyRequest, store: (bytes: Bytes) => Promise<T>): Promise<T> {
  if (formKind(request) === 'multipart') {
    return await withFormFile(request, { missing: noData }, async file => {
      // Without an offset on the wire a refusal must leave nothing: the bytes end when the form has ended.
      return await store({ body: Readable.from(untilFormEnds(file), { objectMode: false }), length: undefined })
    })
  }
  if (!hasBody(request)) throw noData()
  assertUncoded(request)
  return await store({ body: bodyOf(request), length: contentLength(request) })
}

async function * untilFormEnds (file: FormFile): AsyncGenerator<Uint8Array, void, undefined> {
  yield * file.body.iterator({ destroyOnReturn: false })
  await file.finish()
}

/** True when these are the first bytes of the video. */
async function appendBytes (context: Context<VideoMount>, video: Upload, { body, length }: Bytes): Promise<boolean> {
  const { mount: { engine, contents } } = context
  const caller = await context.caller()
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
    ? (await engine.write(caller, video.id, request)).upload
    : await contents.write(content, request, { user, maxBytes, maxStored })
  if (offsetOf(upload) === before) throw noData()
  return before === 0
}
