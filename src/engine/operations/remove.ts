import { TakenOver, UploadGone, UploadIncomplete } from '../../errors.js'
import { type CompleteUpload, type RemovalReason, type Upload, isUnsynced, offsetOf } from '../../upload.js'
import { callAdapter } from '../call-adapter.js'
import type { Caller } from '../caller.js'
import type { EngineContext } from '../context.js'
import { assertUploading } from '../records/upload-states.js'
import { withUpload } from '../with-upload.js'

export interface RemoveOptions {
  /** Keeps the record, so that later requests hear "gone" instead of "unknown". */
  readonly keepRecord?: boolean
  readonly reason?: Exclude<RemovalReason, 'expired'>
  /** A finished upload loses its record alone, as with {@link forget}; its file stays. */
  readonly keepFinished?: boolean
}

/** Removes bytes and record; a request in flight is stopped first. */
export async function remove (context: EngineContext, caller: Caller, id: string, options: RemoveOptions): Promise<void> {
  const { records, locks, removing } = context
  const { keepRecord = false, reason = 'removed', keepFinished = false } = options
  // First of all, permission: a caller without it must not change what others hear.
  await records.get(caller, id)
  if (caller.hooks.onRemove === undefined) removing.add(id)
  try {
    await locks.withUpload(caller, id, { claim: 'stop' }, async (upload, lease) => {
      if (upload.status === 'removed') assertUploading(upload)
      await caller.hooks.onRemove?.(upload)
      if (lease.lost) throw new TakenOver()
      if (keepFinished && upload.status === 'complete') await records.delete(upload.id)
      else await removeHeld(context, upload, { reason, keepRecord })
    })
  } finally {
    removing.delete(id)
  }
}

/** Removes the record of a finished upload and leaves its file, which is brought to the disk. */
export async function forget (context: EngineContext, caller: Caller, id: string): Promise<CompleteUpload> {
  const { records, losses, syncer } = context
  return await withUpload(context, { caller, id, claim: 'yield' }, async ({ upload: found, lease }) => {
    if (found.status === 'uploading') throw new UploadIncomplete(offsetOf(found), found.size ?? 0)
    const upload = await losses.bornOut(found, lease)
    if (upload.status !== 'complete') throw new UploadGone()
    // A host may have moved the file already.
    if (isUnsynced(upload)) await syncer.now(upload).catch((error: unknown) => { if (!(error instanceof UploadGone)) throw error })
    await records.delete(upload.id)
    return upload
  })
}

/** Removes under the upload's exclusive lock. Bytes first: a crash between leaves a record that can be swept again. */
export async function removeHeld (
  { storage, records, events }: EngineContext, upload: Upload,
  { reason, keepRecord = false }: { readonly reason: RemovalReason, readonly keepRecord?: boolean }
): Promise<void> {
  await callAdapter(() => storage.remove(upload))
  if (!keepRecord) await records.delete(upload.id)
  else {
    await records.update(upload.id, current => current.status === 'removed'
      ? current
      : { ...current, status: 'removed', reason, removedAt: Date.now(), received: [], checksumState: null })
  }
  events.removed(upload, reason)
}
