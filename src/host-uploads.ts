import type { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import type {
  Caller, Completed, CompleteRequest, DeletedExpired, DeleteExpiredOptions, ReadOptions, RemoveOptions, UploadEngine, UploadEvents
} from './engine/index.js'
import { UploadNotFound } from './errors.js'
import type { ByteRange, Upload, UserId } from './upload.js'

/** Uploads that match all that is given. */
export interface UploadFilter {
  readonly status?: Upload['status']
  /** null: anonymous uploads only. */
  readonly user?: UserId | null
  /** Name of the protocol that made them. */
  readonly protocol?: string
}

/** `fastify.chunkedUpload`: the uploads of a registration, for the host: those of all its protocols and users. */
export interface HostUploads {
  /** What happens to uploads, after it happened: `create`, `progress`, `complete`, `remove`, `lost`. */
  readonly events: EventEmitter<UploadEvents>
  /** The upload, or undefined when there is none of this id. */
  get (id: string): Promise<Upload | undefined>
  /** Uploads by time of creation; all of them without a filter. */
  list (filter?: UploadFilter): AsyncGenerator<Upload, void, undefined>
  /**
   * The bytes of an upload, finished or not; without `range` all that can be read from byte 0 on.
   * The stream errors when they are gone; those of a finished upload that a power cut may have taken are compared with its checksum first.
   * @param options `key`, as `encryptedStorage().unlock()` gives it, opens an encrypted file; `signal` ends the read
   */
  read (upload: Upload, range?: ByteRange, options?: ReadOptions): Readable
  /** Removes bytes and record, finished or not. A request in flight is cut. @throws {UploadNotFound} {@link UploadBusy} */
  remove (id: string, options?: RemoveOptions): Promise<void>
  /**
   * Removes the record of a finished upload and leaves its file at its `location`, for a host that takes the file over: no sweep, client or
   * later upload touches it any more. It is on the disk then.
   * @returns the upload as it was
   * @throws {UploadNotFound} {@link UploadGone}, {@link UploadIncomplete} when it is not finished, {@link StorageTrouble} when
   * the disk does not take it
   */
  forget (id: string): Promise<Completed['upload']>
  /**
   * Completes an upload on the client's behalf; `onComplete` is not asked.
   * @throws {UploadIncomplete} {@link ChecksumMismatch} {@link UploadComplete}
   */
  complete (id: string, request?: CompleteRequest): Promise<Completed['upload']>
  /** Removes unfinished uploads whose time is over, as drf's delete_expired_uploads does. Uploads in use and finished files stay. */
  deleteExpired (options?: Omit<DeleteExpiredOptions, 'onError'>): Promise<DeletedExpired>
}

/** Not the type that hosts see: a program that has both builds of the package would have two classes of private members. */
export class EngineUploads implements HostUploads {
  readonly #engine: UploadEngine
  readonly #caller: Caller
  readonly #onError: (error: unknown, upload: Upload) => void

  constructor (engine: UploadEngine, caller: Caller, onError: (error: unknown, upload: Upload) => void) {
    this.#engine = engine
    this.#caller = caller
    this.#onError = onError
  }

  get events (): EventEmitter<UploadEvents> {
    return this.#engine
  }

  async get (id: string): Promise<Upload | undefined> {
    try {
      return await this.#engine.get(this.#caller, id)
    } catch (error) {
      if (error instanceof UploadNotFound) return undefined
      throw error
    }
  }

  list (filter: UploadFilter = {}): AsyncGenerator<Upload, void, undefined> {
    return this.#engine.scan({ ...filter, internal: false })
  }

  read (upload: Upload, range?: ByteRange, options: ReadOptions = {}): Readable {
    const first = upload.received[0]
    const end = upload.status === 'complete' ? upload.size : first?.[0] === 0 ? first[1] : 0
    const wanted = range ?? [0, end]
    if (this.#engine.isProved(upload)) return this.#engine.read(upload, wanted, options)
    return Readable.from(this.#readProved(upload, wanted, options), { objectMode: false })
  }

  async * #readProved (upload: Upload, range: ByteRange, options: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    yield * this.#engine.read(await this.#engine.present(upload), range, options)
  }

  async remove (id: string, options: RemoveOptions = {}): Promise<void> {
    await this.#engine.remove(this.#caller, id, options)
  }

  async forget (id: string): Promise<Completed['upload']> {
    return await this.#engine.forget(this.#caller, id)
  }

  async complete (id: string, request: CompleteRequest = {}): Promise<Completed['upload']> {
    const { upload } = await this.#engine.complete(this.#caller, id, request)
    return upload
  }

  async deleteExpired (options: Omit<DeleteExpiredOptions, 'onError'> = {}): Promise<DeletedExpired> {
    return await this.#engine.deleteExpired({ ...options, onError: this.#onError })
  }
}
