import type { Storage } from '../../storage/contract.js'
import { type CompleteUpload, type Upload, isUnsynced } from '../../upload.js'
import { callAdapter } from '../call-adapter.js'
import type { UploadRecords } from '../records/upload-records.js'

/** Files that are synced at a time: more would slow down the bodies. */
const AT_ONCE = 2
/** Files that may wait; those beyond are left for the next start, or for the comparison after a power cut. */
const MOST_WAITING = 10_000
/** ms to wait after a completion: until then the disk is left to the bodies, and the system writes most of the file. */
const DELAY = 1000

export interface SyncSurroundings {
  readonly storage: Storage
  readonly records: UploadRecords
  readonly stopping: AbortSignal
  /** Told of finished files that could not be brought to the disk, after their completion was answered. */
  readonly onFailed: (error: unknown, upload: Upload) => void
}

/** Brings finished files to the disk after their completion was answered, and writes down that they are there. */
export class Syncer {
  readonly #around: SyncSurroundings
  readonly #waiting = new Map<string, CompleteUpload>()
  readonly #running = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined

  constructor (around: SyncSurroundings) {
    this.#around = around
  }

  /** Puts a finished file into the queue, if it has to be brought to the disk. */
  add (upload: Upload): void {
    if (this.#around.storage.sync === undefined || !isUnsynced(upload) || this.#waiting.size >= MOST_WAITING) return
    this.#waiting.set(upload.id, upload)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#next()
    }, DELAY).unref()
  }

  /**
   * Brings the bytes of an upload to the disk now. When that fails the record says so: a system that was told once that the disk refused
   * some of its bytes has forgotten which, and the next sync would succeed without them.
   * @throws {UploadGone} {@link StorageFull} {@link StorageTrouble}
   */
  async now (upload: Upload): Promise<void> {
    const { storage, records } = this.#around
    try {
      await callAdapter(async () => await storage.sync?.(upload))
    } catch (error) {
      if (isGone(error)) throw error
      await records.update(upload.id, current => distrusted(current, storage)).catch((gone: unknown) => { if (isGone(gone)) throw gone })
      throw error
    }
  }

  /** Resolves when nothing is under way any more. What still waits is begun only while the engine runs. */
  async ended (): Promise<void> {
    clearTimeout(this.#timer)
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #next (): void {
    for (const [id, upload] of this.#waiting) {
      if (this.#running.size >= AT_ONCE || this.#around.stopping.aborted) return
      this.#waiting.delete(id)
      const running: Promise<void> = this.#sync(upload).finally(() => {
        this.#running.delete(running)
        this.#next()
      })
      this.#running.add(running)
    }
  }

  async #sync (upload: CompleteUpload): Promise<void> {
    try {
      await this.now(upload).catch((error: unknown) => {
        // The host has taken the file over: nothing is left to sync.
        if (!isGone(error)) throw error
      })
      await this.#around.records.update(upload.id, synced, upload)
    } catch (error) {
      // Removed or forgotten meanwhile.
      if (!isGone(error)) this.#around.onFailed(error, upload)
    }
  }
}

/** The record of a finished file whose bytes are on the disk. */
export function synced (upload: Upload): Upload {
  if (upload.status !== 'complete') return upload
  const { epoch: _, ...rest } = upload
  return { ...rest, synced: true }
}

/** True for an upload of which the disk has refused bytes in this epoch: the copy in memory proves nothing then. */
export function isDistrusted (upload: Upload, { epoch }: Storage): boolean {
  return upload.epoch !== undefined && upload.epoch === `refused in ${epoch}`
}

function distrusted (upload: Upload, { epoch }: Storage): Upload {
  return upload.status === 'removed' || (upload.status === 'complete' && upload.synced === true)
    ? upload
    : { ...upload, epoch: `refused in ${epoch}` }
}

function isGone (error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && (error.statusCode === 410 || error.statusCode === 404)
}
