import type { Storage } from '../storage/contract.js'
import type { ChecksumState, UploadingUpload } from '../upload.js'
import { BodyChecksum } from './body-checksum.js'
import { covers } from './byte-ranges.js'
import { Checksums, type RunningChecksum } from './checksum.js'
import { ChecksumReader } from './checksum-reader.js'
import { ChecksumThread } from './checksum-thread.js'
import { asked } from './records.js'

/** Bytes that a body waits for to be read back, so that the checksum can go on with it: what a crash may leave between two saves. */
const CATCH_UP_BYTES = 128 * 1024 * 1024

/** The whole-file checksums of uploads, growing with them. */
export class UploadChecksums {
  readonly #checksums = new Checksums()
  readonly #thread = new ChecksumThread()
  readonly #reader: ChecksumReader

  constructor (storage: Storage) {
    this.#reader = new ChecksumReader(storage, this.#checksums, this.#thread)
  }

  /**
   * The checksum of the bytes before `start`, to go on with; undefined when too much would have to be read for it, or is not there.
   * @param readBack false reads nothing: for bodies that come side by side, whom the follower relieves of it
   */
  async runningAt (upload: UploadingUpload, start: number, readBack: boolean, stopping: AbortSignal): Promise<BodyChecksum | undefined> {
    if (upload.checksum === null || (upload.checksumState?.offset ?? 0) > start || !covers(upload.received, [0, start])) return undefined
    const { algorithm } = upload.checksum
    const running = await this.#at(upload, algorithm, start, readBack, stopping)
    return running === undefined ? undefined : new BodyChecksum(running, algorithm, this.#thread)
  }

  /** The state at byte `size`, read back as far as it is not there. Earlier when `stopping` aborted. */
  async stateAt (upload: UploadingUpload, algorithm: string, size: number, stopping: AbortSignal): Promise<ChecksumState> {
    const saved = upload.checksumState !== null && upload.checksumState.offset > size ? null : upload.checksumState
    return await asked(() => this.#reader.advance(upload, algorithm, saved, size, stopping))
  }

  async digest (algorithm: string, state: ChecksumState): Promise<string> {
    return (await this.#checksums.resume(algorithm, state)).digest()
  }

  async close (): Promise<void> {
    await this.#thread.close()
  }

  async #at (
    upload: UploadingUpload, algorithm: string, start: number, readBack: boolean, stopping: AbortSignal
  ): Promise<RunningChecksum | undefined> {
    const running = await this.#checksums.resume(algorithm, upload.checksumState)
    if (running.offset === start) return running
    if (!readBack || start - running.offset > CATCH_UP_BYTES) return undefined
    try {
      const state = await this.#reader.advance(upload, algorithm, running.save(), start, stopping)
      return state.offset === start ? await this.#checksums.resume(algorithm, state) : undefined
    } catch {
      // No reason to refuse a body: completion reads again, and tells.
      return undefined
    }
  }
}
