import { isExpired, type RemovalReason, type Upload } from '../../upload.js'
import type { UploadLocks } from '../locking/upload-locks.js'
import type { UploadRecords } from '../records/upload-records.js'

export interface DeleteExpiredOptions {
  /** Removes only the bytes: later requests of these uploads hear "expired" instead of "unknown". */
  readonly keepRecord?: boolean
  /** Asked for each upload; false leaves it. */
  readonly filter?: (upload: Upload) => boolean | Promise<boolean>
  /** Told of each upload that could not be removed; it is tried again with the next sweep. */
  readonly onError?: (error: unknown, upload: Upload) => void
}

export interface DeletedExpired {
  /** Uploads whose bytes were removed: unfinished ones, and parts of files. */
  readonly files: number
  /** Records that were removed. */
  readonly records: number
}

export interface ExpirySurroundings {
  readonly records: UploadRecords
  readonly locks: UploadLocks
  /** Removes under the upload's lock. */
  readonly purge: (upload: Upload, reason: RemovalReason, keepRecord: boolean) => Promise<void>
}

/** Uploads that are removed at once: storage and store of records are asked over a network, or by a few threads. */
const AT_ONCE = 16

/** Removes what is over, under each upload's lock. Passes over uploads in use. */
export class Expiry {
  readonly #around: ExpirySurroundings

  constructor (around: ExpirySurroundings) {
    this.#around = around
  }

  /**
   * Removes unfinished uploads past their time, parts of files too if they are complete, and kept records of removed ones. Never touches a
   * finished file.
   */
  async deleteExpired (options: DeleteExpiredOptions): Promise<DeletedExpired> {
    const { keepRecord = false, filter = () => true, onError = () => {} } = options
    const { records, locks, purge } = this.#around
    const now = Date.now()
    const deleted = { files: 0, records: 0 }

    const sweep = async (seen: Upload, isDue: (upload: Upload) => boolean, work: (upload: Upload) => Promise<void>): Promise<void> => {
      if (locks.stopping.aborted || !isDue(seen)) return
      try {
        if (await filter(seen)) await this.#ifDue(seen.id, isDue, work)
      } catch (error) {
        onError(error, seen)
      }
    }

    await atOnce(records.every({ expiredBefore: now }), async seen => {
      await sweep(seen, upload => isExpired(upload, now), async upload => {
        await purge(upload, 'expired', keepRecord)
        deleted.files++
        if (!keepRecord) deleted.records++
      })
    })
    if (keepRecord) return deleted
    await atOnce(records.every({ status: 'removed' }), async seen => {
      await sweep(seen, upload => upload.status === 'removed' && (upload.expiresAt ?? upload.removedAt) <= now, async upload => {
        await records.delete(upload.id)
        deleted.records++
      })
    })
    return deleted
  }

  /** Removes bytes and record of those of `uploads` that are due, finished or not. */
  async purge (uploads: AsyncIterable<Upload>, isDue: (upload: Upload) => boolean): Promise<number> {
    const { records, purge } = this.#around
    let purged = 0
    for await (const seen of uploads) {
      if (!isDue(seen)) continue
      await this.#ifDue(seen.id, isDue, async upload => {
        if (upload.status === 'removed') await records.delete(upload.id)
        else await purge(upload, 'expired', false)
        purged++
      })
    }
    return purged
  }

  async #ifDue (id: string, isDue: (upload: Upload) => boolean, work: (upload: Upload) => Promise<void>): Promise<void> {
    const { records, locks } = this.#around
    await locks.tryWithUpload(id, async () => {
      const upload = await records.find(id)
      if (upload !== undefined && isDue(upload)) await work(upload)
    })
  }
}

/** Runs `work`, which must not reject, for each upload, a few at a time. */
async function atOnce (uploads: AsyncIterable<Upload>, work: (upload: Upload) => Promise<void>): Promise<void> {
  const running = new Set<Promise<void>>()
  for await (const upload of uploads) {
    const one = work(upload).finally(() => { running.delete(one) })
    running.add(one)
    if (running.size >= AT_ONCE) await Promise.race(running)
  }
  await Promise.all(running)
}
