import {
  BeyondSize, BodyCut, BodyStalled, LengthMismatch, OffsetMismatch, ShuttingDown, SizeLimitExceeded, StorageTrouble, TakenOver, UploadGone
} from '../../errors.js'
import { type ByteRange, type Upload, type UploadingUpload, offsetOf } from '../../upload.js'
import { BodyVerifier } from '../body/body-digest.js'
import { BodyReader } from '../body/body-reader.js'
import { ProgressSaver } from '../body/progress-saver.js'
import type { SaveEvery, WriteRequest } from '../body/write-request.js'
import { chunkEnd, type WriteWindow, writeWindow } from '../body/write-window.js'
import { callAdapter, shortOf, toUploadError } from '../call-adapter.js'
import type { Caller } from '../caller.js'
import type { EngineContext, Held } from '../context.js'
import { Allowance } from '../limits/allowance.js'
import { covers } from '../records/byte-ranges.js'
import { largestFile } from '../records/new-upload.js'
import { asUploading, assertUploading } from '../records/upload-states.js'
import { withUpload } from '../with-upload.js'
import { amendHeld } from './amend.js'
import { type Completed, type CompleteRequest, finish } from './complete.js'

/** A write that may complete the upload in the same breath: `full` once all bytes are there, `end` with this body. */
export interface FinishingWriteRequest extends WriteRequest {
  readonly complete?: CompleteRequest & { readonly when: 'full' | 'end' }
}

export interface Written {
  /** The record after the body was saved, complete if it was completed. */
  readonly upload: Upload
  readonly completed: Completed | undefined
}

const SAVE_EVERY: SaveEvery = { bytes: 64 * 1024 * 1024, ms: 5000 }

/** From the lock to the record: takes the upload or a range of it, stores the body, and completes the upload if that is asked. */
export async function write (context: EngineContext, caller: Caller, id: string, request: FinishingWriteRequest): Promise<Written> {
  const claim = request.claim ?? 'yield'
  // A body may break while its request waits for its turn, before there is a listener.
  request.body.on('error', () => {})
  const range = await ownRange(context, caller, id, request)
  const saved = await withUpload(context, { caller, id, claim, range }, async ({ upload, lease }) => {
    assertUploading(upload)
    const written = await storeBody(context, { caller, upload, lease }, request, request.complete?.when === 'end')
    if (range !== undefined) return { upload: written, completed: undefined }
    return await completeIfDue(context, { caller, upload: written, lease }, request)
  })
  if (range === undefined) return saved
  if (!isDue(saved.upload, request)) {
    context.backgroundChecksum.follow(saved.upload)
    return saved
  }
  // All bytes are there: a request that sends some of them again stops.
  return await withUpload(context, { caller, id, claim: 'stop' }, async held => {
    if (held.upload.status === 'removed') assertUploading(held.upload)
    return await completeIfDue(context, held, request)
  })
}

/**
 * Stores one body under the upload's lock: finds its place, holds it against the limits, and has it poured into the storage.
 * @param final the end of this body is the end of the file
 * @returns the record after the last save
 */
async function storeBody (context: EngineContext, held: Held, request: WriteRequest, final = false): Promise<Upload> {
  const { storage, quota } = context
  const { caller, lease } = held
  request.check?.(held.upload)
  const maxBytes = largestFile(storage, caller, held.upload.chunkSize)
  const window = writeWindow(held.upload, request, { maxBytes, anyOffset: storage.capabilities.anyOffset })
  const { size } = request
  const upload = size !== undefined && held.upload.size === null ? await amendHeld(context, held, { size }) : held.upload
  const allowance = Allowance.of(quota, caller, { upload, request, window })
  try {
    const allowed = await allowance?.begin() ?? upload
    const ready = request.overwrite === true ? await forgetChecksum(context, allowed, window.start) : allowed
    const written = await pour(context, { caller, upload: ready, lease }, { request, window, maxBytes, final, grant: allowance?.grant })
    return await allowance?.settle(written) ?? written
  } catch (error) {
    await allowance?.giveUp(lease)
    throw await lossBefore(context, upload, window.start, error)
  }
}

/** A body that may come, and what holds for it. */
interface Coming {
  readonly request: WriteRequest
  readonly window: WriteWindow
  /** Largest file in bytes; null for no limit. */
  readonly maxBytes: number | null
  readonly final: boolean
  /** Asked before so many bytes from the body's start go to the storage; throws to refuse them. Undefined where all may come. */
  readonly grant: ((bytes: number) => Promise<void>) | undefined
}

