import type { Readable } from 'node:stream'
import { ClientGone, ShuttingDown, UploadExpired, UploadGone, UploadNotFound } from '../../errors.js'
import type { ListQuery, UploadUsage } from '../../metadata/contract.js'
import type { ReadOptions } from '../../storage/contract.js'
import { type ByteRange, type CompleteUpload, type Upload, type UploadingUpload, lacksLost } from '../../upload.js'
import { callAdapter, shortOf } from '../call-adapter.js'
import type { Caller } from '../caller.js'
import type { EngineContext } from '../context.js'
import { assertUploading } from '../records/upload-states.js'

/** What a list may be narrowed by. */
export type OwnQuery = Pick<ListQuery, 'status' | 'user' | 'phases' | 'now' | 'order'>

/** The engine itself: sees every upload, and asks no hook. */
const ENGINE: Caller = { protocol: null, user: null, restricted: false, maxBytes: null, maxStored: null, hooks: {} }

/** The record as its bytes bear it out: what a power cut may have taken, or can be seen to be missing, is compared before. */
export async function current (context: EngineContext, upload: Upload): Promise<Upload> {
  const { losses } = context
  // A complete file is looked at when it is read.
  const right = upload.status === 'complete' ? !losses.isDue(upload) : await callAdapter(() => losses.seemsRight(upload))
  return right ? upload : await bornOut(context, upload)
}

/** The record once no request writes any more. */
export async function stopWriters (context: EngineContext, caller: Caller, id: string): Promise<Upload> {
  const { records, locks, losses } = context
  const upload = await records.get(caller, id)
  if (upload.status !== 'uploading') return await current(context, upload)
  return await locks.withUpload(caller, id, { claim: 'stop' }, async (settled, lease) => await losses.bornOut(settled, lease))
}

/** The bytes of `range`, once the first ones are at hand. */
export async function open (context: EngineContext, upload: Upload, range: ByteRange, options?: ReadOptions): Promise<Readable> {
  try {
    return await callAdapter(() => begun(context.storage.read(upload, range, options)))
  } catch (error) {
    if (options?.signal?.aborted === true) throw new ClientGone({ cause: error })
    if (shortOf(error) !== undefined) await present(context, upload)
    throw error
  }
}

/** The record as its bytes bear it out, where all of them are there. */
export async function present (context: EngineContext, upload: Upload): Promise<UploadingUpload | CompleteUpload> {
  const { losses } = context
  const right = upload.status !== 'removed' && await callAdapter(() => losses.seemsRight(upload))
  const now = right ? upload : await bornOut(context, upload)
  if (now.status === 'removed') assertUploading(now)
  else if (lacksLost(now)) throw new UploadGone()
  else if (now === upload) return now
  // A host may have taken a finished file for its own, and its record stays.
  else if (await losses.isLongEnough(now)) return now
  throw new UploadGone()
}

export async function isPresent (context: EngineContext, upload: Upload): Promise<boolean> {
  try {
    await present(context, upload)
    return true
  } catch (error) {
    if (error instanceof UploadGone || error instanceof UploadExpired || error instanceof UploadNotFound) return false
    throw error
  }
}

/** Compares the upload with its bytes, under its lock. */
export async function bornOut ({ locks, losses }: EngineContext, upload: Upload): Promise<Upload> {
  const caller: Caller = upload.internal === true ? { ...ENGINE, internal: true } : ENGINE
  return await locks.withUpload(caller, upload.id, { claim: 'yield' }, async (now, lease) => await losses.bornOut(now, lease))
}

/** The checksum of a whole file by an algorithm that is not its own. */
export async function checksumOf (
  { checksums, stopping }: EngineContext, { gone }: Caller, upload: CompleteUpload, algorithm: string
): Promise<string> {
  const signal = AbortSignal.any([stopping, ...gone === undefined ? [] : [gone()]])
  const value = await checksums.ofFile(upload, algorithm, signal)
  if (value === undefined) throw stopping.aborted ? new ShuttingDown() : new ClientGone()
  return value
}

/** Uploads that the caller may list. */
export async function * list ({ records }: EngineContext, caller: Caller, query: OwnQuery): AsyncGenerator<Upload, void, undefined> {
  if (!isNobody(caller)) yield * records.every({ ...query, ...ownFilter(caller) })
}

export async function listPage (
  { records }: EngineContext, caller: Caller, query: OwnQuery & Required<Pick<ListQuery, 'offset' | 'limit'>>
): Promise<readonly Upload[]> {
  return isNobody(caller) ? [] : (await records.page({ ...query, ...ownFilter(caller) })).uploads
}

export async function usage ({ records }: EngineContext, caller: Caller, now: number): Promise<UploadUsage> {
  return isNobody(caller) ? NO_UPLOADS : await records.usage({ ...ownFilter(caller), now })
}

const NO_UPLOADS: UploadUsage = {
  counts: { open: 0, overdue: 0, complete: 0, expired: 0, removed: 0, invalid: 0, lost: 0 },
  bytes: 0,
  reserved: 0
}

/** Anonymous users are not one user: none may list what another one has. */
function isNobody ({ restricted, user }: Caller): boolean {
  return restricted && user === null
}

function ownFilter ({ protocol, internal, restricted, user }: Caller): Pick<ListQuery, 'protocol' | 'internal' | 'user'> {
  return { internal: internal === true, ...protocol !== null && { protocol }, ...restricted && { user } }
}

async function begun (bytes: Readable): Promise<Readable> {
  if (bytes.readableLength > 0) return bytes
  await new Promise<void>((resolve, reject) => { bytes.once('readable', resolve).once('close', resolve).once('error', reject) })
  return bytes
}
