import { OffsetMismatch, TakenOver, UploadComplete } from '../../errors.js'
import { type ByteRange, type Upload, type UploadingUpload, offsetOf } from '../../upload.js'
import type { Caller } from '../caller.js'
import type { EngineContext, Held } from '../context.js'
import { covers, removeRange } from '../records/byte-ranges.js'
import { asUploading, assertUploading } from '../records/upload-states.js'
import { withUpload } from '../with-upload.js'
import { removeHeld } from './remove.js'

/** Stored bytes from `start` on that take the place of others: all that `aside` has. */
export interface Replacing {
  readonly start: number
  readonly aside: Upload
}

/**
 * Puts bytes in the place of others, so that what was acknowledged is never missing nor mixed: the new bytes are kept in an upload of their
 * own, aside, which the record names before the first of the old ones is written over. What a crash or a failure of the storage leaves
 * half done is done again from there.
 */
export async function replace (context: EngineContext, caller: Caller, id: string, replacing: Replacing): Promise<Upload> {
  try {
    return await withUpload(context, { caller, id, claim: 'yield' }, async ({ upload, lease }) => {
      assertUploading(upload)
      const held = { caller, upload, lease }
      return await finishReplacing(context, { ...held, upload: await begin(context, held, replacing) })
    })
  } catch (error) {
    await giveUp(context, id, replacing.aside)
    throw error
  }
}

/**
 * Names what is to be replaced. From here on `aside` belongs to the upload.
 * @throws {OffsetMismatch} not all of the range is there, or the storage cannot write there
 */
async function begin (context: EngineContext, held: Held, { start, aside }: Replacing): Promise<UploadingUpload> {
  const { storage, records } = context
  const { upload, lease } = held
  // The host has taken the file as it is.
  if (upload.agreed !== undefined) throw new UploadComplete()
  const range: ByteRange = [start, start + offsetOf(aside)]
  if (!storage.capabilities.anyOffset || !covers(upload.received, range)) throw new OffsetMismatch(offsetOf(upload), start)
  const older = upload.replacing
  const covered = older !== undefined && covers([range], older.range)
  const ready = covered ? upload : await finishReplacing(context, held)
  if (lease.lost) throw new TakenOver()
  const named = await records.update(upload.id, current => ({ ...asUploading(current), replacing: { range, from: aside.id } }), ready)
  if (covered) await discard(context, older.from)
  return asUploading(named)
}

/** Does what is named, and not done yet: the upload is whole again after this. Under its exclusive lock. */
export async function finishReplacing (context: EngineContext, { caller, upload, lease }: Held): Promise<UploadingUpload> {
  const { storage, records, losses } = context
  const { replacing } = upload
  if (replacing === undefined) return upload
  const { range, from } = replacing
  const [start, length] = [range[0], range[1] - range[0]]
  const found = await records.find(from)
  const aside = found === undefined ? undefined : await losses.bornOut(found)
  const isThere = aside !== undefined && covers(aside.received, [0, length])
  // The bytes have been taken before: no limit has a say any more.
  const free = { ...caller, maxBytes: null, maxStored: null }
  // Swept, long after a crash: what stands there may be half old and half new, and has to come again.
  const written = isThere
    ? await context.writeStored(context, { caller: free, upload, lease }, {
      start, length, body: storage.read(aside, [0, length]), overwrite: true, parallel: true
    })
    : upload
  if (lease.lost) throw new TakenOver()
  const whole = await records.update(upload.id, current => {
    const { replacing: _, ...rest } = asUploading(current)
    return isThere ? rest : { ...rest, received: removeRange(rest.received, range), checksumState: null }
  }, written)
  await discard(context, from)
  return asUploading(whole)
}

/** Removes what was kept aside for an upload that does not name it. */
async function giveUp (context: EngineContext, id: string, aside: Upload): Promise<void> {
  const named = await context.records.find(id).then(upload => upload?.replacing?.from === aside.id, () => true)
  if (!named) await discard(context, aside.id)
}

/** What stays for a while is swept later. */
async function discard (context: EngineContext, id: string): Promise<void> {
  const aside = await context.records.find(id).catch(() => undefined)
  if (aside !== undefined) await removeHeld(context, aside, { reason: 'removed' }).catch(() => {})
}
