import type { ReadOptions, Storage } from '../../storage/contract.js'
import { StorageShort } from '../../storage/contract.js'
import type { ChecksumState, Upload } from '../../upload.js'
import type { Checksums } from './running-checksum.js'
import type { HashThread } from './hash-thread.js'

/** Bytes a single task of the worker reads: bodies and other uploads that wait have their turn after so many, some milliseconds. */
const SLICE_BYTES = 2 * 1024 * 1024
/** Bytes that are asked of a storage at once, which may be a request to a service. */
const STREAM_BYTES = 64 * 1024 * 1024
/** Bytes up to which reading here is cheaper than telling the worker. */
const INLINE_BYTES = 1024 * 1024

/** Bytes that a checksum is to go over: from a saved state, or byte 0 with null, up to byte `to`. */
export interface Stretch {
  readonly algorithm: string
  readonly from: ChecksumState | null
  readonly to: number
}

/** Reads stored bytes back into a running checksum: for bytes that came out of order, or whose checksum state did not survive. */
export class ChecksumReadBack {
  readonly #storage: Storage
  readonly #checksums: Checksums
  readonly #thread: HashThread

  constructor (storage: Storage, checksums: Checksums, thread: HashThread) {
    this.#storage = storage
    this.#checksums = checksums
    this.#thread = thread
  }

  /**
   * The checksum state at byte `to`, going on from `from`. All bytes up to `to` must have been received.
   * Ends early, at a smaller offset, when the signal of `options` aborts.
   * @throws {StorageShort} when the storage ends before `to`
   */
  async advance (upload: Upload, { algorithm, from, to }: Stretch, options: ReadOptions = {}): Promise<ChecksumState> {
    const aborted = (): boolean => options.signal?.aborted === true
    let state = (await this.#checksums.resume(algorithm, from)).save()
    let path = this.#storage.localPath?.(upload)
    while (state.offset < to && !aborted()) {
      const next = path !== undefined && to - state.offset > INLINE_BYTES && this.#thread.usable
        ? await this.#thread.offer({ algorithm, state, source: { path, to: Math.min(to, state.offset + SLICE_BYTES) } }, 'file').state
        : await this.#stream(upload, { algorithm, from: state, to: Math.min(to, state.offset + STREAM_BYTES) }, options)
      if (next === undefined) {
        // A finish that crashed may have moved the file on; the storage knows where to.
        path = undefined
        continue
      }
      if (next.offset === state.offset && !aborted()) throw new StorageShort(next.offset, to)
      state = next
    }
    return state
  }

  async #stream (
    upload: Upload, { algorithm, from, to }: Stretch & { readonly from: ChecksumState }, options: ReadOptions
  ): Promise<ChecksumState> {
    let state = from
    const many = to - from.offset > INLINE_BYTES
    try {
      for await (const bytes of this.#storage.read(upload, [from.offset, to], options)) {
        const task = { algorithm, state, source: { batch: [bytes] } }
        const next = many && this.#thread.usable ? await this.#thread.offer(task, 'file').state : undefined
        if (next !== undefined) state = next
        else {
          const running = await this.#checksums.resume(algorithm, state)
          running.update([bytes])
          state = running.save()
        }
        if (options.signal?.aborted === true) break
      }
    } catch (error) {
      if (options.signal?.aborted !== true) throw error
    }
    return state
  }
}
