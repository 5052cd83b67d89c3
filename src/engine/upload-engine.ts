import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { BodyPace } from '../body-pace.js'
import {
  ClientGone, OffsetMismatch, ShuttingDown, SizeConflict, TakenOver, UploadExpired, UploadGone, UploadIncomplete, UploadNotFound
} from '../errors.js'
import type { Locks } from '../locks/contract.js'
import type { ChecksumQuery, ListQuery, Metadata, UploadUsage } from '../metadata/contract.js'
import type { ReadOptions, Storage } from '../storage/contract.js'
import {
  type ByteRange, type CompleteUpload, type JsonObject, type RemovalReason, type Upload, type UploadingUpload, isUnsynced, lacksLost,
  offsetOf, storedEnd
} from '../upload.js'
import { Bodies } from './operations/bodies.js'
import { currentMetadata } from './records/current-metadata.js'
import { countBytes, covers } from './records/byte-ranges.js'
import type { Caller, UploadDraft } from './caller.js'
import { BackgroundChecksum } from './checksum/background-checksum.js'
import { type Completed, type CompleteRequest, Completion } from './operations/complete.js'
import { Concatenation } from './operations/concat.js'
import { Creation, type Sameness, type Told } from './operations/create.js'
import { type DeletedExpired, type DeleteExpiredOptions, Expiry } from './operations/expire.js'
import { checkSize, type UploadLimits, uploadLimits } from './records/new-upload.js'
import type { Lease } from './locking/lease.js'
import { Losses } from './durability/losses.js'
import { chunkEnd } from './body/write-window.js'
import { Quota } from './limits/quota.js'
import { callAdapter, assertUploading, type RecordQuery, UploadRecords, shortOf } from './records/upload-records.js'
import { Replacements } from './operations/replace.js'
import { type Replacement, replaceBytes, type ScratchUploads, scratchUploads, spool, type SpooledBody } from './operations/scratch.js'
import type { SaveEvery } from './body/progress-saver.js'
import { Syncer } from './durability/syncer.js'
import { type UploadLockRequest, UploadLocks } from './locking/upload-locks.js'
import { UploadChecksums } from './checksum/upload-checksums.js'
import type { WriteRequest } from './operations/write.js'

export interface EngineOptions {
  readonly storage: Storage
  readonly metadata: Metadata
  readonly locks: Locks
  /** The registration: uploads of others are unknown to this engine. Left out, it sees all of the store. */
  readonly scope?: string | undefined
  /** Told of each record that a list or a sweep leaves out because it cannot be read. */
  readonly onUnreadable?: (error: unknown, id: string) => void
  /** Told of each finished file that the disk would not take after its completion was answered: it is compared before each use. */
  readonly onUnsynced?: (error: unknown, upload: Upload) => void
  /** ms that a request waits for an upload in use. */
  readonly lockTimeout: number
  /** How slowly a body may come. */
  readonly pace: BodyPace
  /** Unfinished, unexpired uploads that one user may have; null for no limit. */
  readonly maxOpenUploads: number | null
  /** The expiry of new uploads counts from their last body, not from creation. */
  readonly slidingExpiry: boolean
  /** Where a finished file goes, relative to the storage's root. */
  readonly location?: ((upload: Upload) => string | undefined) | undefined
  /** Confirmed bytes, or ms, after which a long body saves its progress. Default: 64 MiB or 5 s, whatever comes first. */
  readonly saveEvery?: SaveEvery
  /** Bytes of memory for all bodies in flight together. Default: 64 MiB. */
  readonly bodyMemory?: number | undefined
}

/** What happened, after it happened. */
export interface UploadEvents {
  create: [upload: Upload]
  /** Bytes were saved: after each body, and every few seconds or 64 MiB within one. */
  progress: [upload: Upload]
  complete: [upload: CompleteUpload]
  /** Bytes and mostly the record too are gone. */
  remove: [upload: Upload, reason: RemovalReason]
  /**
   * Acknowledged bytes are gone, by a truncation or a power cut: `upload` is what is left of the record, `before` what it said. Of a
   * complete file nothing counts any more: it is `removed` with the reason `lost`, and a `remove` follows.
   */
  lost: [upload: Upload, before: Upload]
}

