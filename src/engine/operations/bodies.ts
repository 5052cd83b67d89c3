import type { BodyPace } from '../../body-pace.js'
import { BodyCut, OffsetMismatch, UploadGone } from '../../errors.js'
import type { Storage } from '../../storage/contract.js'
import { type Upload, type UploadingUpload, offsetOf } from '../../upload.js'
import { Allowance } from '../limits/allowance.js'
import { BufferPool } from '../body/batch-buffer.js'
import { BodyMemory } from '../body/body-memory.js'
import type { BodyReader } from '../body/body-reader.js'
import type { Caller } from '../caller.js'
import { largestFile } from '../records/new-upload.js'
import type { Lease } from '../locking/lease.js'
import { writeWindow } from '../body/write-window.js'
import type { Quota } from '../limits/quota.js'
import { callAdapter, assertUploading, asUploading, type UploadRecords, shortOf } from '../records/upload-records.js'
import type { SaveEvery } from '../body/progress-saver.js'
import type { UploadChecksums } from '../checksum/upload-checksums.js'
import { type WriteRequest, writeBody } from './write.js'

const SAVE_EVERY: SaveEvery = { bytes: 64 * 1024 * 1024, ms: 5000 }

export interface BodySurroundings {
  readonly storage: Storage
  readonly records: UploadRecords
  readonly checksums: UploadChecksums
  readonly quota: Quota
  /** How slowly a body may come. */
  readonly pace: BodyPace
  /** Default: 64 MiB or 5 s, whatever comes first. */
  readonly saveEvery?: SaveEvery | undefined
  /** Bytes of memory for all bodies together. Default: 64 MiB. */
  readonly bodyMemory?: number | undefined
  readonly stopping: AbortSignal
  /** A request tells the size of an upload that had none. Throws to refuse. */
  readonly onSize: (caller: Caller, upload: UploadingUpload, size: number) => Promise<UploadingUpload>
  readonly onProgress: (saved: Upload, request: WriteRequest) => void
  /** The storage has only so many bytes; undefined for no file. @returns the record as it is then */
  readonly onShort: (upload: Upload, bytes: number | undefined) => Promise<Upload>
}

/** Stores bodies, and knows all that are under way. */
export class Bodies {
  readonly #around: BodySurroundings
  readonly #open = new Set<BodyReader>()
  readonly #buffers = new BufferPool()
  readonly #memory: BodyMemory

  constructor (around: BodySurroundings) {
    this.#around = around
    this.#memory = new BodyMemory(around.bodyMemory)
  }

  /**
   * Stores one body under the upload's lock.
   * @param final the end of this body is the end of the file
   * @throws as {@link writeBody}, {@link writeWindow} and the request's `check`
   */
  async write (caller: Caller, upload: UploadingUpload, request: WriteRequest, lease: Lease, final = false): Promise<Upload> {
    const { storage, records, checksums, quota, pace, saveEvery, stopping, onProgress } = this.#around
    request.check?.(upload)
    const maxBytes = largestFile(storage, caller, upload.chunkSize)
    const window = writeWindow(upload, request, { maxBytes, anyOffset: storage.capabilities.anyOffset })
    const told = request.size !== undefined && upload.size === null ? await this.#around.onSize(caller, upload, request.size) : upload
    const allowance = Allowance.of(quota, caller, told, request, window)
    let source: BodyReader | undefined
    try {
      const allowed = await allowance?.begin() ?? told
      const ready = request.overwrite === true ? await this.#forgetChecksum(allowed, window.start) : allowed
      const written = await writeBody(ready, request, window, {
        storage,
        records,
        lease,
        maxBytes,
        grant: allowance?.grant,
        pace,
        buffers: this.#buffers,
        memory: this.#memory,
        saveEvery: request.saveEvery ?? saveEvery ?? SAVE_EVERY,
        final,
        epoch: storage.epoch,
        checksum: await checksums.runningAt(ready, window.start, request.parallel !== true, stopping),
        onStart: started => {
          source = started
          this.#open.add(started)
          if (stopping.aborted) started.stop('shutdown')
        },
        onProgress: saved => { onProgress(saved, request) }
      })
      return await allowance?.settle(written) ?? written
    } catch (error) {
      await allowance?.giveUp(lease)
      throw await this.#lossBehind(error, told, window.start)
    } finally {
      source?.close()
      if (source !== undefined) this.#open.delete(source)
    }
  }

  /** Of a body that failed: where bytes before it are gone, the record says so first, and the client hears where to go on. */
  async #lossBehind (error: unknown, upload: UploadingUpload, start: number): Promise<unknown> {
    const { onShort } = this.#around
    const bytes = shortOf(error)
    try {
      if (bytes === undefined && !(error instanceof UploadGone)) return error
      // The body may have saved some of its own bytes before these were gone, too.
      const now = await this.#around.records.find(upload.id) ?? upload
      const left = await onShort(now, bytes)
      if (bytes === undefined) return error
      assertUploading(left, true)
      return offsetOf(left) === start ? error : new OffsetMismatch(offsetOf(left), start)
    } catch (later) {
      return later
    }
  }

  /** Writes a body that comes from the storage. */
  async writeStored (caller: Caller, upload: UploadingUpload, request: WriteRequest, lease: Lease): Promise<UploadingUpload> {
    // It may break before its bytes are wanted, before there is a listener.
    request.body.on('error', () => {})
    try {
      return asUploading(await this.write({ ...caller, hooks: {} }, upload, { ...request, own: true }, lease))
    } catch (error) {
      // No client sent this body: if it breaks off, the fault is the storage's.
      if (error instanceof BodyCut) await callAdapter(() => Promise.reject(error.cause))
      throw error
    } finally {
      request.body.destroy()
    }
  }

  /** Ends all that are under way; what came of them so far is saved. */
  stop (): void {
    for (const body of this.#open) body.stop('shutdown')
  }

  /** A checksum that has seen bytes which are now replaced would tell of a file that is no more, even if the body is cut. */
  async #forgetChecksum (upload: UploadingUpload, start: number): Promise<UploadingUpload> {
    if ((upload.checksumState?.offset ?? 0) <= start) return upload
    return asUploading(await this.#around.records.update(upload.id, current => ({ ...asUploading(current), checksumState: null }), upload))
  }
}
