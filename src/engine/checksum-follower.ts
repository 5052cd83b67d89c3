import { type ChecksumState, type Upload, offsetOf, runningChecksumOf } from '../upload.js'
import type { Hold } from './hold.js'
import type { Records } from './records.js'
import type { Turns } from './turns.js'
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
export class ChecksumFollower {
  readonly #records: Records
  readonly #turns: Turns
  readonly #checksums: UploadChecksums
  readonly #following = new Set<string>()

  constructor (records: Records, turns: Turns, checksums: UploadChecksums) {
    this.#records = records
    this.#turns = turns
    this.#checksums = checksums
  }

  /** Starts to follow if there is enough to do and no other does it; ends by itself when it has caught up. */
  follow (upload: Upload): void {
    const { id } = upload
    if (this.#following.has(id) || bytesBehind(upload) < FOLLOW_BYTES) return
    this.#following.add(id)
    const work = this.#turns.beside(id, 'checksum', async (stopped, hold) => { await this.#catchUp(id, stopped, hold) })
    // Completion reads what is lacking, and tells what goes wrong.
    work.catch(() => {}).finally(() => { this.#following.delete(id) })
  }

  async #catchUp (id: string, stopped: AbortSignal, hold: Hold): Promise<void> {
    let current = await this.#records.find(id)
    while (current !== undefined && !stopped.aborted && bytesBehind(current) >= FOLLOW_BYTES) {
      current = await this.#step(current, stopped, hold)
    }
  }

  /** @returns the record after the step, undefined when there is nothing more to follow */
  async #step (upload: Upload, stopped: AbortSignal, hold: Hold): Promise<Upload | undefined> {
    const { checksumState } = upload
    const checksum = runningChecksumOf(upload)
    if (upload.status !== 'uploading' || checksum === null) return undefined
    const to = Math.min(offsetOf(upload), (checksumState?.offset ?? 0) + STEP_BYTES)
    const state = await this.#checksums.stateAt(upload, checksum.algorithm, to, stopped)
    // Without the lock the bytes that were read may be replaced already.
    if (hold.lost || state.offset <= (checksumState?.offset ?? 0)) return undefined
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
