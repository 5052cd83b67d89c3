import { isExpired, type Upload } from '../../upload.js'
import type { EngineContext } from '../context.js'
import { removeHeld } from './remove.js'

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
 * Removes unfinished uploads past their time, parts of files too if they are complete, and kept records of removed ones. Works under each
 * upload's lock, passes over uploads in use, and never touches a finished file.
 */
export async function deleteExpired (context: EngineContext, options: DeleteExpiredOptions): Promise<DeletedExpired> {
  const { keepRecord = false, filter = () => true, onError = () => {} } = options
  const { records, stopping } = context
  const now = Date.now()
  const deleted = { files: 0, records: 0 }

  const sweep = async (seen: Upload, isDue: (upload: Upload) => boolean, work: (upload: Upload) => Promise<void>): Promise<void> => {
    if (stopping.aborted || !isDue(seen)) return
    try {
      if (await filter(seen)) await ifDue(context, seen.id, isDue, work)
    } catch (error) {
      onError(error, seen)
    }
  }

  await atOnce(records.every({ expiredBefore: now }), async seen => {
    await sweep(seen, upload => isExpired(upload, now), async upload => {
      await removeHeld(context, upload, { reason: 'expired', keepRecord })
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

/** Removes bytes and record of those of `uploads` that are due and not in use, finished or not. */
export async function purge (
  context: EngineContext, uploads: AsyncIterable<Upload>, isDue: (upload: Upload) => boolean
): Promise<number> {
  let purged = 0
  for await (const seen of uploads) {
    if (!isDue(seen)) continue
    await ifDue(context, seen.id, isDue, async upload => {
      if (upload.status === 'removed') await context.records.delete(upload.id)
      else await removeHeld(context, upload, { reason: 'expired' })
      purged++
    })
  }
  return purged
}

async function ifDue (
  { records, locks }: EngineContext, id: string, isDue: (upload: Upload) => boolean, work: (upload: Upload) => Promise<void>
): Promise<void> {
  await locks.tryWithUpload(id, async () => {
    const upload = await records.find(id)
    if (upload !== undefined && isDue(upload)) await work(upload)
  })
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
