import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import {
  ChecksumMismatch, ChecksumUnsupported, ChunkSizeRefused, ShuttingDown, SizeLimitExceeded, TooManyUploads, UploadComplete, UploadExpired,
  UploadGone, UploadIncomplete
} from '../errors.js'
import type { Locks } from '../locks/contract.js'
import type { ListQuery, Metadata } from '../metadata/contract.js'
import type { Storage } from '../storage/contract.js'
import {
  type ByteRange, type CompleteUpload, type RemovalReason, type Upload, type UploadingUpload, isExpired, offsetOf
} from '../upload.js'
import type { BodySource } from './body-source.js'
import { addRange, countBytes, covers } from './byte-ranges.js'
import type { Caller, CompletionReply, UploadDraft } from './caller.js'
import { Checksums, isChecksumAlgorithm } from './checksum.js'
import { ChecksumReader } from './checksum-reader.js'
import { Hold, holding } from './hold.js'
import { Records, adapterError, mayKnow } from './records.js'
import { newUploadId } from './upload-id.js'
import { type WriteRequest, writeBody } from './write.js'

export interface EngineOptions {
  readonly storage: Storage
  readonly metadata: Metadata
  readonly locks: Locks
  /** ms that a request waits for an upload in use. */
  readonly lockTimeout: number
  /** ms without a byte after which a body counts as dead; 0 for never. */
  readonly stallTimeout: number
  /** Unfinished, unexpired uploads that one user may have; null for no limit. */
  readonly maxOpenUploads: number | null
  /** ms that an upload which expires lives on after each body; null: expiry counts from creation. */
  readonly slidingExpiry: number | null
  /** Where a finished file goes, relative to the storage's root. */
  readonly location?: ((upload: Upload) => string | undefined) | undefined
}

/** What happened, after it happened. */
export interface UploadEvents {
  create: [upload: Upload]
  /** Bytes were saved: after each body, and every few seconds or 64 MiB within one. */
  progress: [upload: Upload]
  complete: [upload: CompleteUpload]
  /** Bytes and mostly the record too are gone. */
  remove: [upload: Upload, reason: RemovalReason]
}

export interface CompleteRequest {
  /** What the client says the whole-file checksum is, hex. */
  readonly checksum?: string
  /** Takes the contiguous bytes that are there as the whole file, whatever size was declared. */
  readonly asReceived?: boolean
  /** Partial uploads of a concatenation finish without asking the host. */
  readonly silent?: boolean
}

export interface Completed {
  readonly upload: CompleteUpload
  /** What the host's `onComplete` said. */
  readonly reply: CompletionReply | undefined
}

export interface RemoveOptions {
  /** Keeps the record, so that later requests hear "gone" instead of "unknown". */
  readonly keepRecord?: boolean
  readonly reason?: Exclude<RemovalReason, 'expired'>
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
  readonly storage: Storage
  readonly records: Records
  readonly metadata: Metadata
  readonly options: EngineOptions
  readonly #checksums = new Checksums()
  readonly #reader: ChecksumReader
  readonly #stopping = new AbortController()
  readonly #bodies = new Set<BodySource>()
  readonly #running = new Set<Promise<unknown>>()

  constructor (options: EngineOptions) {
    super()
    this.options = options
    this.storage = options.storage
    this.metadata = options.metadata
    this.records = new Records(options.metadata)
    this.#reader = new ChecksumReader(options.storage, this.#checksums)
  }

  /**
   * Makes a new, empty upload.
   * @throws {SizeLimitExceeded} {@link ChunkSizeRefused} {@link TooManyUploads} and what `onCreate` throws
   */
  async create (caller: Caller, wanted: UploadDraft): Promise<Upload> {
    this.#refuseWhenStopping()
    this.#checkDraft(caller, wanted)
    await this.#checkOpenUploads(caller)
    const draft = await caller.hooks.onCreate?.(wanted) ?? wanted
    this.#checkDraft(caller, draft)
    const now = Date.now()
    const upload: UploadingUpload = {
      id: newUploadId(now),
      protocol: caller.protocol ?? 'host',
      serial: null,
      user: caller.user,
      filename: draft.filename,
      contentType: draft.contentType,
      metadata: draft.metadata,
      protocolState: draft.protocolState,
      size: draft.size,
      received: [],
      chunkSize: draft.chunkSize,
      status: 'uploading',
      createdAt: now,
      updatedAt: now,
      expiresAt: draft.expiresIn === null ? null : now + draft.expiresIn,
      checksum: draft.checksum,
      checksumState: null,
      storageState: null,
      version: 1
    }
    const storageState = await this.#stored(() => this.storage.create(upload))
    const created = await this.records.create({ ...upload, storageState }, draft.serial).catch(async (error: unknown) => {
      await this.storage.remove({ ...upload, storageState }).catch(() => {})
      throw error
    })
    this.emit('create', created)
    return created
  }

