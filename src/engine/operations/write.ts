import type { Readable } from 'node:stream'
import type { BodyPace } from '../../body-pace.js'
import {
  BeyondSize, BodyCut, BodyStalled, LengthMismatch, ShuttingDown, SizeLimitExceeded, StorageTrouble, TakenOver
} from '../../errors.js'
import type { Storage } from '../../storage/contract.js'
import type { Upload, UploadingUpload } from '../../upload.js'
import type { BufferPool } from '../body/batch-buffer.js'
import type { BodyChecksum } from '../checksum/body-checksum.js'
import { type BodyDigest, BodyVerifier } from '../body/body-digest.js'
import type { BodyMemory } from '../body/body-memory.js'
import { BodyReader } from '../body/body-reader.js'
import type { WriteWindow } from '../body/write-window.js'
import { toUploadError } from '../records/upload-records.js'
import { type SaveEvery, type SaverContext, ProgressSaver } from '../body/progress-saver.js'

/** One body to store. */
export interface WriteRequest {
  /** First byte of the body in the file, or `end` to append to what is there. */
  readonly start: number | 'end'
  /** With `end`: the sender has seen where that is. Otherwise an upload of which bytes were lost takes no more of them. */
  readonly informed?: boolean
  readonly body: Readable
  /** Bytes that the body must have; left out when the request does not say. */
  readonly length?: number
  /** Bytes that the body may have, whatever it announces. */
  readonly maxLength?: number
  /** Bytes of the body that count in the owner's quota already, in an upload that goes once they are stored. */
  readonly counted?: number
  /** Size of the whole file in bytes, where this request tells it. */
  readonly size?: number
  /**
   * All or nothing: a body that is cut leaves the upload as it was. Otherwise what arrived of it is kept. A body that turns out to be
   * too long, too short or wrong adds nothing more in either case, but what was saved while it came stays.
   */
  readonly atomic?: boolean
  /**
   * The body may start after a gap. A range of which a byte is there already, or is just being written, is an {@link OffsetMismatch},
   * thrown before the body is read. Bodies whose end is known, by `length` or by the upload's `chunkSize`, are written side by side,
   * others one after the other. Without `anyOffset` in the storage it is an ordinary write.
   */
  readonly parallel?: boolean
  /**
   * Bytes that are there are replaced, where the storage can; takes the upload for itself. They count as received all the time: of a body
   * that is cut some are then new and some are old. `engine.replace` knows no such state.
   */
  readonly overwrite?: boolean
  /** The body comes from this server, and no client is to blame for its pace: only the `stallTimeout` holds. */
  readonly own?: boolean
  /** Of a body that goes beyond the upload's size `refuse` drops what is not yet saved, `keep` saves what fits, unless `atomic`. */
  readonly overflow?: 'refuse' | 'keep'
  /** Checksums of this body; a mismatch drops it whole, so they imply `atomic`. */
  readonly digests?: readonly BodyDigest[]
  /** How to ask an older request that holds the upload: `yield` lets it go on while its bytes flow, `stop` ends it. */
  readonly claim?: 'yield' | 'stop'
  /** How often this body saves its progress, instead of the engine's own setting. */
  readonly saveEvery?: SaveEvery
  /** Told each time bytes of this body were saved. What it throws is ignored. */
  readonly onProgress?: (upload: Upload) => void
  /** Called under the lock, before a byte is read; throws to refuse. */
  readonly check?: (upload: UploadingUpload) => void
  /** What else this body changes in the record, together with its bytes. Called after the last byte; not for a cut body. */
  readonly change?: (upload: Upload) => Partial<Pick<Upload, 'protocolState'>>
}

export interface WriteSurroundings extends Omit<SaverContext, 'onRefused'> {
  readonly storage: Storage
  readonly maxBytes: number | null
  /** Asked before so many bytes from the body's start go to the storage; throws to refuse them. Undefined where all may come. */
  readonly grant: ((bytes: number) => Promise<void>) | undefined
  readonly pace: BodyPace
  /** Buffers for the batches. */
  readonly buffers: BufferPool
  /** How much bodies may hold together. */
  readonly memory: BodyMemory
  /** The upload's checksum, where it can go on from this body's start. */
  readonly checksum: BodyChecksum | undefined
  readonly onStart: (source: BodyReader) => void
}

/**
 * Stores one body and saves what storage confirmed. The caller holds the upload's lock and has read `upload` under it.
 * @returns the record after the last save
 */
