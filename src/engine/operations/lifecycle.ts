import { isUnsynced } from '../../upload.js'
import type { EngineContext } from '../context.js'
import { bornOut } from './read.js'

/** Looks after the finished files that a server before has left, one after the other. */
export async function syncLeftovers (context: EngineContext): Promise<void> {
  const { storage, records, losses, syncer, stopping } = context
  if (storage.epoch === undefined) return
  for await (const upload of records.every({ status: 'complete', unsynced: true })) {
    if (stopping.aborted) return
    if (!losses.isDue(upload)) syncer.add(upload)
    else if (isUnsynced(upload)) await bornOut(context, upload).catch(() => {})
  }
}

export async function shutdown ({ locks, bodies, syncer, checksums }: EngineContext): Promise<void> {
  locks.stop()
  bodies.stop()
  await locks.ended()
  await syncer.ended()
  await checksums.close()
}