export interface RemoveOptions {
  /** Keeps the record, so that later requests hear "gone" instead of "unknown". */
  readonly keepRecord?: boolean
  readonly reason?: Exclude<RemovalReason, 'expired'>
  /** A finished upload loses its record alone, as with {@link UploadEngine.forget}; its file stays. */
  readonly keepFinished?: boolean
}

/** A write that may complete the upload in the same breath: `full` once all bytes are there, `end` with this body. */
export interface FinishingWriteRequest extends WriteRequest {
  readonly complete?: CompleteRequest & { readonly when: 'full' | 'end' }
}

export interface Written {
  /** The record after the body was saved, complete if it was completed. */
  readonly upload: Upload
  readonly completed: Completed | undefined
}

/** The rules of uploads. Knows neither HTTP nor any adapter. */
export class UploadEngine extends EventEmitter<UploadEvents> {
  /** How slowly a body may come. */
  readonly pace: BodyPace
  readonly #storage: Storage
  readonly #records: UploadRecords
  readonly #locks: UploadLocks
  readonly #checksums: UploadChecksums
  readonly #backgroundChecksum: BackgroundChecksum
  readonly #completion: Completion
  readonly #replacements: Replacements
  readonly #creation: Creation
  readonly #bodies: Bodies
  readonly #concatenation: Concatenation
  readonly #quota: Quota
  readonly #expiry: Expiry
  readonly #losses: Losses
  readonly #syncer: Syncer
  /** Uploads that nothing can keep from being removed any more. */
  readonly #removing = new Set<string>()

