import { type ChecksumState, type Upload, offsetOf, runningChecksumOf } from '../../upload.js'
import type { Lease } from '../locking/lease.js'
import type { UploadRecords } from '../records/upload-records.js'
import type { UploadLocks } from '../locking/upload-locks.js'
import type { UploadChecksums } from './upload-checksums.js'

/** Contiguous bytes without a checksum that are worth a task of the worker and a change of the record. */
const FOLLOW_BYTES = 16 * 1024 * 1024
/** Bytes between two saves of the state. */
const STEP_BYTES = 64 * 1024 * 1024

/**
 * Lets the checksum of an upload whose chunks come side by side follow them, so that completion finds it nearly done however large
 * the file is. It works beside the bodies, holding the upload as they do: an operation that wants the upload exclusively (to complete,
 * replace or remove) stops it. One server follows an upload at a time; what it has is saved, so that another may go on.
 */
export class BackgroundChecksum {
  readonly #records: UploadRecords
  readonly #locks: UploadLocks
  readonly #checksums: UploadChecksums
  readonly #following = new Set<string>()

  constructor (records: UploadRecords, locks: UploadLocks, checksums: UploadChecksums) {
    this.#records = records
    this.#locks = locks
    this.#checksums = checksums
  }

  /** Starts to follow if there is enough to do and no other does it; ends by itself when it has caught up. */
  follow (upload: Upload): void {
    const { id } = upload
    if (this.#following.has(id) || bytesBehind(upload) < FOLLOW_BYTES) return
    this.#following.add(id)
    const work = this.#locks.withShared(id, 'checksum', async (stopped, lease) => { await this.#catchUp(id, stopped, lease) })
    // Completion reads what is lacking, and tells what goes wrong.
    work.catch(() => {}).finally(() => { this.#following.delete(id) })
  }

  async #catchUp (id: string, stopped: AbortSignal, lease: Lease): Promise<void> {
    let current = await this.#records.find(id)
    while (current !== undefined && !stopped.aborted && bytesBehind(current) >= FOLLOW_BYTES) {
      current = await this.#step(current, stopped, lease)
    }
  }

  /** @returns the record after the step, undefined when there is nothing more to follow */
  async #step (upload: Upload, stopped: AbortSignal, lease: Lease): Promise<Upload | undefined> {
    const { checksumState } = upload
    const checksum = runningChecksumOf(upload)
    if (upload.status !== 'uploading' || checksum === null) return undefined
    const to = Math.min(offsetOf(upload), (checksumState?.offset ?? 0) + STEP_BYTES)
    const state = await this.#checksums.stateAt(upload, checksum.algorithm, to, { signal: stopped })
    // Without the lock the bytes that were read may be replaced already.
    if (lease.lost || state.offset <= (checksumState?.offset ?? 0)) return undefined
    return await this.#records.update(upload.id, current => {
      return current.status === 'uploading' && isAhead(state, current) ? { ...current, checksumState: state } : current
    }, upload)
  }
}

function isAhead (state: ChecksumState, { checksumState }: Upload): boolean {
  return state.offset > (checksumState?.offset ?? 0)
}

function bytesBehind (upload: Upload): number {
  return runningChecksumOf(upload) === null || upload.status !== 'uploading' ? 0 : offsetOf(upload) - (upload.checksumState?.offset ?? 0)
}
