import type { RouteHandlerMethod } from 'fastify'
import { LengthMismatch, OffsetMismatch, UploadBusy } from '../../errors.js'
import { isMisread } from '../../http/body/form.js'
import { withFormFile } from '../../http/body/form-file.js'
import { paceOf } from '../../http/body/stream-scope.js'
import { tellingLength } from '../../http/body/telling-length.js'
import { type ByteRange, offsetOf } from '../../upload.js'
import type { Caller } from '../contract.js'
import { type Mount, type OpenTask, callerOf, openTask, param } from './mount.js'
import { Refused, invalid } from './problem.js'
import { type PlacedChunk, replaceChunk } from './replace.js'
import { chunkRange, chunkSizeOf, chunksCount, hasChunk } from './task.js'

/**
 * POST chunk/{taskId}/{chunkIndex}: chunks come in any order and side by side. One that is there already is replaced, or nothing happens
 * when it is the same; one that is cut counts for nothing.
 */
export function chunk (mount: Mount): RouteHandlerMethod {
  const { settings: { repeats } } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const task = await openTask(mount, caller, request)
    const range = rangeOf(task, param(request, 'chunkIndex'))
    if (repeats === 'discard' && hasChunk(task.upload, range)) return await reply.send({ message: 'Chunk already uploaded' })
    await withFormFile(request, { names: ['chunk'], missing: noChunk }, async file => {
      const rules = { pace: paceOf(request), most: () => chunkSizeOf(task.upload) }
      const read = async (): Promise<OpenTask> => await openTask(mount, caller, request)
      try {
        await tellingLength(file.body, rules, async () => { await store(mount, caller, { task, range, body: file.body, read }) })
      } catch (error) {
        throw error instanceof LengthMismatch ? wrongLength(error, task) : error
      }
      // The chunk is stored, and stays so, but no file may get lost in silence.
      await file.finish().catch((error: unknown) => { if (isMisread(error)) throw error })
    })
    return await reply.code(200).send()
  }
}

async function store (
  mount: Mount, caller: Caller, chunk: PlacedChunk & { readonly read: () => Promise<OpenTask> }
): Promise<void> {
  const { task, range, body, read } = chunk
  const [start, end] = range
  if (hasChunk(task.upload, range)) {
    await replaceChunk(mount, caller, chunk)
    return
  }
  try {
    await mount.uploads.engine.write(caller, task.upload.id, { start, length: end - start, body, parallel: true, atomic: true })
  } catch (error) {
    if (!(error instanceof OffsetMismatch)) throw error
    const now = await read()
    if (!hasChunk(now.upload, range)) throw outOfOrder(now)
    // Another server stored the chunk while this body came: there is nothing left of the body to compare.
    if (body.readableDidRead) throw new UploadBusy({ cause: error })
    await replaceChunk(mount, caller, { task: now, range, body })
  }
}

/** @throws {Refused} */
function rangeOf ({ upload }: OpenTask, index: string): ByteRange {
  if (!/^-?\d+$/.test(index)) throw invalid({ chunkIndex: [`The value '${index}' is not valid.`] })
  const range = chunkRange(upload, Number(index))
  if (range !== undefined) return range
  const message = `Chunk index ${Number(index)} is out of range, the file has ${chunksCount(upload)} chunks.`
  throw new Refused({ status: 400, code: 'CHUNK_INDEX_OUT_OF_RANGE', message })
}

function noChunk (): Refused {
  return invalid({ chunk: ['The chunk field is required.'] })
}

function wrongLength ({ actual, expected }: LengthMismatch, { upload }: OpenTask): Refused {
  const most = chunkSizeOf(upload)
  return actual > most
    ? new Refused({ status: 413, code: 'CHUNK_TOO_LARGE', message: `Chunk has more than ${most} bytes.` })
    : new Refused({ status: 400, code: 'CHUNK_SIZE_MISMATCH', message: `Chunk has ${actual} bytes, expected ${expected}.` })
}

/** For storages that cannot write anywhere. */
function outOfOrder ({ upload }: OpenTask): Refused {
  const expected = Math.floor(offsetOf(upload) / chunkSizeOf(upload))
  return new Refused({ status: 409, code: 'CHUNK_OUT_OF_ORDER', message: `Chunk ${expected} has to come first.`, meta: { expected } })
}
