import { OffsetMismatch, ShuttingDown, SizeConflict, StorageTrouble, TakenOver } from '../../errors.js'
import type { WriteProgress } from '../../storage/contract.js'
import { type CompleteUpload, type JsonValue, type UploadingUpload, offsetOf } from '../../upload.js'
import { callAdapter } from '../call-adapter.js'
import type { Caller } from '../caller.js'
import type { EngineContext, Held } from '../context.js'
import { addRange, covers } from '../records/byte-ranges.js'
import { checkSize } from '../records/new-upload.js'
import { asUploading, assertUploading } from '../records/upload-states.js'
import { withUpload } from '../with-upload.js'
import { amendHeld } from './amend.js'
import { type Completed, finish } from './complete.js'
import { present } from './read.js'
import { writeStored } from './write.js'

/** What an upload is made of. */
export interface Concatenation {
  readonly parts: readonly CompleteUpload[]
  /** What the upload has already is taken for the beginning of the parts: a concatenation that was interrupted goes on. */
  readonly resume?: boolean
  /** Bytes of the user's that go once the upload is complete, and need no room beside it. */
  readonly replaces?: number | undefined
}

/** Fills an upload with the bytes of complete ones, within the storage where that can do it, else part by part, and completes it. */
export async function concat (
  context: EngineContext, caller: Caller, id: string, { parts, resume = false, replaces }: Concatenation
): Promise<Completed> {
  for (const part of parts) await present(context, part)
  return await withUpload(context, { caller, id, claim: 'yield' }, async ({ upload, lease }) => {
    assertUploading(upload)
    const held = { caller, upload, lease }
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    checkSize(context.storage, caller, size)
    if (upload.size !== null && upload.size !== size) throw new SizeConflict(upload.size, size)
    if (upload.received.length > 0 && !resume) throw new OffsetMismatch(offsetOf(upload), 0)
    if (upload.size === size && covers(upload.received, [0, size])) return await finish(context, held, {})
    const told = upload.size === null ? await amendHeld(context, held, { size }) : upload
    const ready = told.size === null
      ? await context.quota.reserve(caller, told, () => ({ least: size, wished: size }), replaces)
      : told
    const filled = await (context.storage.concat === undefined ? append : fill)(context, { ...held, upload: ready }, parts, size)
    return await finish(context, { ...held, upload: filled }, {})
  })
}

/** Has the storage put the parts together. */
async function fill (
  { storage, records, stopping }: EngineContext, { upload, lease }: Held, parts: readonly CompleteUpload[], size: number
): Promise<UploadingUpload> {
  let position = 0
  const changes: Array<(state: JsonValue) => JsonValue> = []
  const wanted = new AbortController()
  lease.listen(claim => { if (claim !== 'yield') wanted.abort() })
  const signal = AbortSignal.any([wanted.signal, stopping])
  const progress: WriteProgress = {
    confirm: (end, change) => {
      position = end
      if (change !== undefined) changes.push(change)
    }
  }
  await callAdapter(async () => await storage.concat?.(upload, parts, progress, signal)).catch((error: unknown) => {
    // Storages may throw what the signal gives them.
    if (!signal.aborted) throw error
  })
  if (position !== size && signal.aborted) throw wanted.signal.aborted ? new TakenOver() : new ShuttingDown()
  if (position !== size) throw new StorageTrouble({ cause: new Error(`storage confirmed ${position}, not ${size}`) })
  if (lease.lost) throw new TakenOver()
  return asUploading(await records.update(upload.id, current => ({
    ...asUploading(current),
    ...storage.epoch !== undefined && { epoch: storage.epoch },
    size,
    received: addRange([], [0, size]),
    storageState: changes.reduce((known, change) => change(known), current.storageState)
  }), upload))
}

/** Writes the parts one after the other. */
async function append (
  context: EngineContext, held: Held, parts: readonly CompleteUpload[], size: number
): Promise<UploadingUpload> {
  // The size of the whole was reserved before.
  const caller = { ...held.caller, maxStored: null }
  let filled = held.upload
  let end = 0
  for (const part of parts) {
    end += part.size
    const length = Math.min(end - offsetOf(filled), part.size)
    if (length <= 0 && part.size > 0) continue
    const body = context.storage.read(part, [part.size - length, part.size])
    filled = await writeStored(context, { ...held, caller, upload: filled }, { start: 'end', informed: true, body, length, size })
  }
  return filled
}