  constructor (options: EngineOptions) {
    super()
    const { storage } = options
    this.pace = options.pace
    this.#storage = storage
    this.#records = new UploadRecords(currentMetadata(options.metadata), options.scope, options.onUnreadable)
    this.#locks = new UploadLocks(options.locks, this.#records, options.lockTimeout)
    this.#checksums = new UploadChecksums(storage)
    this.#syncer = new Syncer({
      storage, records: this.#records, stopping: this.#locks.stopping, onFailed: options.onUnsynced ?? (() => {})
    })
    this.#losses = new Losses({
      storage,
      records: this.#records,
      checksums: this.#checksums,
      stopping: this.#locks.stopping,
      sync: async upload => { await this.#syncer.now(upload) },
      onLost: (upload, before) => {
        this.#tell(upload, () => { this.emit('lost', upload, before) })
        if (upload.status === 'removed') this.#tell(upload, () => { this.emit('remove', upload, upload.reason) })
      }
    })
    this.#backgroundChecksum = new BackgroundChecksum(this.#records, this.#locks, this.#checksums)
    this.#quota = new Quota(this.#records, this.#locks, options)
    this.#creation = new Creation({ storage, records: this.#records, locks: this.#locks, quota: this.#quota }, options)
    this.#bodies = new Bodies({
      storage,
      records: this.#records,
      checksums: this.#checksums,
      quota: this.#quota,
      pace: options.pace,
      saveEvery: options.saveEvery,
      bodyMemory: options.bodyMemory,
      stopping: this.#locks.stopping,
      onSize: async (caller, upload, size) => await this.#creation.amend(caller, upload, { size }),
      onShort: async (upload, bytes) => bytes === undefined
        ? await this.#losses.bornOut(upload)
        : await this.#losses.shrunk(upload, bytes),
      onProgress: (saved, request) => {
        this.#tell(saved, () => { this.emit('progress', saved) })
        this.#tell(saved, () => { request.onProgress?.(saved) })
      }
    })
    this.#concatenation = new Concatenation(storage, this.#records, this.#bodies, this.#locks.stopping)
    this.#completion = new Completion({
      storage, records: this.#records, checksums: this.#checksums, syncer: this.#syncer, location: options.location
    })
    this.#expiry = new Expiry({
      records: this.#records,
      locks: this.#locks,
      purge: async (upload, reason, keepRecord) => { await this.#purge(upload, reason, keepRecord) }
    })
    this.#replacements = new Replacements({
      storage,
      records: this.#records,
      overwrite: async (caller, upload, body, window, lease) => {
        // The bytes have been taken before: no limit has a say any more.
        const request = { ...window, body, overwrite: true, parallel: true }
        return await this.#bodies.writeStored({ ...caller, maxBytes: null, maxStored: null }, upload, request, lease)
      },
      find: async id => {
        const aside = await this.#records.find(id)
        return aside === undefined ? undefined : await this.#losses.bornOut(aside)
      },
      discard: async upload => { await this.#purge(upload, 'removed', false) }
    })
  }

  /**
   * Makes a new, empty upload.
   * @param stateOf makes its `protocolState`, out of what the host has left of the draft, once nothing refuses the upload any more: for
   * what takes long
   * @throws {SizeLimitExceeded} {@link ChunkSizeRefused} {@link TooManyUploads} {@link QuotaExceeded} and what `onCreate` throws
   */
  async create (caller: Caller, wanted: UploadDraft, stateOf?: (draft: UploadDraft) => Promise<JsonObject>): Promise<Upload> {
    return await this.#locks.trackInFlight(async () => {
      const created = await this.#creation.create(caller, wanted, stateOf)
      this.#tell(created, () => { this.emit('create', created) })
      return created
    })
  }

  /**
   * As {@link create}, but equal requests of the same user, one after the other or at once, get one upload: the first makes it.
   * @throws as {@link create}, {@link UploadBusy}
   */
  async createOnce (caller: Caller, wanted: UploadDraft, same: Sameness): Promise<Upload> {
    return await this.#locks.trackInFlight(async () => {
      const { upload, isNew } = await this.#creation.createOnce(caller, wanted, same)
      if (isNew) this.#tell(upload, () => { this.emit('create', upload) })
      return upload
    })
  }

  /** What {@link createOnce} has made of the same and is still there. */
  async findOnce (caller: Caller, same: Sameness): Promise<Upload | undefined> {
    return (await this.#creation.findOnce(caller, same)).upload
  }

  /** The record as last saved, also while a request writes, and as its bytes bear it out. @throws {UploadNotFound} */
  async get (caller: Caller, id: string): Promise<Upload> {
    return await this.#current(await this.#records.get(caller, id))
  }

  /** As {@link get}, by the small integer. @throws {UploadNotFound} */
  async getBySerial (caller: Caller, serial: number): Promise<Upload> {
    return await this.#current(await this.#records.getBySerial(caller, serial))
  }

  /**
   * The record once no request writes any more: one that does is asked to stop, and its bytes are in the answer.
   * @throws {UploadNotFound} {@link UploadBusy}
   */
  async stopWriters (caller: Caller, id: string): Promise<Upload> {
    const upload = await this.#records.get(caller, id)
    if (upload.status !== 'uploading') return await this.#current(upload)
    return await this.#locks.withUpload(caller, id, { claim: 'stop' }, async (settled, lease) => await this.#losses.bornOut(settled, lease))
  }

  /** Bytes from 0 that the running checksum covers, as far as this server can go on with it. */
  checksumOffset (upload: Upload): number {
    return this.#checksums.offsetOf(upload)
  }

  /**
   * The checksum of a whole file by an algorithm that is not its own, read off the event loop.
   * @returns lower-case hex
   * @throws {ChecksumUnsupported} {@link ShuttingDown} {@link ClientGone}
   */
  async checksumOf ({ gone }: Caller, upload: CompleteUpload, algorithm: string): Promise<string> {
    const signal = AbortSignal.any([this.stopSignal, ...gone === undefined ? [] : [gone()]])
    const value = await this.#checksums.ofFile(upload, algorithm, signal)
    if (value === undefined) throw this.stopping ? new ShuttingDown() : new ClientGone()
    return value
  }

  /**
   * Uploads the caller may list, by time of creation or in the order of the query: with `restricted` only its own, and none for an
   * anonymous one. Read a page at a time, so that their number does not matter.
   */
  async * list (caller: Caller, query: OwnQuery = {}): AsyncGenerator<Upload, void, undefined> {
    if (!isNobody(caller)) yield * this.#records.every({ ...query, ...ownFilter(caller) })
  }

  /** As {@link list}, at most `limit` of them after `offset`. */
  async listPage (caller: Caller, query: OwnQuery & Required<Pick<ListQuery, 'offset' | 'limit'>>): Promise<readonly Upload[]> {
    if (isNobody(caller)) return []
    return (await this.#records.page({ ...query, ...ownFilter(caller) })).uploads
  }

  /** How many uploads the caller may list, by phase, and what they take up. Costs no look at each. */
  async usage (caller: Caller, now = Date.now()): Promise<UploadUsage> {
    return isNobody(caller) ? NO_UPLOADS : await this.#records.usage({ ...ownFilter(caller), now })
  }

  /** A finished file of this registration, of whatever user the query names, by the checksum of its bytes. */
  async findFinished (query: FinishedQuery): Promise<CompleteUpload | undefined> {
    const found = await this.#records.findByChecksum({ ...query, value: query.value.toLowerCase() })
    return found?.status === 'complete' ? found : undefined
  }

  /** What storage and caller allow. */
  limits (caller: Pick<Caller, 'maxBytes'>): UploadLimits {
    return uploadLimits(this.#storage, caller)
  }

  /** @throws {SizeLimitExceeded} a file of so many bytes is more than storage or caller allow */
  checkSize (caller: Pick<Caller, 'maxBytes'>, size: number): void {
    checkSize(this.#storage, caller, size)
  }

  /** The bytes of `range`, of an unfinished upload too. */
  read (upload: Upload, range: ByteRange, options?: ReadOptions): Readable {
    return this.#storage.read(upload, range, options)
  }

  /** A local file that holds the bytes of an upload, where the storage keeps one. */
  localPath (upload: Upload): string | undefined {
    return this.#storage.localPath?.(upload)
  }

  /**
   * As {@link read}, once the first bytes are at hand: what is gone is known before a reply begins.
   * @throws {UploadGone} {@link StorageTrouble} {@link ClientGone} when the signal of `options` aborts before
   */
  async open (upload: Upload, range: ByteRange, options?: ReadOptions): Promise<Readable> {
    try {
      return await callAdapter(() => begun(this.#storage.read(upload, range, options)))
    } catch (error) {
      if (options?.signal?.aborted === true) throw new ClientGone({ cause: error })
      if (shortOf(error) !== undefined) await this.present(upload)
      throw error
    }
  }

  /**
   * The record as its bytes bear it out, for one who wants to read them: of a complete upload all are there, and of an unfinished one all
   * that were ever acknowledged.
   * @throws {UploadGone} {@link UploadExpired} {@link StorageTrouble}
   */
  async present (upload: Upload): Promise<UploadingUpload | CompleteUpload> {
    const right = upload.status !== 'removed' && await callAdapter(() => this.#losses.seemsRight(upload))
    const now = right ? upload : await this.#bornOut(upload)
    if (now.status === 'removed') assertUploading(now)
    else if (lacksLost(now)) throw new UploadGone()
    else if (now === upload) return now
    // A host may have taken a finished file for its own, and its record stays.
    else if (await this.#losses.isLongEnough(now)) return now
    throw new UploadGone()
  }

  /** False for an upload of which a power cut may have taken bytes since they were confirmed: it has to be {@link present} first. */
  isProved (upload: Upload): boolean {
    return !this.#losses.isDue(upload)
  }

  /** True for an upload that is {@link present}. @throws {StorageTrouble} */
  async isPresent (upload: Upload): Promise<boolean> {
    try {
      await this.present(upload)
      return true
    } catch (error) {
      if (error instanceof UploadGone || error instanceof UploadExpired || error instanceof UploadNotFound) return false
      throw error
    }
  }

  /**
   * Stores a body. Resolves only when storage has confirmed all of it and the record says so.
   * @throws {OffsetMismatch} {@link UploadExpired} {@link UploadComplete} {@link SizeConflict} {@link BeyondSize}
   * {@link SizeLimitExceeded} {@link QuotaExceeded} {@link LengthMismatch} {@link ChecksumMismatch} {@link BodyCut} {@link BodyStalled}
   * {@link TakenOver} {@link StorageFull} {@link StorageTrouble}, and with `complete` as {@link complete}: the bytes are saved then
   */
  async write (caller: Caller, id: string, request: FinishingWriteRequest): Promise<Written> {
    const claim = request.claim ?? 'yield'
    // A body may break while its request waits for its turn, before there is a listener.
    request.body.on('error', () => {})
    const range = await this.#rangeOf(caller, id, request)
    const saved = await this.#withUpload(caller, id, { claim, range }, async (upload, lease) => {
      assertUploading(upload)
      const written = await this.#bodies.write(caller, upload, request, lease, request.complete?.when === 'end')
      if (range !== undefined) return { upload: written, completed: undefined }
      return await this.#completeIfDue(caller, written, request, lease)
    }).catch(this.#goneIfRemoving(id))
    if (range === undefined) return saved
    if (!isDue(saved.upload, request)) {
      this.#backgroundChecksum.follow(saved.upload)
      return saved
    }
    // All bytes are there: a request that sends some of them again stops.
    return await this.#withUpload(caller, id, { claim: 'stop' }, async (upload, lease) => {
      if (upload.status === 'removed') assertUploading(upload)
      return await this.#completeIfDue(caller, upload, request, lease)
    }).catch(this.#goneIfRemoving(id))
  }

  /**
   * Makes an upload complete: all bytes there, checksum right, the host asked, the file at its place, and only then the record changed.
   * @throws {UploadIncomplete} {@link ChecksumMismatch} {@link UploadComplete} {@link UploadExpired} and what `onComplete` throws
   */
  async complete (caller: Caller, id: string, request: CompleteRequest = {}): Promise<Completed> {
    return await this.#withUpload(caller, id, { claim: 'yield' }, async (upload, lease) => {
      assertUploading(upload, request.sameRequest)
      return await this.#finish(caller, upload, request, lease)
    }).catch(this.#goneIfRemoving(id))
  }

  /**
   * Fills an empty upload with the bytes of complete ones and completes it. With `resume`, what it has already is taken for their
   * beginning: a concatenation that was interrupted goes on. With `replaces`, that many bytes of the user's go once it is complete.
   * @throws {SizeLimitExceeded} {@link QuotaExceeded} {@link SizeConflict}, {@link OffsetMismatch} when the upload is not empty,
   * {@link TakenOver} or {@link UploadGone} when another request claims it meanwhile, and as {@link complete}
   */
  async concat (
    caller: Caller, id: string, parts: readonly CompleteUpload[],
    { resume = false, replaces }: { readonly resume?: boolean, readonly replaces?: number } = {}
  ): Promise<Completed> {
    for (const part of parts) await this.present(part)
    return await this.#withUpload(caller, id, { claim: 'yield' }, async (upload, lease) => {
      assertUploading(upload)
      const size = parts.reduce((sum, part) => sum + part.size, 0)
      checkSize(this.#storage, caller, size)
      if (upload.size !== null && upload.size !== size) throw new SizeConflict(upload.size, size)
      if (upload.received.length > 0 && !resume) throw new OffsetMismatch(offsetOf(upload), 0)
      if (upload.size === size && covers(upload.received, [0, size])) return await this.#finish(caller, upload, {}, lease)
      const told = upload.size === null ? await this.#creation.amend(caller, upload, { size }) : upload
      const ready = told.size === null ? await this.#quota.reserve(caller, told, () => ({ least: size, wished: size }), replaces) : told
      const filled = await this.#concatenation.fill({ ...caller, maxStored: null }, ready, parts, size, lease)
      return await this.#finish(caller, filled, {}, lease)
    }).catch(this.#goneIfRemoving(id))
  }

  /**
   * Puts all bytes of `aside`, an upload of the caller's that is not complete, in the place of those from byte `start` on. They count as
   * received all the time: a crash or a failure of the storage on the way leaves them to the next replacement or completion. Of `aside`
   * nothing is left, whatever happens, or it is swept when it expires: later than the upload, if it should be of use after a crash.
   * @throws {OffsetMismatch} not all of these bytes are there, or the storage cannot write there {@link UploadExpired}
   * {@link UploadComplete} {@link StorageFull} {@link StorageTrouble}
   */
  async replace (caller: Caller, id: string, start: number, aside: Upload): Promise<Upload> {
    try {
      return await this.#withUpload(caller, id, { claim: 'yield' }, async (upload, lease) => {
        assertUploading(upload)
        return await this.#replacements.finish(caller, await this.#replacements.begin(caller, upload, start, aside, lease), lease)
      })
    } catch (error) {
      await this.#replacements.giveUp(id, aside)
      throw error
    }
  }

  /**
   * Puts a body in the place of stored bytes, if it differs from them. It is kept aside until it is whole: one that is cut, or has another
   * length than the range, changes nothing.
   * @throws {UploadBusy} there is no room for it now, and as {@link write} and {@link replace}
   */
  async replaceBytes (caller: Caller, upload: UploadingUpload, replacement: Replacement): Promise<void> {
    await replaceBytes(this, caller, upload, replacement)
  }

  /**
   * Reads a body to its end, before its place is known: a small one into memory, another into a scratch upload in the same storage.
   * @param expiresIn ms after which one that a crash left there expires
   * @throws {BodyCut} {@link BodyStalled} {@link SizeLimitExceeded} {@link QuotaExceeded} and as {@link write}; nothing is left then
   */
  async spool (caller: Caller, body: Readable, expiresIn: number): Promise<SpooledBody> {
    return await spool(this, caller, body, expiresIn)
  }

  /** Uploads that only serve others of the caller's mount: neither clients nor the host see them. */
  scratch (caller: Caller): ScratchUploads {
    return scratchUploads(this, caller)
  }

  /**
   * Changes what a draft said of an unfinished upload, as its client tells it only now. `onCreate` is asked again.
   * @throws {UploadNotFound} {@link UploadComplete} {@link UploadExpired} {@link UploadGone} and what `onCreate` throws
   */
  async amend (caller: Caller, id: string, told: Omit<Told, 'size'>): Promise<Upload> {
    const upload = await this.#records.get(caller, id)
    assertUploading(upload)
    return await this.#creation.amend(caller, upload, told)
  }

  /** Changes what the protocol keeps with an upload. */
  async update (
    caller: Caller, id: string, change: (upload: Upload) => Partial<Pick<Upload, 'protocolState' | 'expiresAt'>>
  ): Promise<Upload> {
    const known = await this.#records.get(caller, id)
    return await this.#records.update(id, current => ({ ...current, ...change(current) }), known)
  }

  /**
   * Removes bytes and record, finished or not, unless told otherwise; a request in flight is stopped first.
   * @throws {UploadNotFound} {@link UploadGone} {@link UploadExpired} and what `onRemove` throws
   */
  async remove (caller: Caller, id: string, options: RemoveOptions = {}): Promise<void> {
    const { keepRecord = false, reason = 'removed', keepFinished = false } = options
    // First of all, permission: a caller without it must not change what others hear.
    await this.#records.get(caller, id)
    if (caller.hooks.onRemove === undefined) this.#removing.add(id)
    try {
      await this.#locks.withUpload(caller, id, { claim: 'stop' }, async (upload, lease) => {
        if (upload.status === 'removed') assertUploading(upload)
        await caller.hooks.onRemove?.(upload)
        if (lease.lost) throw new TakenOver()
        if (keepFinished && upload.status === 'complete') await this.#records.delete(upload.id)
        else await this.#purge(upload, reason, keepRecord)
      })
    } finally {
      this.#removing.delete(id)
    }
  }

  /**
   * Removes the record of a finished upload and leaves its file where it is: it is the caller's from now on, and on the disk, as nothing
   * could tell afterwards what a power cut took of it. No event, no hook.
   * @returns the upload as it was
   * @throws {UploadNotFound} {@link UploadGone} {@link UploadBusy}, {@link UploadIncomplete} when it is not finished
   * {@link StorageTrouble} when the file does not come to the disk
   */
  async forget (caller: Caller, id: string): Promise<CompleteUpload> {
    return await this.#withUpload(caller, id, { claim: 'yield' }, async (found, lease) => {
      if (found.status === 'uploading') throw new UploadIncomplete(offsetOf(found), found.size ?? 0)
      const upload = await this.#losses.bornOut(found, lease)
      if (upload.status !== 'complete') throw new UploadGone()
      // A host may have moved the file already.
      if (isUnsynced(upload)) await this.#syncer.now(upload).catch((error: unknown) => { if (!(error instanceof UploadGone)) throw error })
      await this.#records.delete(upload.id)
      return upload
    })
  }

  /**
   * Removes uploads past their time and kept records of removed ones. Those in use, and finished files, stay.
   * @returns how many
   */
  async deleteExpired (options: DeleteExpiredOptions = {}): Promise<DeletedExpired> {
    return await this.#expiry.deleteExpired(options)
  }

  /**
   * Removes bytes and record of those of `uploads` that are due and not in use, finished ones too. `isDue` is asked again under the lock.
   * @returns how many were removed
   */
  async purge (uploads: AsyncIterable<Upload>, isDue: (upload: Upload) => boolean): Promise<number> {
    return await this.#expiry.purge(uploads, isDue)
  }

  /** Runs `work` on the newest record if the upload is not in use; undefined when it is. Disturbs no other request. */
  async ifFree<T> (id: string, work: (upload: Upload | undefined) => Promise<T>): Promise<T | undefined> {
    return await this.#locks.tryWithUpload(id, async () => await work(await this.#records.find(id)))
  }

  /**
   * Brings the finished files to the disk that a server before left waiting, and compares those that a power cut may have taken: one after
   * the other. The next request for the file gets the error.
   */
  async syncLeftovers (): Promise<void> {
    if (this.#storage.epoch === undefined) return
    for await (const upload of this.#records.every({ status: 'complete', unsynced: true })) {
      if (this.stopping) return
      if (!this.#losses.isDue(upload)) this.#syncer.add(upload)
      else if (isUnsynced(upload)) await this.#bornOut(upload).catch(() => {})
    }
  }

  /** Stops all bodies in flight, saves what storage confirmed of them, and refuses new ones. */
  async shutdown (): Promise<void> {
    this.#locks.stop()
    this.#bodies.stop()
    await this.#locks.ended()
    await this.#syncer.ended()
    await this.#checksums.close()
  }

  get stopping (): boolean {
    return this.#locks.stopping.aborted
  }

  /** Aborts with {@link shutdown}, for work beside the requests. */
  get stopSignal (): AbortSignal {
    return this.#locks.stopping
  }

  /** All records of a query that are this registration's, of every user, by time of creation. */
  scan (query: RecordQuery): AsyncGenerator<Upload, void, undefined> {
    return this.#records.every(query)
  }

  /** Removes under the upload's exclusive lock. Bytes first: a crash between leaves a record that can be swept again. */
  async #purge (upload: Upload, reason: RemovalReason, keepRecord: boolean): Promise<void> {
    await callAdapter(() => this.#storage.remove(upload))
    if (!keepRecord) await this.#records.delete(upload.id)
    else {
      await this.#records.update(upload.id, current => current.status === 'removed'
        ? current
        : { ...current, status: 'removed', reason, removedAt: Date.now(), received: [], checksumState: null })
    }
    this.#tell(upload, () => { this.emit('remove', upload, reason) })
  }

  /** The range that a body takes for itself, leaving others to others; undefined when it takes the whole upload. */
  async #rangeOf (caller: Caller, id: string, request: FinishingWriteRequest): Promise<ByteRange | undefined> {
    const { start, length, parallel, overwrite, complete } = request
    if (parallel !== true || overwrite === true || start === 'end' || complete?.when === 'end') return undefined
    if (!this.#storage.capabilities.anyOffset) return undefined
    if (length !== undefined) return [start, start + length]
    const { chunkSize } = await this.#records.get(caller, id)
    return chunkSize === null ? undefined : [start, chunkEnd(start, chunkSize)]
  }

  /** Compares what a power cut may have taken, and what can be seen to be missing, before anything is said of it. */
  async #current (upload: Upload): Promise<Upload> {
    // A complete file is looked at when it is read.
    const right = upload.status === 'complete' ? !this.#losses.isDue(upload) : await callAdapter(() => this.#losses.seemsRight(upload))
    return right ? upload : await this.#bornOut(upload)
  }

  async #bornOut (upload: Upload): Promise<Upload> {
    const caller: Caller = upload.internal === true ? { ...ENGINE, internal: true } : ENGINE
    return await this.#locks.withUpload(caller, upload.id, { claim: 'yield' }, async (current, lease) => {
      return await this.#losses.bornOut(current, lease)
    })
  }

  /** A turn, on a record that has been compared with its bytes if a power cut may have taken some. */
  async #withUpload<T> (
    caller: Caller, id: string, request: UploadLockRequest, work: (upload: Upload, lease: Lease) => Promise<T>
  ): Promise<T> {
    const due = Symbol('due')
    const first = await this.#locks.withUpload(caller, id, request, async (upload, lease): Promise<T | typeof due> => {
      if (!this.#losses.isDue(upload)) return await work(upload, lease)
      // That takes the whole upload.
      return request.range === undefined ? await work(await this.#losses.recovered(upload, lease), lease) : due
    })
    if (first !== due) return first
    await this.#locks.withUpload(caller, id, { claim: 'yield' }, async (upload, lease) => { await this.#losses.recovered(upload, lease) })
    return await this.#locks.withUpload(caller, id, request, work)
  }

  async #completeIfDue (caller: Caller, upload: Upload, request: FinishingWriteRequest, lease: Lease): Promise<Written> {
    const { complete } = request
    if (complete === undefined || upload.status !== 'uploading' || !isDue(upload, request)) return { upload, completed: undefined }
    const completed = await this.#finish(caller, upload, complete, lease)
    return { upload: completed.upload, completed }
  }

  async #finish (caller: Caller, upload: UploadingUpload, request: CompleteRequest, lease: Lease): Promise<Completed> {
    const whole = await this.#replacements.finish(caller, upload, lease)
    const completed = await this.#completion.finish(caller, whole, request, lease, this.#locks.stopping).catch(async (error: unknown) => {
      if (shortOf(error) === undefined) throw error
      const left = await this.#losses.bornOut(whole, lease)
      if (left.status === 'removed') assertUploading(left)
      const there = countBytes(left.received)
      throw there < countBytes(whole.received) ? new UploadIncomplete(there, left.size ?? storedEnd(whole)) : error
    })
    this.#syncer.add(completed.upload)
    if (request.silent !== true) this.#tell(completed.upload, () => { this.emit('complete', completed.upload) })
    return completed
  }

  /** A request that lost its upload to the removal need not come again. */
  #goneIfRemoving (id: string): (error: unknown) => never {
    return error => { throw error instanceof TakenOver && this.#removing.has(id) ? new UploadGone() : error }
  }

  /** What a listener throws is its own trouble: what it was told of has happened. */
  #tell (upload: Upload, emit: () => void): void {
    if (upload.internal === true) return
    try {
      emit()
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error))
    }
  }
}

