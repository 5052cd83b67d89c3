import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import { LengthMismatch } from '../../errors.js'
import { isMisread } from '../../http/body/form.js'
import type { Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import { type Chunk, storeTellingLength, withChunk } from './chunk.js'
import { storeFirst } from './first-chunk.js'
import { type Mount, assertMayKnow, callerOf, sendRecord } from './mount.js'
import { type ChunkRange, parseContentRange } from './range-header.js'
import { idOf } from './record.js'
import { Refused } from './wording.js'

/** PUT on the collection: the first chunk makes the upload. */
export function putFirst (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    return await withChunk(request, { ...mount.settings, raw: true }, async chunk => {
      const range = await rangeOf(mount, request, caller, chunk, false)
      const upload = await storeFirst(mount, caller, chunk, range, request.log, async stored => stored)
      return sendRecord(reply, upload, mount.settings)
    })
  }
}

/** PUT on an upload: the next chunk. */
export function putNext (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    return await withChunk(request, { ...mount.settings, raw: true }, async chunk => {
      const range = await rangeOf(mount, request, caller, chunk, true)
      assertMayKnow(mount.settings, caller)
      const upload = await storeNext(mount, caller, idOf(request), chunk, range)
      return sendRecord(reply, upload, mount.settings)
    })
  }
}

/** Stores a chunk of an upload that is there already. */
export async function storeNext (
  { uploads: { engine }, settings }: Mount, caller: Caller, id: string, chunk: Chunk, range: ChunkRange | undefined
): Promise<Upload> {
  const length = range?.length ?? chunk.length
  const { upload } = await storeTellingLength(chunk, async () => await engine.write(caller, id, {
    start: range?.start ?? 0,
    body: chunk.body,
    atomic: chunk.atomic,
    ...length !== undefined && { length },
    ...range !== undefined && settings.requireComplete && { size: range.total },
    check: () => { if (range !== undefined) engine.checkSize(caller, range.total) }
  }))
  // What may be wrong with the rest of the form does not change that the chunk is stored, but no file may get lost in silence.
  await chunk.finish().catch((error: unknown) => { if (isMisread(error)) throw error })
  return upload
}

/**
 * Where the request's chunk stands in its file; undefined for the whole file.
 * @throws {Refused} {@link SizeLimitExceeded} {@link LengthMismatch}
 */
export async function rangeOf (
  { uploads: { engine }, settings }: Mount, request: FastifyRequest, caller: Caller, chunk: Chunk, next: boolean
): Promise<ChunkRange | undefined> {
  const late = next && !settings.dialect.checksLimitFirst
  const range = parseContentRange(request.headers['content-range'], total => { engine.checkSize(caller, total) }, late)
  if (range === undefined && settings.requireContentRange) throw new Refused('Error in request headers')
  if (range !== undefined && (range.length < 0 || (chunk.length ?? range.length) !== range.length)) {
    await storeTellingLength(chunk, () => Promise.reject(new LengthMismatch(0, range.length)))
  }
  return range
}
