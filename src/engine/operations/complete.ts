import {
  ChecksumMismatch, ChecksumUnsupported, ClientGone, ShuttingDown, StorageFull, StorageTrouble, TakenOver, UploadGone, UploadIncomplete
} from '../../errors.js'
import type { FileKey } from '../../storage/contract.js'
import {
  type ChecksumState, type CompleteUpload, type Upload, type UploadingUpload, lacksLost, offsetOf, runningChecksumOf, storedEnd
} from '../../upload.js'
import type { Agreed } from '../agreement.js'
import { callAdapter, shortOf } from '../call-adapter.js'
import type { Caller, CompletionReply } from '../caller.js'
import type { EngineContext, Held } from '../context.js'
import { synced } from '../durability/syncer.js'
import { addRange, countBytes, covers } from '../records/byte-ranges.js'
import { asUploading, assertUploading } from '../records/upload-states.js'
import { withUpload } from '../with-upload.js'
import { firstBytes } from './first-bytes.js'
import { finishReplacing } from './replace.js'

export interface CompleteRequest {
  /** What the client says the whole-file checksum is, hex. */
  readonly checksum?: string
  /** Takes the contiguous bytes that are there as the whole file, whatever size was declared. */
  readonly asReceived?: boolean
  /** True in the request that brought the bytes: their time was checked when they began to come. */
  readonly sameRequest?: boolean
  /** Partial uploads of a concatenation finish without asking or telling the host. */
  readonly silent?: boolean
  /** Opens an encrypted file whose bytes have to be read. */
  readonly key?: FileKey | undefined
  /** What completion changes in the record beside its status, once the host's `onComplete` has said how to answer. */
  readonly change?: (upload: Upload, reply: CompletionReply | undefined) => Partial<Pick<Upload, 'protocolState'>>
}

export interface Completed {
  readonly upload: CompleteUpload
  /** What the host's `onComplete` said. */
  readonly reply: CompletionReply | undefined
}

interface Placed {
  readonly upload: UploadingUpload
  readonly location: string
}

interface Read {
  readonly upload: UploadingUpload
  readonly state: ChecksumState | null
}

/** Bytes between two saves of a checksum that is read back. */
const STEP_BYTES = 256 * 1024 * 1024

/** All bytes there, checksum right, the host asked, the file put at its place, and only then the record changed. */
export async function complete (context: EngineContext, caller: Caller, id: string, request: CompleteRequest): Promise<Completed> {
  return await withUpload(context, { caller, id, claim: 'yield' }, async ({ upload, lease }) => {
    assertUploading(upload, request.sameRequest)
    return await finish(context, { caller, upload, lease }, request)
  })
}

/** Completes under the upload's exclusive lock. */
export async function finish (context: EngineContext, held: Held, request: CompleteRequest): Promise<Completed> {
  const { losses, syncer, events } = context
  const upload = await finishReplacing(context, held)
  const completed = await finishWhole(context, { ...held, upload }, request).catch(async (error: unknown) => {
    if (shortOf(error) === undefined) throw error
    const left = await losses.bornOut(upload, held.lease)
    if (left.status === 'removed') assertUploading(left)
    const there = countBytes(left.received)
    throw there < countBytes(upload.received) ? new UploadIncomplete(there, left.size ?? storedEnd(upload)) : error
  })
  syncer.add(completed.upload)
  if (request.silent !== true) events.completed(completed.upload)
  return completed
}

/** Called again after a crash at any step, it comes to the same end. */
async function finishWhole (context: EngineContext, held: Held, request: CompleteRequest): Promise<Completed> {
  const { storage, records, checksums, syncer, agreement } = context
  const { caller, upload: given, lease } = held
  const size = given.size === null || request.asReceived === true ? offsetOf(given) : given.size
  if (!covers(given.received, [0, size])) throw new UploadIncomplete(countBytes(given.received), size)
  if (lacksLost(given) && size < (given.shrunk ?? 0)) throw new UploadIncomplete(size, given.shrunk ?? 0)
  const running = runningChecksumOf(given)
  const { upload, state } = await readBack(context, held, size, request.key)
  const digest = running === null || state === null
    ? null
    : { ...running, value: await checksums.digest(upload, running.algorithm, state) }
  const checksum = upload.checksum === null ? null : digest
  for (const expected of [request.checksum, upload.checksum?.value]) {
    if (expected === undefined || expected === null) continue
    if (checksum === null) throw new ChecksumUnsupported('none')
    if (checksum.value !== expected.toLowerCase()) throw new ChecksumMismatch(checksum.algorithm)
  }

  const settled = await withType(context, caller, await settleSize(context, upload, size, state), request)
  if (lease.lost) throw new TakenOver()
  const describe = ({ target, agreed, reserved, shrunk, ...current }: Upload, location: string): CompleteUpload => ({
    ...current,
    status: 'complete',
    size,
    completedAt: Date.now(),
    location,
    checksum,
    ...upload.checksum === null && digest !== null && { guard: digest },
    checksumState: null,
    received: addRange([], [0, size])
  })
  const hook = request.silent === true ? undefined : caller.hooks.onComplete
  const onComplete: typeof hook = hook && (async seen => await openUnlessAgreed(context, upload, async () => await hook(seen)))
  const { reply, ...agreed }: Agreed = onComplete === undefined
    ? { upload: settled, reply: undefined }
    : await agreement.of(settled, size, { onComplete, describe, target: targetOf(context, settled), lease })
  const { upload: ready, location } = await putInPlace(context, agreed, size)
  // Nothing could tell afterwards whether a power cut took some of it.
  const { epoch, verifiable } = storage
  const blind = digest === null || verifiable?.(ready) === false
  if (epoch !== undefined && epoch !== 'disk' && blind) await syncer.now(describe(ready, location))
  const isSynced = epoch === 'disk' || (epoch !== undefined && blind)
  if (lease.lost) throw new TakenOver()
  const complete = await records.update(upload.id, current => {
    // Another one has the lock by now, and replaces bytes of it.
    if (current.replacing !== undefined) throw new TakenOver()
    const finished = { ...describe(asUploading(current), location), ...request.change?.(current, reply) }
    return isSynced ? synced(finished) : finished
  }, ready)
  if (complete.status !== 'complete') throw new UploadGone()
  agreement.forget(upload)
  return { upload: complete, reply }
}

