import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { BodyPace } from '../body-pace.js'
import type { ListQuery, UploadUsage } from '../metadata/contract.js'
import type { ReadOptions } from '../storage/contract.js'
import type { ByteRange, CompleteUpload, JsonObject, Upload, UploadingUpload } from '../upload.js'
import type { Caller, UploadDraft } from './caller.js'
import { type EngineContext, engineContext, type EngineOptions } from './context.js'
import type { UploadEvents } from './events.js'
import { type Completed, type CompleteRequest, complete } from './operations/complete.js'
import { type Concatenation, concat } from './operations/concat.js'
import { amend, type ProtocolChange, type Told, update } from './operations/amend.js'
import { create, createOnce, findOnce, type Sameness } from './operations/create.js'
import { deleteExpired, type DeletedExpired, type DeleteExpiredOptions, purge } from './operations/expire.js'
import { shutdown, syncLeftovers } from './operations/lifecycle.js'
import { checksumOf, current, isPresent, list, listPage, open, type OwnQuery, present, stopWriters, usage } from './operations/read.js'
import { forget, remove, type RemoveOptions } from './operations/remove.js'
import { replace } from './operations/replace.js'
import { type Replacement, replaceBytes, type ScratchUploads, scratchUploads, spool, type SpooledBody } from './operations/scratch.js'
import { type FinishingWriteRequest, write, writeStored, type Written } from './operations/write.js'
import { checkSize, type UploadLimits, uploadLimits } from './records/new-upload.js'
import type { FinishedQuery, RecordQuery } from './records/upload-records.js'
import { run } from './run.js'

/** The rules of uploads. Knows neither HTTP nor any adapter. */
export class UploadEngine extends EventEmitter<UploadEvents> {
  readonly #context: EngineContext

  constructor (options: EngineOptions) {
    super()
    this.#context = engineContext(options, this, writeStored)
  }

