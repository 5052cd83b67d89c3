import { StorageTrouble } from '../../errors.js'
import type { ReadOptions, Storage } from '../../storage/contract.js'
import { type ChecksumState, type CompleteUpload, type Upload, type UploadingUpload, runningChecksumOf } from '../../upload.js'
import { BodyChecksum } from './body-checksum.js'
import { covers } from '../records/byte-ranges.js'
import { Checksums, type RunningChecksum } from './running-checksum.js'
import { ChecksumReadBack, type Stretch } from './read-back.js'
import { HashThread } from './hash-thread.js'
import { callAdapter } from '../call-adapter.js'

/** Bytes that a body waits for to be read back, so that the checksum can go on with it: what a crash may leave between two saves. */
const CATCH_UP_BYTES = 128 * 1024 * 1024

/** The whole-file checksums of uploads, growing with them. */
export class UploadChecksums {
  readonly #storage: Storage
  readonly #checksums = new Checksums()
  readonly #thread = new HashThread()
  readonly #reader: ChecksumReadBack

  constructor (storage: Storage) {
    this.#storage = storage
    this.#reader = new ChecksumReadBack(storage, this.#checksums, this.#thread)
  }

  /**
   * The checksum of the bytes before `start`, to go on with; undefined when too much would have to be read for it, or is not there.
   * @param readBack false reads nothing: for bodies that come side by side, whom the follower relieves of it
   */
  async runningAt (
    upload: UploadingUpload, start: number, { readBack, stopping }: { readonly readBack: boolean, readonly stopping: AbortSignal }
  ): Promise<BodyChecksum | undefined> {
    const checksum = runningChecksumOf(upload)
    if (checksum === null || this.offsetOf(upload) > start || !covers(upload.received, [0, start])) return undefined
    const { algorithm } = checksum
    const saved = await this.#checksums.resume(algorithm, this.#opened(upload, upload.checksumState))
    const running = saved.offset === start
      ? saved
      : readBack ? await this.#caughtUp(upload, { algorithm, from: saved.save(), to: start }, stopping) : undefined
    if (running === undefined) return undefined
    return new BodyChecksum(running, algorithm, this.#thread, state => this.#sealed(upload, state))
  }

  /** The state at byte `size`, read back as far as it is not there. Earlier when the signal of `options` aborted. */
  async stateAt (upload: Upload, algorithm: string, size: number, options: ReadOptions): Promise<ChecksumState> {
    const opened = this.#opened(upload, upload.checksumState)
    const saved = opened !== null && opened.offset > size ? null : opened
    return this.#sealed(upload, await callAdapter(() => this.#reader.advance(upload, { algorithm, from: saved, to: size }, options)))
  }

  /** @param state of the last byte, as {@link stateAt} returned it */
  async digest (upload: Upload, algorithm: string, state: ChecksumState): Promise<string> {
    const running = await this.#checksums.resume(algorithm, this.#opened(upload, state))
    if (running.offset !== state.offset) throw new StorageTrouble({ cause: new Error('the state of the checksum cannot be read') })
    return running.digest()
  }

  /** The checksum of a whole file by any algorithm, read from its first byte; undefined when `stopping` aborted. */
  async ofFile (upload: CompleteUpload, algorithm: string, stopping: AbortSignal): Promise<string | undefined> {
    const state = await callAdapter(() => this.#reader.advance(upload, { algorithm, from: null, to: upload.size }, { signal: stopping }))
    return state.offset === upload.size ? (await this.#checksums.resume(algorithm, state)).digest() : undefined
  }

  /** The byte from which this process can go on with the upload's checksum: what other servers sealed is no use to it. */
  offsetOf (upload: Upload): number {
    return this.#opened(upload, upload.checksumState)?.offset ?? 0
  }

  async close (): Promise<void> {
    await this.#thread.close()
  }

  /** Undefined when too much would have to be read, or is not there. */
  async #caughtUp (upload: UploadingUpload, stretch: Stretch, stopping: AbortSignal): Promise<RunningChecksum | undefined> {
    const { algorithm, from, to } = stretch
    if (to - (from?.offset ?? 0) > CATCH_UP_BYTES) return undefined
    try {
      const state = await this.#reader.advance(upload, stretch, { signal: stopping })
      return state.offset === to ? await this.#checksums.resume(algorithm, state) : undefined
    } catch {
      // No reason to refuse a body: completion reads again, and tells.
      return undefined
    }
  }

  /** As a record may hold it. */
  #sealed (upload: Upload, state: ChecksumState): ChecksumState {
    return this.#storage.checksumStates?.seal(upload, state) ?? state
  }

  #opened (upload: Upload, saved: ChecksumState | null): ChecksumState | null {
    const { checksumStates } = this.#storage
    return saved === null || checksumStates === undefined ? saved : checksumStates.open(upload, saved)
  }
}