/** Which finished file is looked for; `value` in hex. */
export type FinishedQuery = Omit<ChecksumQuery, 'scope'>

/** What a list may be narrowed by. */
export type OwnQuery = Pick<ListQuery, 'status' | 'user' | 'phases' | 'now' | 'order'>

const NO_UPLOADS: UploadUsage = {
  counts: { open: 0, overdue: 0, complete: 0, expired: 0, removed: 0, invalid: 0, lost: 0 },
  bytes: 0,
  reserved: 0
}

/** Anonymous users are not one user: none may list what another one has. */
function isNobody ({ restricted, user }: Caller): boolean {
  return restricted && user === null
}

function ownFilter ({ protocol, internal, restricted, user }: Caller): Pick<ListQuery, 'protocol' | 'internal' | 'user'> {
  return { internal: internal === true, ...protocol !== null && { protocol }, ...restricted && { user } }
}
/** The engine itself: sees every upload, and asks no hook. */
const ENGINE: Caller = { protocol: null, user: null, restricted: false, maxBytes: null, maxStored: null, hooks: {} }

async function begun (bytes: Readable): Promise<Readable> {
  if (bytes.readableLength > 0) return bytes
  await new Promise<void>((resolve, reject) => { bytes.once('readable', resolve).once('close', resolve).once('error', reject) })
  return bytes
}

/** True when this write's request asks to complete the upload, and it can be. */
function isDue (upload: Upload, { complete }: FinishingWriteRequest): boolean {
  if (complete === undefined || upload.status !== 'uploading') return false
  return complete.when === 'end' || (upload.size !== null && covers(upload.received, [0, upload.size]))
}
