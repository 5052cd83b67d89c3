import type { Readable } from 'node:stream'
import {
  BeyondSize, BodyCut, BodyStalled, LengthMismatch, OffsetMismatch, ShuttingDown, SizeConflict, SizeLimitExceeded, StorageTrouble, TakenOver
} from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { type ChecksumState, type JsonValue, type Upload, type UploadingUpload, offsetOf } from '../upload.js'
import { type BodyDigest, BodyVerifier } from './body-digest.js'
import { type BodyEnd, BodySource } from './body-source.js'
import { addRange, covers } from './byte-ranges.js'
import type { RunningChecksum } from './checksum.js'
import type { Hold } from './hold.js'
import type { Records } from './records.js'

/** Confirmed bytes, or time, after which a long request saves its progress. */
const COMMIT_BYTES = 64 * 1024 * 1024
const COMMIT_INTERVAL = 5000
/** Checksum states that wait for storage to confirm their bytes; a gap before the oldest is read back. */
const KEPT_STATES = 64

/** One body to store. */
export interface WriteRequest {
  /** First byte of the body in the file, or `end` to append behind what is there. */
  readonly start: number | 'end'
  readonly body: Readable
  /** Bytes that the body must have; left out when the request does not say. */
  readonly length?: number
  /** Size of the whole file in bytes, where this request tells it. */
  readonly size?: number
  /** All or nothing: a body that is cut, too long or wrong leaves the upload as it was. Otherwise what arrived is kept. */
  readonly atomic?: boolean
  /**
   * Other ranges of the upload may be written at the same time; a range that is there already is an {@link OffsetMismatch}, thrown before
   * the body is read. Needs a storage with `anyOffset`.
   */
  readonly parallel?: boolean
  /** Bytes that are there already are replaced; takes the upload for itself. */
  readonly overwrite?: boolean
  /** A body that goes beyond the upload's size: `refuse` drops what is not yet saved, `keep` saves the bytes up to the size. */
  readonly overflow?: 'refuse' | 'keep'
  /** Checksums of this body; a mismatch drops it whole, so they imply `atomic`. */
  readonly digests?: readonly BodyDigest[]
  /** How to ask an older request that holds the upload: `yield` lets it go on while its bytes flow, `stop` ends it. */
  readonly claim?: 'yield' | 'stop'
  /** Called under the lock, before a byte is read; throws to refuse. */
  readonly check?: (upload: UploadingUpload) => void
  /** What else this body changes in the record, together with its bytes. Called after the last byte. */
  readonly change?: (upload: Upload) => Partial<Pick<Upload, 'filename' | 'contentType' | 'metadata' | 'protocolState'>>
}

export interface WriteSurroundings {
  readonly storage: Storage
  readonly records: Records
  readonly hold: Hold
  readonly maxBytes: number | null
  /** ms */
  readonly stallTimeout: number
  /** ms the expiry is moved on with each body; null leaves it. */
  readonly expiresIn: number | null
  /** The upload's checksum, where it can go on from this body's start. */
  readonly checksum: RunningChecksum | undefined
  readonly onStart: (source: BodySource) => void
  readonly onProgress: (upload: Upload) => void
}

/**
 * Stores one body and saves what storage confirmed. The caller holds the upload's lock and has read `upload` under it.
 * @returns the record after the last save
 */
export async function writeBody (upload: UploadingUpload, request: WriteRequest, around: WriteSurroundings): Promise<Upload> {
  const start = request.start === 'end' ? offsetOf(upload) : request.start
  request.check?.(upload)
  const limit = roomFor(upload, start, request, around.maxBytes)
  const expected = request.parallel === true
    ? !covers(upload.received, [start, start + 1])
    : request.overwrite === true || start === offsetOf(upload)
  if (!expected) throw new OffsetMismatch(offsetOf(upload), start)

  const source = new BodySource(request.body, { limit, stallTimeout: around.stallTimeout })
  around.onStart(source)
  around.hold.listen(claim => {
    if (claim === 'yield') source.yieldWhenIdle()
    else source.stop(claim === 'lost' ? 'lost' : 'taken')
  })
  const saves = new Saves(upload, start, request, around)
  const verifier = request.digests === undefined ? undefined : new BodyVerifier(request.digests)
  const trouble = await around.storage.write(upload, start, taps(source, around.checksum, verifier, saves), saves).then(
    () => undefined,
    (error: unknown) => ({ error })
  )
  if (trouble !== undefined) source.stop('abandoned')

  const end = source.ended ?? 'abandoned'
  if (trouble !== undefined || (end !== 'end' && !(end === 'overflow' && request.overflow === 'keep'))) {
    if (!saves.atomic && end !== 'overflow' && end !== 'lost') await saves.save()
    throw trouble === undefined ? endError(end, source, upload, request, around) : trouble.error
  }
  if (end === 'end') {
    if (request.length !== undefined && source.bytes !== request.length) throw new LengthMismatch(source.bytes, request.length)
    verifier?.check()
  }
  if (saves.confirmed !== start + source.bytes) {
    throw new StorageTrouble({ cause: new Error(`storage confirmed ${saves.confirmed}, not ${start + source.bytes}`) })
  }
  const saved = await saves.save()
  if (end === 'overflow') throw endError(end, source, upload, request, around)
  return saved
}

