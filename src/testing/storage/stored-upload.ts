import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import type { Storage, WriteProgress } from '../../storage/contract.js'
import type { ByteRange, CompleteUpload, UploadingUpload } from '../../upload.js'
import { newUpload } from '../new-upload.js'

/**
 * An upload in a storage, with a record kept the way the engine keeps it: through JSON, with confirmed ranges and the newest
 * `storageState`. It asserts that confirmations come in order and within what was given.
 */
export class StoredUpload {
  #location: string | undefined

  private constructor (
    readonly storage: Storage,
    /** The record. Set it back to an older one to play a crash. */
    public upload: UploadingUpload
  ) {}

  static async create (storage: Storage, overrides: Partial<UploadingUpload> = {}): Promise<StoredUpload> {
    const planned = StoredUpload.plan(storage, overrides)
    return new StoredUpload(storage, { ...planned, storageState: JSON.parse(JSON.stringify(await storage.create(planned))) })
  }

  /** The record as it is before `create` is called. */
  static plan (storage: Storage, overrides: Partial<UploadingUpload> = {}): UploadingUpload {
    const upload = newUpload(overrides)
    return { ...upload, storageState: JSON.parse(JSON.stringify(storage.plan?.(upload) ?? null)) }
  }

  /**
   * Writes from `start`; checks that all of it is confirmed in the end. `onConfirm` runs after the record has changed, `onRelease` when
   * the storage lets go of memory.
   */
  async write (
    start: number,
    batches: ReadonlyArray<readonly Uint8Array[]> | AsyncIterable<readonly Uint8Array[]>,
    onConfirm?: (end: number) => void,
    onRelease?: (end: number) => void
  ): Promise<void> {
    let given = start
    async function * counted (): AsyncGenerator<readonly Uint8Array[]> {
      for await (const batch of batches) {
        given += batch.reduce((bytes, buffer) => bytes + buffer.byteLength, 0)
        // The buffers belong to the storage; what happens to the list is no concern of the source.
        yield [...batch]
      }
    }
    const progress = this.#progress(start, () => given, onConfirm)
    const release = (end: number): void => {
      assert.ok(end <= given, `released ${end}, given were ${given}`)
      onRelease?.(end)
    }
    await this.storage.write(this.upload, start, counted(), { confirm: progress.confirm, release })
    assert.equal(progress.end, given, 'everything given is confirmed before write resolves')
  }

  async concat (parts: readonly CompleteUpload[], signal: AbortSignal = new AbortController().signal): Promise<void> {
    const size = parts.reduce((bytes, part) => bytes + part.size, 0)
    const progress = this.#progress(0, () => size)
    await this.storage.concat?.(this.upload, parts, progress, signal)
    if (!signal.aborted) assert.equal(progress.end, size, 'all parts are confirmed before concat resolves')
  }

  /** Finishes, and remembers the location without marking the record: a repeated call is one after a crash. */
  async finish (target?: string): Promise<void> {
    const { size } = this.upload
    assert.ok(size !== null, 'only an upload of known size is finished')
    this.upload = { ...this.upload, target }
    this.#location = await this.storage.finish({ ...this.upload, size })
  }

  get location (): string {
    assert.ok(this.#location !== undefined, 'the upload is finished')
    return this.#location
  }

  /** The record after completion. */
  get complete (): CompleteUpload {
    const { size } = this.upload
    assert.ok(size !== null, 'the size is known')
    return { ...this.upload, status: 'complete', size, location: this.location, completedAt: Date.now(), target: undefined }
  }

  /** All bytes that the record knows of. */
  async content (): Promise<Buffer> {
    if (this.#location !== undefined) return await collect(this.storage.read(this.complete, [0, this.complete.size]))
    return await collect(this.storage.read(this.upload, [0, this.upload.received[0]?.[1] ?? 0]))
  }

  #progress (start: number, given: () => number, onConfirm?: (end: number) => void): WriteProgress & { readonly end: number } {
    let confirmed = start
    return {
      get end () { return confirmed },
      confirm: (end, change) => {
        assert.ok(Number.isSafeInteger(end) && end >= confirmed, `confirmed ${end} after ${confirmed}`)
        assert.ok(end <= given(), `confirmed ${end}, given were ${given()}`)
        confirmed = end
        this.upload = {
          ...this.upload,
          received: withRange(this.upload.received, [start, end]),
          storageState: change === undefined ? this.upload.storageState : JSON.parse(JSON.stringify(change(this.upload.storageState)))
        }
        onConfirm?.(end)
      }
    }
  }
}

export async function collect (stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

export function cut (bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}

function withRange (ranges: readonly ByteRange[], added: ByteRange): ByteRange[] {
  const merged: ByteRange[] = []
  for (const [start, end] of [...ranges, added].filter(([start, end]) => end > start).sort(([a], [b]) => a - b)) {
    const last = merged.at(-1)
    if (last !== undefined && start <= last[1]) merged[merged.length - 1] = [last[0], Math.max(last[1], end)]
    else merged.push([start, end])
  }
  return merged
}
