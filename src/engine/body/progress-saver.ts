import { OffsetMismatch, TakenOver, UploadNotFound } from '../../errors.js'
import type { Storage, WriteProgress } from '../../storage/contract.js'
import {
  type ByteRange, type ChecksumState, type JsonValue, type Upload, type UploadingUpload, laterExpiry, offsetOf
} from '../../upload.js'
import { addRange, overlaps, removeRange } from '../records/byte-ranges.js'
import type { EngineEvents } from '../events.js'
import type { Lease } from '../locking/lease.js'
import type { UploadRecords } from '../records/upload-records.js'
import type { BodyReader } from './body-reader.js'
import type { SaveEvery, WriteRequest } from './write-request.js'

/** Checksum states that wait for storage to confirm their bytes; a gap before the oldest is read back. */
const KEPT_STATES = 64

/** One body on its way into an upload. */
export interface SavedBody {
  readonly upload: UploadingUpload
  /** Its first byte in the file. */
  readonly start: number
  readonly request: WriteRequest
  readonly saveEvery: SaveEvery
  /** The end of this body is the end of the file: it settles a size that was not declared. */
  readonly final: boolean
  readonly reader: BodyReader
  readonly lease: Lease
}

export interface SaverContext {
  readonly records: UploadRecords
  readonly events: EngineEvents
  readonly storage: Pick<Storage, 'epoch'>
}

/** Turns what storage confirms of one body into changes of the record. */
export class ProgressSaver implements WriteProgress {
  /** Nothing is saved before the whole body is there and right. */
  readonly atomic: boolean
  /** Byte up to which storage has confirmed. */
  confirmed: number
  /** Why the record does not take these bytes. */
  refusal: { readonly error: unknown } | undefined
  /** Another writer saved bytes of this body's range first: both may lie there. */
  overtaken = false
  #upload: Upload
  readonly #context: SaverContext
  readonly #body: SavedBody
  #changes: Array<(state: JsonValue) => JsonValue> = []
  /** Checksum states of batches, oldest first: the newest of a confirmed one, then those that storage has yet to confirm. */
  #states: ChecksumState[] = []
  #saved: number
  #triedAt = performance.now()
  #saving: Promise<void> | undefined
  #closed = false
  readonly #disputes: number

  constructor (context: SaverContext, body: SavedBody) {
    const { upload, start, request } = body
    this.#context = context
    this.#body = body
    this.#upload = upload
    this.confirmed = start
    this.#saved = start
    this.#disputes = upload.disputes ?? 0
    this.atomic = request.atomic === true || request.digests !== undefined
  }

