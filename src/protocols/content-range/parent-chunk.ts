import type { FastifyReply } from 'fastify'
import { assertUploading } from '../../engine/index.js'
import { BodyCut, OffsetMismatch, StorageTrouble } from '../../errors.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import { type Upload, offsetOf } from '../../upload.js'
import { type ContentRangeContext, sendRecord } from './mount.js'
import type { ChunkRange } from './range-header.js'
import { type Chunk, withChunk } from './request-chunk.js'
import { storeFirst } from './store-first.js'
import { rangeOf, storeNext } from './store-next.js'

/** ms that a spooled chunk may stay behind where uploads never expire. */
const SPOOL_EXPIRY = 86_400_000

/** POST upload/ of django-chunked-upload: the form field `upload_id` tells a next chunk from a first one. */
export async function parentChunk (context: ContentRangeContext): Promise<FastifyReply> {
  await context.caller()
  return await withChunk(context.request, { ...context.mount.settings, raw: true }, async chunk => {
    const id = uploadIdOf(chunk)
    const range = await rangeOf(context, chunk, id !== '')
    const store = async (): Promise<Upload> => {
      if (id !== '') return await storeNext(context, readUploadId(id), chunk, range)
      if (range !== undefined && range.start > 0) return await storeLater(context, chunk, range)
      return await storeFirst(context, chunk, range, async stored => await assertNew(context, chunk, stored))
    }
    return sendRecord(context, await store())
  })
}

/** A next chunk whose upload is named after it waits in storage. */
async function storeLater (context: ContentRangeContext, chunk: Chunk, range: ChunkRange): Promise<Upload> {
  const { engine, settings: { expirationDelta } } = context.mount
  const caller = await context.caller()
  const spooled = await engine.spool(caller, chunk.body, expirationDelta ?? SPOOL_EXPIRY)
  try {
    await chunk.finish()
    const id = uploadIdOf(chunk)
    if (id === '') throw new OffsetMismatch(0, range.start)
    const waiting: Chunk = { ...chunk, body: spooled.open(), length: spooled.length }
    return await storeNext(context, readUploadId(id), waiting, range).finally(() => { waiting.body.destroy() })
  } catch (error) {
    // The client has sent all of it.
    throw error instanceof BodyCut && chunk.body.readableEnded ? new StorageTrouble({ cause: error.cause }) : error
  } finally {
    await spooled.discard()
  }
}

/** A chunk from byte 0 that names an upload after its bytes is no new upload after all. */
async function assertNew (context: ContentRangeContext, chunk: Chunk, stored: Upload): Promise<Upload> {
  const id = uploadIdOf(chunk)
  if (id === '') return stored
  const upload = await context.mount.engine.get(await context.caller(), readUploadId(id))
  assertUploading(upload)
  throw new OffsetMismatch(offsetOf(upload), 0)
}

function uploadIdOf ({ fields }: Chunk): string {
  return fields.get('upload_id') ?? ''
}
