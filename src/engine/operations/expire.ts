import { isExpired, type Upload } from '../../upload.js'
import type { UploadEngine } from '../upload-engine.js'

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

/** Uploads that are removed at once: storage and store of records are asked over a network, or by a few threads. */
const AT_ONCE = 16

/**
 * Removes what is over: unfinished uploads past their time, parts of files too if they are complete, and kept records of removed ones.
 * Works under each upload's lock, passes over uploads in use, and never touches a finished file.
 */
export async function deleteExpired (engine: UploadEngine, options: DeleteExpiredOptions = {}): Promise<DeletedExpired> {
  const { keepRecord = false, filter = () => true, onError = () => {} } = options
  const now = Date.now()
  let files = 0
  let records = 0

  const sweep = async (seen: Upload, due: (upload: Upload) => boolean, work: (upload: Upload) => Promise<void>): Promise<void> => {
    if (engine.stopping || !due(seen)) return
    try {
      if (!await filter(seen)) return
      await engine.ifFree(seen.id, async upload => {
        if (upload !== undefined && due(upload)) await work(upload)
      })
    } catch (error) {
      onError(error, seen)
    }
  }

  await atOnce(engine.scan({ expiredBefore: now }), async seen => {
    await sweep(seen, upload => isExpired(upload, now), async upload => {
      await engine.purge(upload, 'expired', keepRecord)
      files++
      if (!keepRecord) records++
    })
  })
  if (keepRecord) return { files, records }
  await atOnce(engine.scan({ status: 'removed' }), async seen => {
    await sweep(seen, upload => upload.status === 'removed' && (upload.expiresAt ?? upload.removedAt) <= now, async upload => {
      await engine.records.delete(upload.id)
      records++
    })
  })
  return { files, records }
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
