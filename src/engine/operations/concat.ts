import { ShuttingDown, StorageTrouble, TakenOver } from '../../errors.js'
import type { Storage, WriteProgress } from '../../storage/contract.js'
import { type CompleteUpload, type JsonValue, type UploadingUpload, offsetOf } from '../../upload.js'
import type { Bodies } from './bodies.js'
import { addRange } from '../records/byte-ranges.js'
import type { Caller } from '../caller.js'
import type { Lease } from '../locking/lease.js'
import { callAdapter, asUploading, type UploadRecords } from '../records/upload-records.js'

/** Fills uploads with the bytes of complete ones: within the storage where that can do it, else part by part. */
export class Concatenation {
  readonly #storage: Storage
  readonly #records: UploadRecords
  readonly #bodies: Bodies
  readonly #stopping: AbortSignal

  constructor (storage: Storage, records: UploadRecords, bodies: Bodies, stopping: AbortSignal) {
    this.#storage = storage
    this.#records = records
    this.#bodies = bodies
    this.#stopping = stopping
  }

  /** Under the upload's exclusive lock. `size` bytes are what `parts` have together. */
  async fill (
    caller: Caller, upload: UploadingUpload, parts: readonly CompleteUpload[], size: number, lease: Lease
  ): Promise<UploadingUpload> {
    return this.#storage.concat === undefined
      ? await this.#append(caller, upload, parts, size, lease)
      : await this.#concat(upload, parts, size, lease)
  }

  async #concat (
    upload: UploadingUpload, parts: readonly CompleteUpload[], size: number, lease: Lease
  ): Promise<UploadingUpload> {
    let position = 0
    const changes: Array<(state: JsonValue) => JsonValue> = []
    const wanted = new AbortController()
    lease.listen(claim => { if (claim !== 'yield') wanted.abort() })
    const signal = AbortSignal.any([wanted.signal, this.#stopping])
    const progress: WriteProgress = {
      confirm: (end, change) => {
        position = end
        if (change !== undefined) changes.push(change)
      }
    }
    await callAdapter(async () => await this.#storage.concat?.(upload, parts, progress, signal)).catch((error: unknown) => {
      // Storages may throw what the signal gives them.
      if (!signal.aborted) throw error
    })
    if (position !== size && signal.aborted) throw wanted.signal.aborted ? new TakenOver() : new ShuttingDown()
    if (position !== size) throw new StorageTrouble({ cause: new Error(`storage confirmed ${position}, not ${size}`) })
    if (lease.lost) throw new TakenOver()
    return asUploading(await this.#records.update(upload.id, current => ({
      ...asUploading(current),
      ...this.#storage.epoch !== undefined && { epoch: this.#storage.epoch },
      size,
      received: addRange([], [0, size]),
      storageState: changes.reduce((known, change) => change(known), current.storageState)
    }), upload))
  }

  async #append (
    caller: Caller, upload: UploadingUpload, parts: readonly CompleteUpload[], size: number, lease: Lease
  ): Promise<UploadingUpload> {
    let filled = upload
    let end = 0
    for (const part of parts) {
      end += part.size
      const length = Math.min(end - offsetOf(filled), part.size)
      if (length <= 0 && part.size > 0) continue
      const body = this.#storage.read(part, [part.size - length, part.size])
      filled = await this.#bodies.writeStored(caller, filled, { start: 'end', informed: true, body, length, size }, lease)
    }
    return filled
  }
}
