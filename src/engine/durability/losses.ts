import { ShuttingDown, TakenOver, UploadGone } from '../../errors.js'
import type { Storage } from '../../storage/contract.js'
import {
  type ByteRange, type ChecksumState, type CompleteUpload, type Upload, type UploadingUpload, offsetOf, runningChecksumOf, storedEnd
} from '../../upload.js'
import { removeRange } from '../records/byte-ranges.js'
import type { EngineEvents } from '../events.js'
import type { Lease } from '../locking/lease.js'
import { callAdapter, shortOf } from '../call-adapter.js'
import type { UploadRecords } from '../records/upload-records.js'
import { isDistrusted, synced, type Syncer } from './syncer.js'
import type { UploadChecksums } from '../checksum/upload-checksums.js'

/** ms that the record of a lost file is kept, so that requests for it hear "gone" instead of "unknown". */
const LOST_KEPT = 30 * 24 * 3_600_000

/** The number of interrupted comparisons that are remembered. */
const MOST_KEPT = 100

export interface LossSurroundings {
  readonly storage: Storage
  readonly records: UploadRecords
  readonly checksums: UploadChecksums
  readonly stopping: AbortSignal
  readonly syncer: Syncer
  readonly events: EngineEvents
}

/**
 * Sees that no record says more than the storage has: after a truncation by the size of the file, after a power cut by its checksum.
 * What is missing of an unfinished upload has to come again; a complete one is lost.
 */
export class Losses {
  readonly #around: LossSurroundings
  /** How far interrupted comparisons came, by upload: a client that asks again and again must not start them anew each time. */
  readonly #compared = new Map<string, ChecksumState>()

  constructor (around: LossSurroundings) {
    this.#around = around
  }

  /** True for an upload whose bytes a power cut may have taken since they were confirmed. */
  isDue (upload: Upload): boolean {
    const { epoch } = this.#around.storage
    if (epoch === undefined || upload.epoch === epoch || upload.epoch === 'disk') return false
    if (upload.status === 'uploading') return storedEnd(upload) > 0
    return upload.status === 'complete' && upload.synced !== true
  }

  /** True when what can be seen of the bytes at once agrees with the record. */
  async seemsRight (upload: Upload): Promise<boolean> {
    return !this.isDue(upload) && await this.isLongEnough(upload)
  }

  /** True when no byte that the record speaks of is beyond the end of the file. */
  async isLongEnough (upload: Upload): Promise<boolean> {
    if (upload.status === 'removed' || storedEnd(upload) === 0) return true
    return (await this.#bytesOf(upload) ?? 0) >= storedEnd(upload)
  }

  /**
   * The record as its bytes bear it out. Under the upload's exclusive lock.
   * @throws {TakenOver} {@link ShuttingDown} when another request claims the upload before all of it was read
   */
  async bornOut (upload: Upload, lease?: Lease): Promise<Upload> {
    if (upload.status === 'removed') return upload
    const ready = this.isDue(upload) ? await this.recovered(upload, lease) : upload
    if (ready.status === 'removed' || storedEnd(ready) === 0) return ready
    const bytes = await this.#bytesOf(ready)
    if (bytes !== undefined) return await this.shrunk(ready, bytes)
    // A host may have taken the finished file for its own.
    return ready.status === 'complete' ? ready : await this.#lose(ready)
  }

  /** The record of an upload that was written in another epoch, once its bytes have been compared with it. */
  async recovered (upload: Upload, lease?: Lease): Promise<Upload> {
    if (!this.isDue(upload) || upload.status === 'removed') return upload
    const bytes = await this.#bytesOf(upload)
    if (bytes === undefined) return upload.status === 'complete' && upload.epoch === undefined ? upload : await this.#lose(upload)
    if (upload.status === 'complete') return await this.#recoverFile(upload, bytes, lease)
    return await this.#shrink(upload, await this.#trusted(upload, bytes, lease))
  }

  /** The record of an upload of which the storage has said that it has only so many bytes. */
  async shrunk (upload: Upload, bytes: number): Promise<Upload> {
    if (upload.status === 'removed' || bytes >= storedEnd(upload)) return upload
    return upload.status === 'complete' ? await this.#lose(upload) : await this.#shrink(upload, bytes)
  }

  /** Undefined when there is no file. */
  async #bytesOf (upload: Upload): Promise<number | undefined> {
    const { storage } = this.#around
    if (storage.stored === undefined) return Infinity
    try {
      return await callAdapter(async () => await storage.stored?.(upload))
    } catch (error) {
      if (error instanceof UploadGone) return undefined
      throw error
    }
  }