/** Socket, batches, storage, record: what storage confirms is saved now and then, and at the end. */
async function pour (context: EngineContext, held: Held, coming: Coming): Promise<Upload> {
  const { storage, checksums, bodies, stopping, options } = context
  const { upload, lease } = held
  const { request, window: { start, limit }, final, grant } = coming
  const verifier = request.digests === undefined ? undefined : new BodyVerifier(request.digests)
  const checksum = await checksums.runningAt(upload, start, { readBack: request.parallel !== true, stopping })
  const pace = request.own === true ? { stallTimeout: options.pace.stallTimeout } : options.pace
  const reader = new BodyReader(request.body, { ...pace, limit, buffers: bodies.buffers, memory: bodies.memory })
  const saveEvery = request.saveEvery ?? options.saveEvery ?? SAVE_EVERY
  const saver = new ProgressSaver(context, { upload, start, request, saveEvery, final, reader, lease })

  // A batch's memory is free again once it is both hashed and stored.
  const released = { hashed: checksum === undefined ? Infinity : 0, stored: 0 }
  const release = (by: Partial<typeof released>): void => {
    Object.assign(released, by)
    reader.release(Math.min(released.hashed, released.stored))
  }
  if (checksum !== undefined) {
    checksum.onHashed = state => {
      saver.hashed(state)
      release({ hashed: state.offset - start })
    }
  }
  bodies.add(reader)
  lease.listen(claim => {
    if (claim === 'yield') reader.yieldWhenIdle()
    else reader.stop(claim === 'lost' ? 'lost' : 'taken')
  })

  let trouble: Failure | undefined
  let refusal: Failure | undefined
  const mayPass = async (bytes: number): Promise<boolean> => {
    try {
      await grant?.(bytes)
      // Another may write here by now.
      return !lease.lost
    } catch (error) {
      refusal = { error }
      reader.stop('refused')
      return false
    }
  }
  /** Lets the checksums see each batch on its way. Ends before one that may not pass. */
  const batches = async function * (): AsyncGenerator<readonly Uint8Array[], void, undefined> {
    let bytes = 0
    for await (const batch of reader) {
      bytes = batch.reduce((sum, { length }) => sum + length, bytes)
      if (!await mayPass(bytes)) return
      await checksum?.take(batch)
      verifier?.update(batch)
      yield batch
    }
  }
  try {
    try {
      // An empty body asks nothing of the storage, which may have finished the file before a crash.
      if (await reader.begins()) {
        await storage.write(upload, start, batches(), {
          confirm: (end, change) => {
            saver.confirm(end, change)
            release({ stored: end - start })
          },
          release: end => { release({ stored: end - start }) }
        })
      }
    } catch (error) {
      trouble = { error: toUploadError(error) }
    }
    reader.stop('abandoned')
    await checksum?.settled()
    await saver.close()
    return await saveEnd(upload, coming, { reader, saver, verifier, trouble, refusal })
  } catch (error) {
    // What the record does not learn of this is as it was before.
    if (saver.overtaken) await saver.doubt().catch(() => {})
    if (!lease.lost) throw error
    await saver.disown(start + reader.bytes).catch(() => {})
    throw trouble?.error ?? new TakenOver()
  } finally {
    bodies.close(reader)
  }
}

interface Failure {
  readonly error: unknown
}

interface Ending {
  readonly reader: BodyReader
  readonly saver: ProgressSaver
  readonly verifier: BodyVerifier | undefined
  readonly trouble: Failure | undefined
  /** Why not all that came may be stored. */
  readonly refusal: Failure | undefined
}

/** Saves what of the body counts, now that storage is done with it. */
async function saveEnd (upload: UploadingUpload, coming: Coming, ending: Ending): Promise<Upload> {
  const { request, window: { start } } = coming
  const { reader, saver, verifier, trouble, refusal } = ending
  const { ended: end = 'abandoned', bytes } = reader
  const usable = !saver.atomic && end !== 'lost' && (end !== 'overflow' || request.overflow === 'keep')
  if (trouble !== undefined) {
    // The trouble that came first is the one to tell.
    if (usable) await saver.save(false).catch(() => {})
    throw trouble.error
  }
  if (end !== 'end' || refusal !== undefined) {
    if (usable) await saver.save(false)
    throw saver.refusal?.error ?? refusal?.error ?? endError(upload, coming, reader)
  }
  if (request.length !== undefined && bytes !== request.length) throw new LengthMismatch(bytes, request.length)
  verifier?.check()
  if (saver.confirmed !== start + bytes) {
    throw new StorageTrouble({ cause: new Error(`storage confirmed ${saver.confirmed}, not ${start + bytes}`) })
  }
  return await saver.save(true)
}