/** Bytes that the body may bring. */
function roomFor (upload: UploadingUpload, start: number, request: WriteRequest, maxBytes: number | null): number {
  const { length } = request
  if (request.size !== undefined && upload.size !== null && request.size !== upload.size) throw new SizeConflict(upload.size, request.size)
  const size = upload.size ?? request.size ?? null
  if (maxBytes !== null && Math.max(size ?? 0, start + (length ?? 0)) > maxBytes) throw new SizeLimitExceeded(maxBytes)
  if (size !== null && (start + (length ?? 0) > size || size < offsetOf(upload))) throw new BeyondSize(size)
  return Math.min(size ?? Infinity, maxBytes ?? Infinity, length === undefined ? Infinity : start + length) - start
}

function endError (end: BodyEnd, source: BodySource, upload: Upload, request: WriteRequest, around: WriteSurroundings): Error {
  switch (end) {
    case 'cut': return new BodyCut({ cause: source.cause })
    case 'stalled': return new BodyStalled(around.stallTimeout)
    case 'shutdown': return new ShuttingDown()
    case 'overflow': {
      const size = upload.size ?? request.size ?? null
      if (request.length !== undefined) return new LengthMismatch(source.bytes + 1, request.length)
      return size !== null && (around.maxBytes === null || size <= around.maxBytes) ? new BeyondSize(size) : new SizeLimitExceeded(around.maxBytes ?? 0)
    }
    default: return new TakenOver()
  }
}

/** Lets the checksums see each batch on its way to storage. */
async function * taps (
  source: BodySource, checksum: RunningChecksum | undefined, verifier: BodyVerifier | undefined, saves: Saves
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  for await (const batch of source) {
    checksum?.update(batch)
    if (checksum !== undefined) saves.hashed(checksum.save())
    verifier?.update(batch)
    yield batch
  }
}

/** Turns what storage confirms into changes of the record. */
class Saves {
  readonly atomic: boolean
  confirmed: number
  #upload: Upload
  readonly #start: number
  readonly #request: WriteRequest
  readonly #around: WriteSurroundings
  #changes: Array<(state: JsonValue) => JsonValue> = []
  /** Checksum states of the batches that storage has, or has not yet, confirmed, oldest first. */
  #states: ChecksumState[] = []
  #saved: number
  #savedAt = Date.now()
  #saving: Promise<void> | undefined

  constructor (upload: Upload, start: number, request: WriteRequest, around: WriteSurroundings) {
    this.#upload = upload
    this.#start = start
    this.#request = request
    this.#around = around
    this.confirmed = start
    this.#saved = start
    this.atomic = request.atomic === true || request.digests !== undefined
  }

  hashed (state: ChecksumState): void {
    this.#states.push(state)
    if (this.#states.length > KEPT_STATES) this.#states.shift()
  }

  readonly confirm = (end: number, change?: (state: JsonValue) => JsonValue): void => {
    this.confirmed = Math.max(this.confirmed, end)
    if (change !== undefined) this.#changes.push(change)
    while ((this.#states[1]?.offset ?? Infinity) <= this.confirmed) this.#states.shift()
    if (this.atomic || this.#saving !== undefined) return
    if (this.confirmed - this.#saved >= COMMIT_BYTES || Date.now() - this.#savedAt >= COMMIT_INTERVAL) {
      // A failed save on the way is no loss: the next one, or the last, tells.
      this.#saving = this.#save(false).catch(() => {}).finally(() => { this.#saving = undefined })
    }
  }

  /** Saves everything that is confirmed. */
  async save (): Promise<Upload> {
    await this.#saving
    await this.#save(true)
    return this.#upload
  }

  async #save (last: boolean): Promise<void> {
    const { confirmed } = this
    if (this.#around.hold.lost) throw new TakenOver()
    const applied = this.#changes.length
    const state = this.#states[0] !== undefined && this.#states[0].offset <= confirmed ? this.#states[0] : undefined
    const request = this.#request
    const ours = last ? request.change?.(this.#upload) ?? {} : {}
    if (confirmed === this.#saved && applied === 0 && Object.keys(ours).length === 0 &&
      (request.size === undefined || this.#upload.size !== null)) return

    this.#upload = await this.#around.records.update(this.#upload.id, current => {
      if (current.status !== 'uploading') throw new TakenOver()
      this.#refuseIfOvertaken(current)
      const hashed = current.checksumState?.offset ?? 0
      return {
        ...current,
        ...ours,
        size: current.size ?? request.size ?? null,
        received: addRange(current.received, [this.#start, confirmed]),
        storageState: this.#changes.slice(0, applied).reduce((known, change) => change(known), current.storageState),
        checksumState: request.overwrite === true && this.#start < hashed
          ? null
          : state !== undefined && state.offset > hashed ? state : current.checksumState,
        expiresAt: this.#around.expiresIn === null ? current.expiresAt : Date.now() + this.#around.expiresIn
      }
    }, this.#upload)
    this.#changes.splice(0, applied)
    this.#saved = confirmed
    this.#savedAt = Date.now()
    this.#around.onProgress(this.#upload)
  }

  /** A server that shares the records but not the locks may have stored the same bytes first: then ours do not count. */
  #refuseIfOvertaken (current: Upload): void {
    if (this.#request.overwrite === true || this.confirmed === this.#saved) return
    if (covers(current.received, [this.#saved, this.#saved + 1])) throw new OffsetMismatch(offsetOf(current), this.#saved)
  }
}