  async #recoverFile (upload: CompleteUpload, bytes: number, lease: Lease | undefined): Promise<Upload> {
    const { storage, records, syncer } = this.#around
    const checksum = runningChecksumOf(upload)
    if (bytes < upload.size) return await this.#lose(upload)
    if (checksum !== null && checksum.value !== null && storage.verifiable?.(upload) !== false) {
      if (await this.#digestOf(upload, checksum.algorithm, upload.size, lease) !== checksum.value) return await this.#lose(upload)
    }
    // As long as the system has the bytes in memory, what is on the disk cannot be seen.
    if (isDistrusted(upload, storage)) return upload
    await syncer.now(upload)
    return await records.update(upload.id, synced, upload)
  }

  /** Bytes from 0 on that are certainly those that were confirmed. */
  async #trusted (upload: UploadingUpload, bytes: number, lease: Lease | undefined): Promise<number> {
    const { storage, checksums } = this.#around
    const checksum = runningChecksumOf(upload)
    const state = upload.checksumState
    if (isDistrusted(upload, storage)) return 0
    const readable = checksum !== null && storage.verifiable?.(upload) !== false
    // Of the bytes that no checksum has seen, a record of before there were epochs has nothing to say but how many they are.
    const unseen = (offset: number): number => upload.epoch === undefined ? bytes : offset
    if (!readable || state === null) return unseen(0)
    if (state.offset > Math.min(bytes, offsetOf(upload))) return 0
    const expected = await checksums.digest(upload, checksum.algorithm, state)
    return await this.#digestOf(upload, checksum.algorithm, state.offset, lease) === expected ? unseen(state.offset) : 0
  }

  /** Of the bytes before `end` as they are in the storage; undefined when they end earlier. */
  async #digestOf (upload: Upload, algorithm: string, end: number, lease: Lease | undefined): Promise<string | undefined> {
    const { checksums, stopping } = this.#around
    const known = this.#compared.get(upload.id)
    this.#compared.delete(upload.id)
    const from = { ...upload, checksumState: known !== undefined && known.offset <= end ? known : null }
    const wanted = new AbortController()
    lease?.listen(claim => { if (claim !== 'yield') wanted.abort() })
    try {
      const state = await checksums.stateAt(from, algorithm, end, { signal: AbortSignal.any([stopping, wanted.signal]) })
      if (state.offset < end) {
        this.#keep(upload, state)
        throw stopping.aborted ? new ShuttingDown() : new TakenOver()
      }
      return await checksums.digest(upload, algorithm, state)
    } catch (error) {
      if (error instanceof UploadGone || shortOf(error) !== undefined) return undefined
      throw error
    }
  }

  #keep ({ id }: Upload, state: ChecksumState): void {
    const [oldest] = this.#compared.keys()
    if (oldest !== undefined && this.#compared.size >= MOST_KEPT) this.#compared.delete(oldest)
    this.#compared.set(id, state)
  }

  /** What was received beyond `bytes` did not come. A chunk of a grid counts as a whole or not at all. */
  async #shrink (upload: UploadingUpload, bytes: number): Promise<Upload> {
    const { storage: { epoch }, records, syncer, events } = this.#around
    // From here on the record says that the bytes are on the disk; they may be in memory only.
    if (epoch === 'disk' && bytes > 0) await syncer.now(upload)
    const { chunkSize, size } = upload
    const end = chunkSize === null || bytes === size ? bytes : Math.floor(bytes / chunkSize) * chunkSize
    const beyond: ByteRange = [end, Math.max(end, storedEnd(upload))]
    const less = await records.update(upload.id, current => {
      if (current.status !== 'uploading') return current
      const received = removeRange(current.received, beyond)
      const { checksumState, agreed, ...rest } = current
      const lacks = storedEnd(current) > end
      return {
        ...rest,
        // The host is asked for the file that is whole again.
        ...agreed !== undefined && !lacks && { agreed },
        received,
        checksumState: checksumState !== null && checksumState.offset <= offsetOf({ received }) ? checksumState : null,
        ...lacks && { shrunk: Math.max(current.shrunk ?? 0, storedEnd(current)) },
        ...epoch !== undefined && { epoch }
      }
    }, upload)
    if (storedEnd(upload) > end) events.lost(less, upload)
    return less
  }

  /** The bytes that are left stay where they are: they may be the only copy. */
  async #lose (upload: Upload): Promise<Upload> {
    const { records, events } = this.#around
    const removedAt = Date.now()
    const expiresAt = removedAt + LOST_KEPT
    const gone = { status: 'removed', reason: 'lost', removedAt, expiresAt, received: [], checksumState: null } as const
    const lost = await records.update(upload.id, current => current.status === upload.status ? { ...current, ...gone } : current, upload)
    if (lost.status === 'removed') events.lost(lost, upload)
    return lost
  }
}