  hashed (state: ChecksumState): void {
    this.#states.push(state)
    if (this.#states.length > KEPT_STATES) this.#states.shift()
    this.#dropStates()
  }

  readonly confirm = (end: number, change?: (state: JsonValue) => JsonValue): void => {
    // The lock may be another's by now.
    if (this.#closed) return
    this.confirmed = Math.max(this.confirmed, end)
    if (change !== undefined) this.#changes.push(change)
    this.#dropStates()
    if (this.atomic || this.#saving !== undefined) return
    const { bytes, ms } = this.#body.saveEvery
    if (this.confirmed - this.#saved >= bytes || performance.now() - this.#triedAt >= ms) {
      this.#saving = this.#save(false).catch(this.#onFailed).finally(() => { this.#saving = undefined })
    }
  }

  /** Takes no more confirmations, and waits for a save under way: after this nothing changes the record by itself. */
  async close (): Promise<void> {
    this.#closed = true
    await this.#saving
  }

  /**
   * Saves everything that is confirmed.
   * @param whole the body has come to its end: what else it changes in the record is saved too
   */
  async save (whole: boolean): Promise<Upload> {
    await this.#save(whole)
    return this.#upload
  }

  /** A store that fails on the way is no loss: the next save tries again, and the last one tells. */
  readonly #onFailed = (error: unknown): void => {
    if (!(error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500)) return
    this.refusal = { error }
    // The body is read in vain.
    this.#body.reader.stop('lost')
  }

  #dropStates (): void {
    while ((this.#states[1]?.offset ?? Infinity) <= this.confirmed) this.#states.shift()
  }

  async #save (whole: boolean): Promise<void> {
    const { confirmed } = this
    const { records, events, storage: { epoch } } = this.#context
    const { request, start, final, lease } = this.#body
    if (lease.lost) throw new TakenOver()
    this.#triedAt = performance.now()
    const applied = this.#changes.length
    const [oldest] = this.#states
    const state = oldest !== undefined && oldest.offset <= confirmed ? oldest : null
    const declared = request.size ?? (whole && final ? confirmed : null)
    const ours = whole ? request.change?.(this.#upload) ?? {} : {}
    const settlesSize = declared !== null && this.#upload.size === null
    if (confirmed === this.#saved && applied === 0 && !settlesSize && Object.keys(ours).length === 0) return

    this.#upload = await records.update(this.#upload.id, current => {
      if (current.status !== 'uploading' || (current.disputes ?? 0) !== this.#disputes) throw new TakenOver()
      this.#refuseOvertaken(current, confirmed)
      return {
        ...current,
        ...ours,
        ...epoch !== undefined && { epoch },
        size: current.size ?? declared,
        received: addRange(current.received, [start, confirmed]),
        storageState: this.#changes.slice(0, applied).reduce((known, change) => change(known), current.storageState),
        checksumState: state !== null && state.offset > (current.checksumState?.offset ?? 0) ? state : current.checksumState,
        expiresAt: current.lifetime === undefined ? current.expiresAt : laterExpiry(current.expiresAt, Date.now() + current.lifetime)
      }
    }, this.#upload)
    // Asked again: the next holder of the lock finds these bytes in the record, and does not write over them.
    if (lease.lost) throw new TakenOver()
    this.#changes.splice(0, applied)
    this.#saved = confirmed
    events.progress(this.#upload, request)
  }

  /**
   * After the lock was lost: what this body wrote up to byte `end` and did not save safely may lie over bytes of another writer, or under
   * them. None of it counts, and all of it has to come again.
   */
  async disown (end: number): Promise<void> {
    const range: ByteRange = [this.#saved, Math.max(end, this.confirmed)]
    if (range[0] >= range[1]) return
    // Of bytes in order nothing after a gap could be used.
    const dropped: ByteRange = this.#body.request.parallel === true ? range : [range[0], Infinity]
    await this.#context.records.update(this.#upload.id, current => {
      if (current.status !== 'uploading') throw new TakenOver()
      return {
        ...current,
        received: removeRange(current.received, dropped),
        checksumState: (current.checksumState?.offset ?? 0) > range[0] ? null : current.checksumState,
        disputes: (current.disputes ?? 0) + 1
      }
    }).catch((error: unknown) => {
      if (!(error instanceof TakenOver || error instanceof UploadNotFound)) throw error
    })
  }

  /** After another writer was first: the checksum must be that of the bytes which lie there, so it is to be read back. */
  async doubt (): Promise<void> {
    await this.#context.records.update(this.#upload.id, current => {
      return (current.checksumState?.offset ?? 0) > this.#body.start ? { ...current, checksumState: null } : current
    })
  }

  /** A server that shares the records but not the locks may have stored the same bytes first: then ours do not count. */
  #refuseOvertaken (current: Upload, confirmed: number): void {
    const { overwrite, parallel } = this.#body.request
    if (overwrite === true || confirmed === this.#saved) return
    const ours = parallel === true ? confirmed : this.#saved + 1
    if (!overlaps(current.received, [this.#saved, ours])) return
    this.overtaken = true
    throw new OffsetMismatch(offsetOf(current), this.#saved)
  }
}
