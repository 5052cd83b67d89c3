import type { Storage } from '../storage/contract.js'
import { StorageLost } from '../storage/contract.js'
import type { ChecksumState, Upload } from '../upload.js'
import type { Checksums } from './checksum.js'
import type { ChecksumThread } from './checksum-thread.js'

/** Bytes a single task of the worker reads: uploads that wait take turns after so many. */
const SLICE_BYTES = 64 * 1024 * 1024
/** Bytes up to which reading here is cheaper than telling the worker. */
const INLINE_BYTES = 1024 * 1024

/** Reads stored bytes back into a running checksum: for bytes that came out of order, or whose checksum state did not survive. */
export class ChecksumReader {
  readonly #storage: Storage
  readonly #checksums: Checksums
  readonly #thread: ChecksumThread

  constructor (storage: Storage, checksums: Checksums, thread: ChecksumThread) {
    this.#storage = storage
    this.#checksums = checksums
    this.#thread = thread
  }

  /**
   * The checksum state at byte `to`, going on from `from`. All bytes up to `to` must have been received.
   * Ends early, at a smaller offset, when `signal` aborts.
   * @throws {StorageLost} when the storage ends before `to`
   */
  async advance (upload: Upload, algorithm: string, from: ChecksumState | null, to: number, signal?: AbortSignal): Promise<ChecksumState> {
    let state = (await this.#checksums.resume(algorithm, from)).save()
    let path = this.#storage.localPath?.(upload)
    while (state.offset < to && signal?.aborted !== true) {
      const end = Math.min(to, state.offset + SLICE_BYTES)
      const next = path !== undefined && end - state.offset > INLINE_BYTES && this.#thread.usable
        ? await this.#thread.hash({ algorithm, state, source: { path, to: end } })
        : await this.#stream(upload, algorithm, state, end, signal)
      if (next === undefined) {
        // A finish that crashed may have moved the file on; the storage knows where to.
        path = undefined
        continue
      }
      if (next.offset === state.offset) throw new StorageLost(`upload ${upload.id} ends at byte ${next.offset}, expected ${to}`)
      state = next
    }
    return state
  }

  async #stream (
    upload: Upload, algorithm: string, from: ChecksumState, to: number, signal: AbortSignal | undefined
  ): Promise<ChecksumState> {
    let state = from
    const many = to - from.offset > INLINE_BYTES
    for await (const bytes of this.#storage.read(upload, [from.offset, to])) {
      const next = many && this.#thread.usable ? await this.#thread.hash({ algorithm, state, source: { batch: [bytes] } }) : undefined
      if (next !== undefined) state = next
      else {
        const running = await this.#checksums.resume(algorithm, state)
        running.update([bytes])
        state = running.save()
      }
      if (signal?.aborted === true) break
    }
    return state
  }
}