export async function writeBody (
  upload: UploadingUpload, request: WriteRequest, window: WriteWindow, around: WriteSurroundings
): Promise<Upload> {
  const { start, limit } = window
  const { lease, storage } = around
  const verifier = request.digests === undefined ? undefined : new BodyVerifier(request.digests)
  const { buffers, memory } = around
  const pace = request.own === true ? { stallTimeout: around.pace.stallTimeout } : around.pace
  const source = new BodyReader(request.body, { ...pace, limit, buffers, memory })
  const saver = new ProgressSaver(upload, start, request, { ...around, onRefused: () => { source.stop('lost') } })
  const released = { hashed: around.checksum === undefined ? Infinity : 0, stored: 0 }
  const release = (by: Partial<typeof released>): void => {
    Object.assign(released, by)
    source.release(Math.min(released.hashed, released.stored))
  }
  if (around.checksum !== undefined) {
    around.checksum.onHashed = state => {
      saver.hashed(state)
      release({ hashed: state.offset - start })
    }
  }
  around.onStart(source)
  lease.listen(claim => {
    if (claim === 'yield') source.yieldWhenIdle()
    else source.stop(claim === 'lost' ? 'lost' : 'taken')
  })

  let trouble: { readonly error: unknown } | undefined
  let refusal: { readonly error: unknown } | undefined
  const mayPass = async (bytes: number): Promise<boolean> => {
    try {
      await around.grant?.(bytes)
      // Another may write here by now.
      return !lease.lost
    } catch (error) {
      refusal = { error }
      source.stop('refused')
      return false
    }
  }
  try {
    // An empty body asks nothing of the storage, which may have finished the file before a crash.
    if (await source.begins()) {
      await storage.write(upload, start, taps(source, mayPass, around.checksum, verifier), {
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
  source.stop('abandoned')
  await around.checksum?.settled()
  await saver.close()
  try {
    return await saveEnd(upload, request, window, { around, source, saver, verifier, trouble, refusal })
  } catch (error) {
    // What the record does not learn of this is as it was before.
    if (saver.overtaken) await saver.doubt().catch(() => {})
    if (!lease.lost) throw error
    await saver.disown(start + source.bytes).catch(() => {})
    throw trouble?.error ?? new TakenOver()
  }
}

interface Ending {
  readonly around: WriteSurroundings
  readonly source: BodyReader
  readonly saver: ProgressSaver
  readonly verifier: BodyVerifier | undefined
  readonly trouble: { readonly error: unknown } | undefined
  /** Why not all that came may be stored. */
  readonly refusal: { readonly error: unknown } | undefined
}

/** Saves what of the body counts, now that storage is done with it. */
async function saveEnd (
  upload: UploadingUpload, request: WriteRequest, window: WriteWindow, { around, source, saver, verifier, trouble, refusal }: Ending
): Promise<Upload> {
  const { start } = window
  const { ended: end = 'abandoned', bytes } = source
  const usable = !saver.atomic && end !== 'lost' && (end !== 'overflow' || request.overflow === 'keep')
  if (trouble !== undefined) {
    // The trouble that came first is the one to tell.
    if (usable) await saver.save(false).catch(() => {})
    throw trouble.error
  }
  if (end !== 'end' || refusal !== undefined) {
    if (usable) await saver.save(false)
    throw saver.refusal?.error ?? refusal?.error ?? endError(source, upload, request, window, around)
  }
  if (request.length !== undefined && bytes !== request.length) throw new LengthMismatch(bytes, request.length)
  verifier?.check()
  if (saver.confirmed !== start + bytes) {
    throw new StorageTrouble({ cause: new Error(`storage confirmed ${saver.confirmed}, not ${start + bytes}`) })
  }
  return await saver.save(true)
}

function endError (
  source: BodyReader, upload: Upload, request: WriteRequest, { start, limit }: WriteWindow, around: WriteSurroundings
): Error {
  const { maxBytes } = around
  switch (source.ended) {
    case 'cut': return new BodyCut({ cause: source.cause })
    case 'stalled': return source.cause instanceof BodyStalled ? source.cause : new BodyStalled('No data')
    case 'shutdown': return new ShuttingDown()
    case 'overflow': {
      const size = upload.size ?? request.size ?? Infinity
      if (request.length !== undefined) return new LengthMismatch(source.bytes + 1, request.length)
      if (size <= start + limit) return new BeyondSize(size)
      if (request.maxLength !== undefined && request.maxLength <= limit) return new SizeLimitExceeded(request.maxLength)
      return maxBytes !== null && maxBytes <= start + limit ? new SizeLimitExceeded(maxBytes) : new LengthMismatch(source.bytes + 1, limit)
    }
    case 'abandoned': return new StorageTrouble({ cause: new Error('storage stopped reading before the end of the body') })
    default: return new TakenOver()
  }
}

/** Lets the checksums see each batch on its way to storage. Ends before one that may not pass. */
async function * taps (
  source: BodyReader, mayPass: (bytes: number) => Promise<boolean>, checksum: BodyChecksum | undefined, verifier: BodyVerifier | undefined
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  let bytes = 0
  for await (const batch of source) {
    bytes = batch.reduce((sum, { length }) => sum + length, bytes)
    if (!await mayPass(bytes)) return
    await checksum?.take(batch)
    verifier?.update(batch)
    yield batch
  }
}
