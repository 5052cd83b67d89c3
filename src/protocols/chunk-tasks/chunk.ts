import type { FastifyReply } from 'fastify'
import { LengthMismatch, OffsetMismatch, UploadBusy } from '../../errors.js'
import { isMisread } from '../../http/body/form.js'
import { withFormFile } from '../../http/body/form-file.js'
import { paceOf } from '../../http/body/stream-scope.js'
import { tellingLength } from '../../http/body/telling-length.js'
import { type ByteRange, offsetOf } from '../../upload.js'
import { type OpenTask, type TaskContext, openTask } from './mount.js'
import { TaskRefusal, invalid } from './refusals.js'
import { type PlacedChunk, replaceChunk } from './replace.js'
import { chunkRange, chunkSizeOf, chunksCount, hasChunk } from './task.js'

/**
 * POST chunk/{taskId}/{chunkIndex}: chunks come in any order and side by side. One that is there already is replaced, or nothing happens
 * when it is the same; one that is cut counts for nothing.
 */
export async function chunk (context: TaskContext): Promise<FastifyReply> {
  const { mount: { settings: { repeats } }, request, reply } = context
  const task = await openTask(context)
  const range = rangeOf(task, context.param('chunkIndex'))
  if (repeats === 'discard' && hasChunk(task.upload, range)) return await reply.send({ message: 'Chunk already uploaded' })
  await withFormFile(request, { names: ['chunk'], missing: noChunk }, async ({ body, finish }) => {
    const rules = { pace: paceOf(request), most: () => chunkSizeOf(task.upload) }
    try {
      await tellingLength(body, rules, async () => { await store(context, { task, range, body }) })
    } catch (error) {
      throw error instanceof LengthMismatch ? wrongLength(error, task) : error
    }
    // The chunk is stored, and stays so, but no file may get lost in silence.
    await finish().catch((error: unknown) => { if (isMisread(error)) throw error })
  })
  return await reply.code(200).send()
}

async function store (context: TaskContext, chunk: PlacedChunk): Promise<void> {
  const { task: { upload }, range, body } = chunk
  const [start, end] = range
  if (hasChunk(upload, range)) {
    await replaceChunk(context, chunk)
    return
  }
  try {
    const caller = await context.caller()
    await context.mount.engine.write(caller, upload.id, { start, length: end - start, body, parallel: true, atomic: true })
  } catch (error) {
    if (!(error instanceof OffsetMismatch)) throw error
    const now = await openTask(context)
    if (!hasChunk(now.upload, range)) throw outOfOrder(now)
    // Another server stored the chunk while this body came: there is nothing left of the body to compare.
    if (body.readableDidRead) throw new UploadBusy({ cause: error })
    await replaceChunk(context, { ...chunk, task: now })
  }
}

/** @throws {TaskRefusal} */
function rangeOf ({ upload }: OpenTask, index: string): ByteRange {
  if (!/^-?\d+$/.test(index)) throw invalid({ chunkIndex: [`The value '${index}' is not valid.`] })
  const range = chunkRange(upload, Number(index))
  if (range !== undefined) return range
  const message = `Chunk index ${Number(index)} is out of range, the file has ${chunksCount(upload)} chunks.`
  throw new TaskRefusal(400, 'CHUNK_INDEX_OUT_OF_RANGE', message)
}

function noChunk (): TaskRefusal {
  return invalid({ chunk: ['The chunk field is required.'] })
}

function wrongLength ({ actual, expected }: LengthMismatch, { upload }: OpenTask): TaskRefusal {
  const most = chunkSizeOf(upload)
  return actual > most
    ? new TaskRefusal(413, 'CHUNK_TOO_LARGE', `Chunk has more than ${most} bytes.`)
    : new TaskRefusal(400, 'CHUNK_SIZE_MISMATCH', `Chunk has ${actual} bytes, expected ${expected}.`)
}

/** For storages that cannot write anywhere. */
function outOfOrder ({ upload }: OpenTask): TaskRefusal {
  const expected = Math.floor(offsetOf(upload) / chunkSizeOf(upload))
  return new TaskRefusal(409, 'CHUNK_OUT_OF_ORDER', `Chunk ${expected} has to come first.`, { facts: { meta: { expected } } })
}
