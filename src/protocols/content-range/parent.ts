import type { RouteHandlerMethod } from 'fastify'
import { assertUploading } from '../../engine/index.js'
import { BodyCut, OffsetMismatch, StorageTrouble } from '../../errors.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { Caller } from '../contract.js'
import { type Chunk, withChunk } from './chunk.js'
import { formOf, textOf } from './complete.js'
import { storeFirst } from './first-chunk.js'
import { type Mount, callerOf, sendCompleted, sendJson, sendRecord } from './mount.js'
import { rangeOf, storeNext } from './put.js'
import type { ChunkRange } from './range-header.js'
import { Refused } from './wording.js'

/** ms that a spooled chunk may stay behind where uploads never expire. */
const SPOOL_EXPIRY = 86_400_000

/** POST upload/ of django-chunked-upload: the form field `upload_id` tells a next chunk from a first one. */
export function postChunk (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    return await withChunk(request, { ...mount.settings, raw: true }, async chunk => {
      const id = uploadIdOf(chunk)
      const range = await rangeOf(mount, request, caller, chunk, id !== '')
      const store = async (): Promise<Upload> => {
        if (id !== '') return await storeNext(mount, caller, readUploadId(id), chunk, range)
        if (range !== undefined && range.start > 0) return await storeLater(mount, caller, chunk, range)
        return await storeFirst(mount, caller, chunk, range, request.log, async stored => await assertNew(mount, caller, chunk, stored))
      }
      return sendRecord(reply, await store(), mount.settings)
    })
  }
}

/** POST complete/ of django-chunked-upload: `upload_id` and the checksum in a form; the answer is empty unless the host words it. */
export function postComplete (mount: Mount): RouteHandlerMethod {
  const { uploads: { engine }, settings: { checksum: algorithm } } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const fields = await formOf(request)
    const id = textOf(fields['upload_id'])
    const checksum = algorithm === false ? undefined : textOf(fields[algorithm])
    if (id === '' || checksum === '') {
      throw new Refused(algorithm === false ? "'upload_id' is required" : `Both 'upload_id' and '${algorithm}' are required`)
    }
    const completed = await engine.complete(caller, readUploadId(id), { ...checksum !== undefined && { checksum } })
    return sendCompleted(reply, completed, () => sendJson(reply, {}))
  }
}

/** A next chunk whose upload is named after it waits in storage. */
async function storeLater (mount: Mount, caller: Caller, chunk: Chunk, range: ChunkRange): Promise<Upload> {
  const { uploads: { engine }, settings: { expirationDelta } } = mount
  const spooled = await engine.spool(caller, chunk.body, expirationDelta ?? SPOOL_EXPIRY)
  try {
    await chunk.finish()
    const id = uploadIdOf(chunk)
    if (id === '') throw new OffsetMismatch(0, range.start)
    const waiting: Chunk = { ...chunk, body: spooled.open(), length: spooled.length }
    return await storeNext(mount, caller, readUploadId(id), waiting, range).finally(() => { waiting.body.destroy() })
  } catch (error) {
    // The client has sent all of it.
    throw error instanceof BodyCut && chunk.body.readableEnded ? new StorageTrouble({ cause: error.cause }) : error
  } finally {
    await spooled.discard()
  }
}

/** A chunk from byte 0 that names an upload after its bytes is no new upload after all. */
async function assertNew ({ uploads: { engine } }: Mount, caller: Caller, chunk: Chunk, stored: Upload): Promise<Upload> {
  const id = uploadIdOf(chunk)
  if (id === '') return stored
  const upload = await engine.get(caller, readUploadId(id))
  assertUploading(upload)
  throw new OffsetMismatch(offsetOf(upload), 0)
}

function uploadIdOf ({ fields }: Chunk): string {
  return fields.get('upload_id') ?? ''
}