function endError (upload: Upload, { request, window: { start, limit }, maxBytes }: Coming, reader: BodyReader): Error {
  switch (reader.ended) {
    case 'cut': return new BodyCut({ cause: reader.cause })
    case 'stalled': return reader.cause instanceof BodyStalled ? reader.cause : new BodyStalled('No data')
    case 'shutdown': return new ShuttingDown()
    case 'overflow': {
      const size = upload.size ?? request.size ?? Infinity
      if (request.length !== undefined) return new LengthMismatch(reader.bytes + 1, request.length)
      if (size <= start + limit) return new BeyondSize(size)
      if (request.maxLength !== undefined && request.maxLength <= limit) return new SizeLimitExceeded(request.maxLength)
      return maxBytes !== null && maxBytes <= start + limit ? new SizeLimitExceeded(maxBytes) : new LengthMismatch(reader.bytes + 1, limit)
    }
    case 'abandoned': return new StorageTrouble({ cause: new Error('storage stopped reading before the end of the body') })
    default: return new TakenOver()
  }
}

/** Of a body that failed: where bytes before it are gone, the record says so first, and the client hears where to go on. */
async function lossBefore (context: EngineContext, upload: UploadingUpload, start: number, error: unknown): Promise<unknown> {
  const { records, losses } = context
  const bytes = shortOf(error)
  try {
    if (bytes === undefined && !(error instanceof UploadGone)) return error
    // The body may have saved some of its own bytes before these were gone, too.
    const now = await records.find(upload.id) ?? upload
    const left = bytes === undefined ? await losses.bornOut(now) : await losses.shrunk(now, bytes)
    if (bytes === undefined) return error
    assertUploading(left, true)
    return offsetOf(left) === start ? error : new OffsetMismatch(offsetOf(left), start)
  } catch (later) {
    return later
  }
}

/** A checksum that has seen bytes which are now replaced would tell of a file that is no more, even if the body is cut. */
async function forgetChecksum ({ records }: EngineContext, upload: UploadingUpload, start: number): Promise<UploadingUpload> {
  if ((upload.checksumState?.offset ?? 0) <= start) return upload
  return asUploading(await records.update(upload.id, current => ({ ...asUploading(current), checksumState: null }), upload))
}

/** Writes a body that comes from the storage, under the upload's lock. */
export async function writeStored (context: EngineContext, held: Held, request: WriteRequest): Promise<UploadingUpload> {
  // It may break before its bytes are wanted, before there is a listener.
  request.body.on('error', () => {})
  try {
    const caller = { ...held.caller, hooks: {} }
    return asUploading(await storeBody(context, { ...held, caller }, { ...request, own: true }))
  } catch (error) {
    // No client sent this body: if it breaks off, the fault is the storage's.
    if (error instanceof BodyCut) await callAdapter(() => Promise.reject(error.cause))
    throw error
  } finally {
    request.body.destroy()
  }
}

/** The range that a body takes for itself, leaving others to others; undefined when it takes the whole upload. */
async function ownRange (
  { storage, records }: EngineContext, caller: Caller, id: string, request: FinishingWriteRequest
): Promise<ByteRange | undefined> {
  const { start, length, parallel, overwrite, complete } = request
  if (parallel !== true || overwrite === true || start === 'end' || complete?.when === 'end') return undefined
  if (!storage.capabilities.anyOffset) return undefined
  if (length !== undefined) return [start, start + length]
  const { chunkSize } = await records.get(caller, id)
  return chunkSize === null ? undefined : [start, chunkEnd(start, chunkSize)]
}

async function completeIfDue (context: EngineContext, held: Held<Upload>, request: FinishingWriteRequest): Promise<Written> {
  const { complete } = request
  const { upload } = held
  if (complete === undefined || upload.status !== 'uploading' || !isDue(upload, request)) return { upload, completed: undefined }
  const completed = await finish(context, { ...held, upload }, complete)
  return { upload: completed.upload, completed }
}

/** True when this write's request asks to complete the upload, and it can be. */
function isDue (upload: Upload, { complete }: FinishingWriteRequest): boolean {
  if (complete === undefined || upload.status !== 'uploading') return false
  return complete.when === 'end' || (upload.size !== null && covers(upload.received, [0, upload.size]))
}