  /** The record as last saved, also while a request writes. @throws {UploadNotFound} */
  async get (caller: Caller, id: string): Promise<Upload> {
    return await this.records.get(caller, id)
  }

  /** The record by its small integer. @throws {UploadNotFound} */
  async getBySerial (caller: Caller, serial: number): Promise<Upload> {
    return await this.records.getBySerial(caller, serial)
  }

  /**
   * The record once no request writes any more: one that does is asked to stop, and its bytes are in the answer.
   * @throws {UploadNotFound} {@link UploadBusy}
   */
  async settle (caller: Caller, id: string): Promise<Upload> {
    const upload = await this.records.get(caller, id)
    if (upload.status !== 'uploading') return upload
    return await this.#exclusive(caller, id, 'stop', async settled => settled)
  }

  /** Uploads the caller may list, by time of creation: with `restricted` only his own, and none for an anonymous one. */
  async * list (caller: Caller, query: Pick<ListQuery, 'status' | 'user'> = {}): AsyncGenerator<Upload, void, undefined> {
    if (caller.restricted && caller.user === null) return
    const filter = { ...query, ...caller.protocol !== null && { protocol: caller.protocol }, ...caller.restricted && { user: caller.user } }
    yield * this.everyUpload(filter)
  }

  /** A complete upload with this checksum, if the caller may know of one. */
  async findByChecksum (caller: Caller, algorithm: string, value: string): Promise<Upload | undefined> {
    const query = {
      algorithm,
      value: value.toLowerCase(),
      ...caller.protocol !== null && { protocol: caller.protocol },
      ...caller.restricted && { user: caller.user }
    }
    const found = await this.#stored(() => this.metadata.findByChecksum(query))
    return found !== undefined && mayKnow(caller, found) ? found : undefined
  }

  /** The bytes of `range`, of an unfinished upload too. */
  read (upload: Upload, range: ByteRange): Readable {
    return this.storage.read(upload, range)
  }