/** With the type that its bytes tell, once the host has looked at them. */
async function withType (
  { storage, records }: EngineContext, { hooks: { typeOf } }: Caller, upload: UploadingUpload, { silent, key }: CompleteRequest
): Promise<UploadingUpload> {
  if (typeOf === undefined || silent === true || upload.partial === true || upload.agreed !== undefined) return upload
  const contentType = await typeOf(upload, async () => await firstBytes(storage, upload, { key }))
  if (contentType === upload.contentType) return upload
  return asUploading(await records.update(upload.id, current => ({ ...asUploading(current), contentType }), upload))
}

/** Where the host wants the file. Parts of files stay where they are. */
function targetOf ({ options: { location } }: EngineContext, upload: Upload): string | undefined {
  return upload.partial === true ? undefined : location?.(upload) ?? undefined
}

/**
 * Puts the file where the host wants it, which is written down before. Where an earlier try wanted it goes first, as it may be there
 * already: what a hook of the host says may depend on the time.
 */
async function putInPlace (
  context: EngineContext, { upload, location }: Omit<Agreed, 'reply'>, size: number
): Promise<Placed> {
  const { storage, records } = context
  if (location !== undefined && upload.target === undefined) return { upload, location }
  const put = async (ready: UploadingUpload): Promise<Placed> => {
    return { upload: ready, location: await callAdapter(() => storage.finish({ ...ready, size })) }
  }
  if (upload.target !== undefined) {
    const before = await put(upload).catch((error: unknown) => ({ error }))
    if (!('error' in before)) return before
    if (mayPass(before.error) || targetOf(context, upload) === upload.target) throw before.error
  }
  const target = targetOf(context, upload)
  if (target === undefined && upload.target === undefined) return await put(upload)
  return await put(asUploading(await records.update(upload.id, current => ({ ...asUploading(current), target }), upload)))
}

/**
 * The state at the last byte: mostly it is there, else the bytes that it lacks are read back. It is saved on the way and before it is
 * compared with anything: a client whose checksum is wrong, that leaves, or wants the upload for itself meanwhile has it read once only.
 */
async function readBack (
  { records, checksums, stopping }: EngineContext, { caller, upload: given, lease }: Held, size: number, key: FileKey | undefined
): Promise<Read> {
  const checksum = runningChecksumOf(given)
  const gone = caller.gone?.()
  if (checksum === null) return { upload: given, state: null }
  const wanted = new AbortController()
  lease.listen(claim => { if (claim !== 'yield') wanted.abort() })
  const signal = AbortSignal.any([stopping, wanted.signal, ...gone === undefined ? [] : [gone]])
  let upload = given
  for (;;) {
    const from = checksums.offsetOf(upload)
    const state = await checksums.stateAt(upload, checksum.algorithm, Math.min(size, from + STEP_BYTES), { key, signal })
    if (lease.lost) throw new TakenOver()
    if (state.offset > from) {
      upload = asUploading(await records.update(upload.id, current => ({ ...asUploading(current), checksumState: state }), upload))
    }
    if (state.offset === size) return { upload, state }
    if (stopping.aborted) throw new ShuttingDown()
    if (signal.aborted) throw wanted.signal.aborted ? new TakenOver() : new ClientGone()
  }
}

/** Asks the host. If the host refuses, a size that only this completion settled is open again, so that more bytes may follow. */
async function openUnlessAgreed<T> ({ records }: EngineContext, upload: UploadingUpload, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (upload.size === null) await records.update(upload.id, current => ({ ...asUploading(current), size: null })).catch(() => {})
    throw error
  }
}

/**
 * Writes down what cannot be found out any more once storage has cut the file to its size and moved it away: a size that only now
 * is settled, and the checksum of so many bytes.
 */
async function settleSize (
  { records }: EngineContext, upload: UploadingUpload, size: number, state: ChecksumState | null
): Promise<UploadingUpload> {
  if (upload.size === size && (state?.offset ?? 0) === (upload.checksumState?.offset ?? 0)) return upload
  const received = size === upload.size ? upload.received : addRange([], [0, size])
  return asUploading(await records.update(upload.id, current => {
    return { ...asUploading(current), size, received, checksumState: state }
  }, upload))
}

/** True for trouble of the storage after which the file may be at its place, or come there with another try. */
function mayPass (error: unknown): boolean {
  return error instanceof StorageTrouble || error instanceof StorageFull
}
