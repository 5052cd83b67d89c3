import { ShuttingDown, StorageTrouble, TakenOver } from '../errors.js'
import type { Storage, WriteProgress } from '../storage/contract.js'
import { type CompleteUpload, type JsonValue, type UploadingUpload, offsetOf } from '../upload.js'
import type { Bodies } from './bodies.js'
import { addRange } from './byte-ranges.js'
import type { Caller } from './caller.js'
import type { Hold } from './hold.js'
import { asked, asUploading, type Records } from './records.js'

/** Fills uploads with the bytes of complete ones: within the storage where that can do it, else part by part. */
export class Concatenation {
  readonly #storage: Storage
  readonly #records: Records
  readonly #bodies: Bodies
  readonly #stopping: AbortSignal

  constructor (storage: Storage, records: Records, bodies: Bodies, stopping: AbortSignal) {
    this.#storage = storage
    this.#records = records
    this.#bodies = bodies
    this.#stopping = stopping
  }

  /** Under the upload's exclusive lock. `size` bytes are what `parts` have together. */
  async fill (
    caller: Caller, upload: UploadingUpload, parts: readonly CompleteUpload[], size: number, hold: Hold
  ): Promise<UploadingUpload> {
    return this.#storage.concat === undefined
      ? await this.#append(caller, upload, parts, size, hold)
      : await this.#concat(upload, parts, size, hold)
  }

  async #concat (
    upload: UploadingUpload, parts: readonly CompleteUpload[], size: number, hold: Hold
  ): Promise<UploadingUpload> {
    let position = 0
    const changes: Array<(state: JsonValue) => JsonValue> = []
    const wanted = new AbortController()
    hold.listen(claim => { if (claim !== 'yield') wanted.abort() })
    const signal = AbortSignal.any([wanted.signal, this.#stopping])
    const progress: WriteProgress = {
      confirm: (end, change) => {
        position = end
        if (change !== undefined) changes.push(change)
      }
    }
    await asked(async () => await this.#storage.concat?.(upload, parts, progress, signal)).catch((error: unknown) => {
      // Storages may throw what the signal gives them.
      if (!signal.aborted) throw error
    })
    if (position !== size && signal.aborted) throw wanted.signal.aborted ? new TakenOver() : new ShuttingDown()
    if (position !== size) throw new StorageTrouble({ cause: new Error(`storage confirmed ${position}, not ${size}`) })
    if (hold.lost) throw new TakenOver()
    return asUploading(await this.#records.update(upload.id, current => ({
      ...asUploading(current),
      ...this.#storage.epoch !== undefined && { epoch: this.#storage.epoch },
      size,
      received: addRange([], [0, size]),
      storageState: changes.reduce((known, change) => change(known), current.storageState)
    }), upload))
  }

  async #append (
    caller: Caller, upload: UploadingUpload, parts: readonly CompleteUpload[], size: number, hold: Hold
  ): Promise<UploadingUpload> {
    let filled = upload
    let end = 0
    for (const part of parts) {
      end += part.size
      const length = Math.min(end - offsetOf(filled), part.size)
      if (length <= 0 && part.size > 0) continue
      const body = this.#storage.read(part, [part.size - length, part.size])
      filled = await this.#bodies.writeStored(caller, filled, { start: 'end', informed: true, body, length, size }, hold)
    }
    return filled
  }
}
