import { OffsetMismatch, TakenOver, UploadNotFound } from '../../errors.js'
import type { WriteProgress } from '../../storage/contract.js'
import {
  type ByteRange, type ChecksumState, type JsonValue, type Upload, type UploadingUpload, laterExpiry, offsetOf
} from '../../upload.js'
import { addRange, overlaps, removeRange } from '../records/byte-ranges.js'
import type { Lease } from '../locking/lease.js'
import type { UploadRecords } from '../records/upload-records.js'
import type { WriteRequest } from '../operations/write.js'

/** Checksum states that wait for storage to confirm their bytes; a gap before the oldest is read back. */
const KEPT_STATES = 64

/** How much a long body may bring, and how long it may go on, before its progress is saved. */
export interface SaveEvery {
  readonly bytes: number
  readonly ms: number
}

export interface SaverContext {
  readonly records: UploadRecords
  readonly lease: Lease
  readonly saveEvery: SaveEvery
  /** The end of this body is the end of the file: it settles a size that was not declared. */
  readonly final: boolean
  /** The storage's. */
  readonly epoch: string | undefined
  readonly onProgress: (upload: Upload) => void
  /** The record does not take these bytes any more: the body is read in vain. */
  readonly onRefused: () => void
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
  readonly #start: number
  readonly #request: WriteRequest
  readonly #around: SaverContext
  #changes: Array<(state: JsonValue) => JsonValue> = []
  /** Checksum states of batches, oldest first: the newest of a confirmed one, then those that storage has yet to confirm. */
  #states: ChecksumState[] = []
  #saved: number
  #triedAt = performance.now()
  #saving: Promise<void> | undefined
  #closed = false
  readonly #disputes: number

  constructor (upload: UploadingUpload, start: number, request: WriteRequest, around: SaverContext) {
    this.#upload = upload
    this.#start = start
    this.#request = request
    this.#around = around
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
    const { bytes, ms } = this.#around.saveEvery
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
    this.#around.onRefused()
  }

  #dropStates (): void {
    while ((this.#states[1]?.offset ?? Infinity) <= this.confirmed) this.#states.shift()
  }

  async #save (whole: boolean): Promise<void> {
    const { confirmed } = this
    const request = this.#request
    if (this.#around.lease.lost) throw new TakenOver()
    this.#triedAt = performance.now()
    const applied = this.#changes.length
    const [oldest] = this.#states
    const state = oldest !== undefined && oldest.offset <= confirmed ? oldest : null
    const declared = request.size ?? (whole && this.#around.final ? confirmed : null)
    const ours = whole ? request.change?.(this.#upload) ?? {} : {}
    const settlesSize = declared !== null && this.#upload.size === null
    if (confirmed === this.#saved && applied === 0 && !settlesSize && Object.keys(ours).length === 0) return

    this.#upload = await this.#around.records.update(this.#upload.id, current => {
      if (current.status !== 'uploading' || (current.disputes ?? 0) !== this.#disputes) throw new TakenOver()
      this.#refuseOvertaken(current, confirmed)
      return {
        ...current,
        ...ours,
        ...this.#around.epoch !== undefined && { epoch: this.#around.epoch },
        size: current.size ?? declared,
        received: addRange(current.received, [this.#start, confirmed]),
        storageState: this.#changes.slice(0, applied).reduce((known, change) => change(known), current.storageState),
        checksumState: state !== null && state.offset > (current.checksumState?.offset ?? 0) ? state : current.checksumState,
        expiresAt: current.lifetime === undefined ? current.expiresAt : laterExpiry(current.expiresAt, Date.now() + current.lifetime)
      }
    }, this.#upload)
    // Asked again: the next holder of the lock finds these bytes in the record, and does not write over them.
    if (this.#around.lease.lost) throw new TakenOver()
    this.#changes.splice(0, applied)
    this.#saved = confirmed
    this.#around.onProgress(this.#upload)
  }

  /**
   * After the lock was lost: what this body wrote up to byte `end` and did not save safely may lie over bytes of another writer, or under
   * them. None of it counts, and all of it has to come again.
   */
  async disown (end: number): Promise<void> {
    const range: ByteRange = [this.#saved, Math.max(end, this.confirmed)]
    if (range[0] >= range[1]) return
    // Of bytes in order nothing after a gap could be used.
    const dropped: ByteRange = this.#request.parallel === true ? range : [range[0], Infinity]
    await this.#around.records.update(this.#upload.id, current => {
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
    await this.#around.records.update(this.#upload.id, current => {
      return (current.checksumState?.offset ?? 0) > this.#start ? { ...current, checksumState: null } : current
    })
  }

  /** A server that shares the records but not the locks may have stored the same bytes first: then ours do not count. */
  #refuseOvertaken (current: Upload, confirmed: number): void {
    const { overwrite, parallel } = this.#request
    if (overwrite === true || confirmed === this.#saved) return
    const ours = parallel === true ? confirmed : this.#saved + 1
    if (!overlaps(current.received, [this.#saved, ours])) return
    this.overtaken = true
    throw new OffsetMismatch(offsetOf(current), this.#saved)
  }
}