  /**
   * Stores a body. Resolves only when storage has confirmed all of it and the record says so.
   * @throws {OffsetMismatch} {@link UploadExpired} {@link UploadComplete} {@link SizeConflict} {@link BeyondSize} {@link SizeLimitExceeded}
   * {@link LengthMismatch} {@link ChecksumMismatch} {@link BodyCut} {@link BodyStalled} {@link TakenOver} {@link StorageFull} {@link StorageTrouble}
   */
  async write (caller: Caller, id: string, request: FinishingWriteRequest): Promise<Written> {
    const known = await this.records.get(caller, id)
    const parallel = request.parallel === true && this.storage.capabilities.anyOffset && request.start !== 'end' && request.overwrite !== true
    const claim = request.claim ?? 'yield'
    const work = async (upload: Upload, hold: Hold): Promise<Written> => {
      assertUploading(upload)
      const saved = await this.#writeBody(caller, upload, { ...request, parallel }, hold)
      const { complete } = request
      if (complete === undefined || saved.status !== 'uploading') return { upload: saved, completed: undefined }
      if (complete.when === 'full' && (saved.size === null || !covers(saved.received, [0, saved.size]))) return { upload: saved, completed: undefined }
      const completed = await this.#finish(caller, saved, complete, hold)
      return { upload: completed.upload, completed }
    }
    if (!parallel) return await this.#exclusive(caller, id, claim, work)

    const hold = new Hold()
    const timeout = this.options.lockTimeout
    return await this.#hold(known.id, { mode: 'shared', claim, timeout }, hold, () =>
      this.#hold(`${known.id}.${String(request.start)}`, { mode: 'exclusive', claim, timeout }, hold, async () =>
        await work(await this.records.get(caller, id), hold)))
  }

  /**
   * Makes an upload complete: all bytes there, checksum right, file at its place, the host asked, and only then the record changed.
   * @throws {UploadIncomplete} {@link ChecksumMismatch} {@link UploadComplete} {@link UploadExpired} and what `onComplete` throws
   */
  async complete (caller: Caller, id: string, request: CompleteRequest = {}): Promise<Completed> {
    const known = await this.records.get(caller, id)
    assertUploading(known)
    return await this.#exclusive(caller, id, 'yield', async (upload, hold) => {
      assertUploading(upload)
      return await this.#finish(caller, upload, request, hold)
    })
  }

  /**
   * Fills an empty upload with the bytes of complete ones and completes it.
   * @throws {UploadIncomplete} a part is not complete
   */
  async concat (caller: Caller, id: string, parts: readonly CompleteUpload[]): Promise<Completed> {
    return await this.#exclusive(caller, id, 'yield', async (upload, hold) => {
      assertUploading(upload)
      const size = parts.reduce((sum, part) => sum + part.size, 0)
      let filled = upload
      let position = 0
      await this.#stored(async () => {
        if (this.storage.concat === undefined) {
          for (const part of parts) {
            const body = this.storage.read(part, [0, part.size])
            filled = await this.#appendPart(caller, filled, body, hold)
          }
        } else {
          let change = (state: Upload['storageState']): Upload['storageState'] => state
          await this.storage.concat(upload, parts, {
            confirm: (end, next) => {
              position = end
              const before = change
              if (next !== undefined) change = state => next(before(state))
            }
          })
          filled = asUploading(await this.records.update(id, current => ({
            ...current, size, received: addRange([], [0, position]), storageState: change(current.storageState)
          })))
        }
      })
      return await this.#finish(caller, { ...filled, size }, {}, hold)
    })
  }

  /** Changes what the protocol or the host keeps with an upload. */
  async update (
    caller: Caller, id: string, change: (upload: Upload) => Partial<Pick<Upload, 'filename' | 'metadata' | 'protocolState' | 'expiresAt'>>
  ): Promise<Upload> {
    const known = await this.records.get(caller, id)
    return await this.records.update(id, current => ({ ...current, ...change(current) }), known)
  }

  /** Removes bytes and record, finished or not; a request in flight is stopped first. @throws {UploadNotFound} and what `onRemove` throws */
  async remove (caller: Caller, id: string, { keepRecord = false, reason = 'removed' }: RemoveOptions = {}): Promise<void> {
    await this.records.get(caller, id)
    await this.#exclusive(caller, id, 'stop', async upload => {
      await caller.hooks.onRemove?.(upload)
      await this.discard(upload, reason, keepRecord)
    })
  }

  /** Removes under a lock that the caller holds. Bytes first: a crash between leaves a record that can be swept again. */
  async discard (upload: Upload, reason: RemovalReason, keepRecord: boolean): Promise<void> {
    await this.#stored(() => this.storage.remove(upload))
    if (!keepRecord) await this.records.delete(upload.id)
    else {
      await this.records.update(upload.id, current => current.status === 'removed'
        ? current
        : { ...current, status: 'removed', reason, removedAt: Date.now(), received: [], checksumState: null })
    }
    this.emit('remove', upload, reason)
  }

  /** Runs `work` on the newest record if the upload is not in use; undefined when it is. Disturbs nobody. */
  async ifFree<T> (id: string, work: (upload: Upload | undefined) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#hold(id, { mode: 'exclusive', claim: 'wait', timeout: 0 }, new Hold(), async () => await work(await this.metadata.get(id)))
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'FST_CHUNKED_UPLOAD_BUSY') return undefined
      throw error
    }
  }

  /** Stops all bodies in flight, saves what storage confirmed of them, and refuses new ones. */
  async shutdown (): Promise<void> {
    this.#stopping.abort()
    for (const body of this.#bodies) body.stop('shutdown')
    await Promise.allSettled(this.#running)
    await this.#reader.close()
  }

  get stopping (): boolean {
    return this.#stopping.signal.aborted
  }

  async #exclusive<T> (
    caller: Caller, id: string, claim: 'yield' | 'stop', work: (upload: Upload, hold: Hold) => Promise<T>
  ): Promise<T> {
    // Who may not know the upload must not disturb it: asked before the lock is claimed, and again under it.
    await this.records.get(caller, id)
    const hold = new Hold()
    return await this.#hold(id, { mode: 'exclusive', claim, timeout: this.options.lockTimeout }, hold, async () =>
      await work(await this.records.get(caller, id), hold))
  }

  async #hold<T> (key: string, request: Parameters<typeof holding>[2], hold: Hold, work: () => Promise<T>): Promise<T> {
    this.#refuseWhenStopping()
    const running = holding(this.options.locks, key, request, hold, this.#stopping.signal, work)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async #writeBody (caller: Caller, upload: UploadingUpload, request: WriteRequest, hold: Hold): Promise<Upload> {
    const start = request.start === 'end' ? offsetOf(upload) : request.start
    const checksum = upload.checksum !== null && (upload.checksumState?.offset ?? 0) === start
      ? await this.#checksums.resume(upload.checksum.algorithm, upload.checksumState)
      : undefined
    let source: BodySource | undefined
    try {
      return await writeBody(upload, request, {
        storage: this.storage,
        records: this.records,
        hold,
        maxBytes: caller.maxBytes,
        stallTimeout: this.options.stallTimeout,
        expiresIn: upload.expiresAt === null ? null : this.options.slidingExpiry,
        checksum: checksum?.offset === start ? checksum : undefined,
        onStart: started => {
          source = started
          this.#bodies.add(started)
          if (this.stopping) started.stop('shutdown')
        },
        onProgress: saved => { this.emit('progress', saved) }
      })
    } catch (error) {
      throw adapterError(error)
    } finally {
      if (source !== undefined) this.#bodies.delete(source)
    }
  }

  async #appendPart (caller: Caller, upload: UploadingUpload, body: Readable, hold: Hold): Promise<UploadingUpload> {
    return asUploading(await this.#writeBody(caller, upload, { start: 'end', body }, hold))
  }

  /** Under the upload's exclusive lock. */
  async #finish (caller: Caller, upload: UploadingUpload, request: CompleteRequest, hold: Hold): Promise<Completed> {
    const size = upload.size === null || request.asReceived === true ? offsetOf(upload) : upload.size
    if (!covers(upload.received, [0, size])) throw new UploadIncomplete(countBytes(upload.received), size)
    const checksum = upload.checksum === null ? null : { ...upload.checksum, value: await this.#checksumOf(upload, upload.checksum.algorithm, size) }
    const expected = request.checksum ?? upload.checksum?.value ?? undefined
    if (expected !== undefined && checksum === null) throw new ChecksumUnsupported('none')
    if (expected !== undefined && checksum !== null && checksum.value !== expected.toLowerCase()) throw new ChecksumMismatch(checksum.algorithm)

    const wish = this.options.location?.(upload)
    const location = await this.#stored(() => this.storage.finish({ ...upload, size }, wish === undefined ? {} : { location: wish }))
    const finished = (current: Upload): CompleteUpload => ({
      ...current, status: 'complete', size, completedAt: Date.now(), location, checksum, checksumState: null, received: addRange([], [0, size])
    })
    const reply = request.silent === true ? undefined : await caller.hooks.onComplete?.(finished(upload))
    if (hold.lost) throw new UploadGone()
    const complete = await this.records.update(upload.id, current => {
      assertUploading(current, true)
      return finished(current)
    }, upload)
    if (complete.status !== 'complete') throw new UploadGone()
    this.emit('complete', complete)
    return { upload: complete, reply }
  }

  async #checksumOf (upload: UploadingUpload, algorithm: string, size: number): Promise<string> {
    const saved = upload.checksumState !== null && upload.checksumState.offset > size ? null : upload.checksumState
    const state = (saved?.offset ?? 0) === size ? saved : await this.#stored(() => this.#reader.advance(upload, algorithm, saved, size))
    return (await this.#checksums.resume(algorithm, state)).digest()
  }

  #checkDraft ({ maxBytes }: Caller, { size, chunkSize, checksum }: UploadDraft): void {
    const can = this.storage.capabilities
    const limit = Math.min(maxBytes ?? Infinity, can.maxSize)
    if (size !== null && size > limit) throw new SizeLimitExceeded(limit)
    if (chunkSize !== null && (chunkSize < can.minChunkSize || chunkSize > can.maxChunkSize)) {
      throw new ChunkSizeRefused(`chunks must have ${can.minChunkSize} to ${can.maxChunkSize} bytes`)
    }
    if (chunkSize !== null && size !== null && Math.ceil(size / chunkSize) > can.maxChunks) {
      throw new ChunkSizeRefused(`a file can have at most ${can.maxChunks} chunks`)
    }
    if (checksum !== null && !isChecksumAlgorithm(checksum.algorithm)) throw new ChecksumUnsupported(checksum.algorithm)
  }

  async #checkOpenUploads (caller: Caller): Promise<void> {
    const max = this.options.maxOpenUploads
    if (max === null) return
    const now = Date.now()
    let open = 0
    for await (const upload of this.everyUpload({ status: 'uploading', user: caller.user })) {
      if (!isExpired(upload, now) && ++open >= max) throw new TooManyUploads(max)
    }
  }

  /** All records of a query, whoever owns them, a page at a time. */
  async * everyUpload (query: Omit<ListQuery, 'cursor'>): AsyncGenerator<Upload, void, undefined> {
    let cursor: string | undefined
    do {
      const page = await this.#stored(() => this.metadata.list({ ...query, ...cursor !== undefined && { cursor } }))
      yield * page.uploads
      cursor = page.cursor
    } while (cursor !== undefined)
  }

  async #stored<T> (question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (error) {
      throw adapterError(error)
    }
  }

  #refuseWhenStopping (): void {
    if (this.stopping) throw new ShuttingDown()
  }
}

/**
 * @param late true where expiry no longer counts, as the bytes were there in time
 * @throws {UploadComplete} {@link UploadExpired} {@link UploadGone}
 */
export function assertUploading (upload: Upload, late = false): asserts upload is UploadingUpload {
  if (upload.status === 'complete') throw new UploadComplete()
  if (upload.status === 'removed') throw upload.reason === 'expired' ? new UploadExpired() : new UploadGone()
  if (!late && isExpired(upload, Date.now())) throw new UploadExpired()
}

function asUploading (upload: Upload): UploadingUpload {
  assertUploading(upload, true)
  return upload
}