  /**
   * Makes a new, empty upload.
   * @param stateOf makes its `protocolState` of what the host has left of the draft, once nothing refuses the upload: for what takes long
   * @throws {SizeLimitExceeded} {@link ChunkSizeRefused} {@link ChecksumUnsupported} {@link TooManyUploads} {@link QuotaExceeded} and what
   * `onCreate` throws
   */
  async create (caller: Caller, wanted: UploadDraft, stateOf?: (draft: UploadDraft) => Promise<JsonObject>): Promise<Upload> {
    return await run(this.#context, 'create', undefined, () => create(this.#context, caller, wanted, stateOf))
  }

  /**
   * As {@link create}, but equal requests of the same user, one after the other or at once, get one upload: the first makes it.
   * @throws as {@link create}, {@link UploadBusy}
   */
  async createOnce (caller: Caller, wanted: UploadDraft, same: Sameness): Promise<Upload> {
    return await run(this.#context, 'create', undefined, () => createOnce(this.#context, caller, wanted, same))
  }

  /** What {@link createOnce} has made of the same and is still there. */
  async findOnce (caller: Caller, same: Sameness): Promise<Upload | undefined> {
    return (await findOnce(this.#context, caller, same)).upload
  }

  /** The record as last saved, also while a request writes, and as its bytes bear it out. @throws {UploadNotFound} */
  async get (caller: Caller, id: string): Promise<Upload> {
    return await current(this.#context, await this.#context.records.get(caller, id))
  }

  /** As {@link get}, by the small integer. @throws {UploadNotFound} */
  async getBySerial (caller: Caller, serial: number): Promise<Upload> {
    return await current(this.#context, await this.#context.records.getBySerial(caller, serial))
  }

  /**
   * The record once no request writes any more: one that does is asked to stop, and its bytes are in the answer.
   * @throws {UploadNotFound} {@link UploadBusy}
   */
  async stopWriters (caller: Caller, id: string): Promise<Upload> {
    return await stopWriters(this.#context, caller, id)
  }

  /** Bytes from 0 that the running checksum covers, as far as this server can go on with it. */
  checksumOffset (upload: Upload): number {
    return this.#context.checksums.offsetOf(upload)
  }

  /**
   * The checksum of a whole file by an algorithm that is not its own, read off the event loop.
   * @returns lower-case hex
   * @throws {ChecksumUnsupported} {@link ShuttingDown} {@link ClientGone}
   */
  async checksumOf (caller: Caller, upload: CompleteUpload, algorithm: string): Promise<string> {
    return await run(this.#context, 'checksum', upload.id, () => checksumOf(this.#context, caller, upload, algorithm))
  }

  /**
   * Uploads the caller may list, by time of creation or in the order of the query: with `restricted` only its own, and none for an
   * anonymous one. Read a page at a time, so that their number does not matter.
   */
  list (caller: Caller, query: OwnQuery = {}): AsyncGenerator<Upload, void, undefined> {
    return list(this.#context, caller, query)
  }

  /** As {@link list}, at most `limit` of them after `offset`. */
  async listPage (caller: Caller, query: OwnQuery & Required<Pick<ListQuery, 'offset' | 'limit'>>): Promise<readonly Upload[]> {
    return await listPage(this.#context, caller, query)
  }

  /** How many uploads the caller may list, by phase, and what they take up. Costs no look at each. */
  async usage (caller: Caller, now = Date.now()): Promise<UploadUsage> {
    return await usage(this.#context, caller, now)
  }

  /** A finished file of this registration, of whatever user the query names, by the checksum of its bytes. */
  async findFinished (query: FinishedQuery): Promise<CompleteUpload | undefined> {
    return await this.#context.records.findFinished(query)
  }

  /** All records of a query that are this registration's, of every user, by time of creation. */
  scan (query: RecordQuery): AsyncGenerator<Upload, void, undefined> {
    return this.#context.records.every(query)
  }

  /** What storage and caller allow. */
  limits (caller: Pick<Caller, 'maxBytes'>): UploadLimits {
    return uploadLimits(this.#context.storage, caller)
  }

  /** @throws {SizeLimitExceeded} a file of so many bytes is more than storage or caller allow */
  checkSize (caller: Pick<Caller, 'maxBytes'>, size: number): void {
    checkSize(this.#context.storage, caller, size)
  }

  /** How slowly a body may come. */
  get pace (): BodyPace {
    return this.#context.options.pace
  }

  /** The bytes of `range`, of an unfinished upload too. */
  read (upload: Upload, range: ByteRange, options?: ReadOptions): Readable {
    return this.#context.storage.read(upload, range, options)
  }

  /** A local file that holds the bytes of an upload, where the storage keeps one. */
  localPath (upload: Upload): string | undefined {
    return this.#context.storage.localPath?.(upload)
  }

  /**
   * As {@link read}, once the first bytes are at hand: what is gone is known before a reply begins.
   * @throws {UploadGone} {@link StorageTrouble} {@link ClientGone} when the signal of `options` aborts before
   */
  async open (upload: Upload, range: ByteRange, options?: ReadOptions): Promise<Readable> {
    return await run(this.#context, 'open', upload.id, () => open(this.#context, upload, range, options))
  }

  /**
   * The record as its bytes bear it out, for a caller that wants to read them: of a complete upload all are there, and of an unfinished
   * one all that were ever acknowledged.
   * @throws {UploadGone} {@link UploadExpired} {@link StorageTrouble}
   */
  async present (upload: Upload): Promise<UploadingUpload | CompleteUpload> {
    return await present(this.#context, upload)
  }

  /** False for an upload of which a power cut may have taken bytes since they were confirmed: it has to be {@link present} first. */
  isProved (upload: Upload): boolean {
    return !this.#context.losses.isDue(upload)
  }

  /** True for an upload that is {@link present}. @throws {StorageTrouble} */
  async isPresent (upload: Upload): Promise<boolean> {
    return await isPresent(this.#context, upload)
  }

  /**
   * Stores a body. Resolves only when storage has confirmed all of it and the record says so.
   * @throws {OffsetMismatch} {@link UploadExpired} {@link UploadComplete} {@link SizeConflict} {@link BeyondSize}
   * {@link SizeLimitExceeded} {@link QuotaExceeded} {@link LengthMismatch} {@link ChecksumMismatch} {@link BodyCut} {@link BodyStalled}
   * {@link TakenOver} {@link StorageFull} {@link StorageTrouble}, and with `complete` as {@link complete}: the bytes are saved then
   */
  async write (caller: Caller, id: string, request: FinishingWriteRequest): Promise<Written> {
    return await run(this.#context, 'write', id, () => write(this.#context, caller, id, request))
  }

  /**
   * Makes an upload complete: all bytes there, checksum right, the host asked, the file at its place, and only then the record changed.
   * @throws {UploadIncomplete} {@link ChecksumMismatch} {@link UploadComplete} {@link UploadExpired} and what `onComplete` throws
   */
  async complete (caller: Caller, id: string, request: CompleteRequest = {}): Promise<Completed> {
    return await run(this.#context, 'complete', id, () => complete(this.#context, caller, id, request))
  }

  /**
   * Fills an empty upload with the bytes of complete ones and completes it.
   * @throws {SizeLimitExceeded} {@link QuotaExceeded} {@link SizeConflict}, {@link OffsetMismatch} when the upload is not empty,
   * {@link TakenOver} or {@link UploadGone} when another request claims it meanwhile, and as {@link complete}
   */
  async concat (
    caller: Caller, id: string, parts: readonly CompleteUpload[], options: Omit<Concatenation, 'parts'> = {}
  ): Promise<Completed> {
    return await run(this.#context, 'concat', id, () => concat(this.#context, caller, id, { parts, ...options }))
  }

  /**
   * Puts all bytes of `aside`, an upload of the caller's that is not complete, in the place of those from byte `start` on. They count as
   * received all the time: a crash or a failure of the storage on the way leaves them to the next replacement or completion. Of `aside`
   * nothing is left, whatever happens, or it is swept when it expires: later than the upload, if it should be of use after a crash.
   * @throws {OffsetMismatch} not all of these bytes are there, or the storage cannot write there {@link UploadExpired}
   * {@link UploadComplete} {@link StorageFull} {@link StorageTrouble}
   */
  async replace (caller: Caller, id: string, start: number, aside: Upload): Promise<Upload> {
    return await run(this.#context, 'replace', id, () => replace(this.#context, caller, id, { start, aside }))
  }

  /**
   * Puts a body in the place of stored bytes, if it differs from them. It is kept aside until it is whole: one that is cut, or has another
   * length than the range, changes nothing.
   * @throws {UploadBusy} there is no room for it now, and as {@link write} and {@link replace}
   */
  async replaceBytes (caller: Caller, upload: UploadingUpload, replacement: Replacement): Promise<void> {
    await run(this.#context, 'replace', upload.id, () => replaceBytes(this.#context, caller, upload, replacement))
  }

  /**
   * Reads a body to its end, before its place is known: a small one into memory, another into a scratch upload in the same storage.
   * @param expiresIn ms after which one that a crash left there expires
   * @throws {BodyCut} {@link BodyStalled} {@link SizeLimitExceeded} {@link QuotaExceeded} and as {@link write}; nothing is left then
   */
  async spool (caller: Caller, body: Readable, expiresIn: number): Promise<SpooledBody> {
    return await run(this.#context, 'spool', undefined, () => spool(this.#context, caller, body, expiresIn))
  }

  /** Uploads that only serve others of the caller's mount: neither clients nor the host see them. */
  scratch (caller: Caller): ScratchUploads {
    return scratchUploads(this.#context, caller)
  }

  /**
   * Changes what a draft said of an unfinished upload, as its client tells it only now. `onCreate` is asked again.
   * @throws {UploadNotFound} {@link UploadComplete} {@link UploadExpired} {@link UploadGone} and what `onCreate` throws
   */
  async amend (caller: Caller, id: string, told: Omit<Told, 'size'>): Promise<Upload> {
    return await run(this.#context, 'amend', id, () => amend(this.#context, caller, id, told))
  }

  /** Changes what the protocol keeps with an upload. @throws {UploadNotFound} */
  async update (caller: Caller, id: string, change: ProtocolChange): Promise<Upload> {
    return await run(this.#context, 'update', id, () => update(this.#context, caller, id, change))
  }

  /**
   * Removes bytes and record, finished or not, unless told otherwise; a request in flight is stopped first.
   * @throws {UploadNotFound} {@link UploadGone} {@link UploadExpired} and what `onRemove` throws
   */
  async remove (caller: Caller, id: string, options: RemoveOptions = {}): Promise<void> {
    await run(this.#context, 'remove', id, () => remove(this.#context, caller, id, options))
  }

  /**
   * Removes the record of a finished upload and leaves its file where it is: it is the caller's from now on, and on the disk, as nothing
   * could tell afterwards what a power cut took of it. No event, no hook.
   * @returns the upload as it was
   * @throws {UploadNotFound} {@link UploadGone} {@link UploadBusy}, {@link UploadIncomplete} when it is not finished
   * {@link StorageTrouble} when the file does not come to the disk
   */
  async forget (caller: Caller, id: string): Promise<CompleteUpload> {
    return await run(this.#context, 'forget', id, () => forget(this.#context, caller, id))
  }

  /** Removes uploads past their time and kept records of removed ones. Those in use, and finished files, stay. */
  async deleteExpired (options: DeleteExpiredOptions = {}): Promise<DeletedExpired> {
    return await run(this.#context, 'expire', undefined, () => deleteExpired(this.#context, options))
  }

  /**
   * Removes bytes and record of those of `uploads` that are due and not in use, finished ones too. `isDue` is asked again under the lock.
   * @returns how many were removed
   */
  async purge (uploads: AsyncIterable<Upload>, isDue: (upload: Upload) => boolean): Promise<number> {
    return await run(this.#context, 'purge', undefined, () => purge(this.#context, uploads, isDue))
  }

  /** Runs `work` on the newest record if the upload is not in use; undefined when it is. Disturbs no other request. */
  async ifFree<T> (id: string, work: (upload: Upload | undefined) => Promise<T>): Promise<T | undefined> {
    return await this.#context.locks.tryWithUpload(id, async () => await work(await this.#context.records.find(id)))
  }

  /** Brings finished files to the disk that a server before left waiting, and compares those that a power cut may have taken. */
  async syncLeftovers (): Promise<void> {
    await syncLeftovers(this.#context)
  }

  /** Stops all bodies in flight, saves what storage confirmed of them, and refuses new ones. */
  async shutdown (): Promise<void> {
    await shutdown(this.#context)
  }

  get stopping (): boolean {
    return this.#context.stopping.aborted
  }

  /** Aborts with {@link shutdown}, for work beside the requests. */
  get stopSignal (): AbortSignal {
    return this.#context.stopping
  }
}
