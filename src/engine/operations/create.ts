import { isDeepStrictEqual } from 'node:util'
import { UploadGone } from '../../errors.js'
import { type JsonObject, type Upload, type UploadingUpload, isExpired } from '../../upload.js'
import { type Caller, isVisibleTo, type UploadDraft } from '../caller.js'
import type { EngineContext } from '../context.js'
import { checkDraft, newUpload, withCleanName } from '../records/new-upload.js'
import { callAdapter } from '../call-adapter.js'
import { derivedUploadId } from '../records/upload-id.js'

/** What makes an upload the same one as another: see {@link createOnce}. */
export interface Sameness {
  /** Equal for equal requests. It reveals the upload's id. */
  readonly key: string
  /** Ids of the uploads that it is made of. */
  readonly sources: readonly string[]
}

/** Times that an upload may be removed and made again while the records of the removed ones are kept. */
const MOST_REMOVED = 100
/** The fastest one whose state can be saved: it misses bytes that were lost, and has no enemy. */
const GUARD = 'xxh64'

/**
 * Makes a new, empty upload.
 * @param stateOf what the protocol has to remember, where that takes long to make: asked once nothing refuses the upload any more
 */
export async function create (
  context: EngineContext, caller: Caller, wanted: UploadDraft, stateOf?: (draft: UploadDraft) => Promise<JsonObject>
): Promise<Upload> {
  return await context.locks.trackInFlight(async () => {
    const created = await store(context, caller, wanted, { stateOf })
    context.events.created(created)
    return created
  })
}

/** As {@link create}, but a request that comes again, at the same time too, finds the upload that it has made before. */
export async function createOnce (context: EngineContext, caller: Caller, wanted: UploadDraft, same: Sameness): Promise<Upload> {
  const [first = ''] = same.sources
  return await context.locks.trackInFlight(async () => {
    const { upload, isNew } = await context.locks.serialize(`once.${derivedUploadId(same.key, [first])}`, async () => {
      const { id, upload } = await findOnce(context, caller, same)
      if (upload !== undefined) return { upload, isNew: false }
      return { upload: await store(context, caller, wanted, { id }), isNew: true }
    })
    if (isNew) context.events.created(upload)
    return upload
  })
}

/** The upload that {@link createOnce} has made of the same, if it is still there, else the id that the next one gets. */
export async function findOnce (
  { records, options: { scope } }: EngineContext, caller: Caller, { key, sources }: Sameness
): Promise<{ readonly id: string, readonly upload?: Upload }> {
  for (let removed = 0; removed < MOST_REMOVED; removed++) {
    const id = derivedUploadId(JSON.stringify([scope ?? null, caller.protocol, caller.user, key, removed]), sources)
    const upload = await records.find(id)
    if (upload === undefined) return { id }
    if (upload.status !== 'removed' && !isExpired(upload, Date.now()) && isVisibleTo(caller, upload)) return { id, upload }
  }
  throw new UploadGone()
}

interface Made {
  readonly stateOf?: ((draft: UploadDraft) => Promise<JsonObject>) | undefined
  /** Left out for one that cannot be guessed. */
  readonly id?: string
}

/** The host agrees and the limits hold. Then the record first: a crash leaves no bytes without a record. */
async function store (context: EngineContext, caller: Caller, told: UploadDraft, { stateOf, id }: Made): Promise<Upload> {
  const { storage, records, quota, options: { slidingExpiry: slides, scope } } = context
  const wanted = withCleanName(told)
  checkDraft(storage, caller, wanted)
  const draft = await caller.hooks.onCreate?.(wanted) ?? wanted
  checkDraft(storage, caller, draft)
  return await quota.admit(caller, draft, async () => {
    const protocolState = await stateOf?.(draft) ?? draft.protocolState
    const upload = newUpload(caller, { ...draft, protocolState }, { slides, scope, id })
    const plan = await callAdapter(async () => storage.plan?.(upload) ?? null)
    const planned = await records.create(guarded(context, { ...upload, storageState: plan }), draft.serial)
    let made: Upload = planned
    try {
      made = { ...planned, storageState: await callAdapter(() => storage.create(planned)) }
      return await settle(context, made, planned)
    } catch (error) {
      await undo(context, made).catch(() => {})
      throw error
    }
  })
}

/** Where a power cut may take bytes that were confirmed, they can be compared with a checksum afterwards, whether or not one is kept. */
function guarded ({ storage: { epoch, verifiable } }: EngineContext, upload: UploadingUpload): UploadingUpload {
  const isGuarded = upload.checksum === null && epoch !== undefined && epoch !== 'disk' && verifiable?.(upload) !== false
  return {
    ...upload,
    ...epoch !== undefined && { epoch },
    ...isGuarded && { guard: { algorithm: GUARD, value: null } }
  }
}

/** The record once the bytes have their place; a list may have found and removed it before. @throws {UploadGone} */
async function settle ({ records }: EngineContext, made: Upload, planned: Upload): Promise<Upload> {
  const { storageState } = made
  const there = isDeepStrictEqual(storageState, planned.storageState)
    ? await records.find(made.id)
    : await records.update(made.id, current => current.status === 'removed' ? current : { ...current, storageState }, planned)
  if (there === undefined || there.status === 'removed') throw new UploadGone()
  return there
}

/** Leaves nothing of an upload whose id no client has. What it cannot remove expires. */
async function undo ({ storage, records }: EngineContext, made: Upload): Promise<void> {
  const current = await records.find(made.id)
  const unused = current?.version === made.version
  // Another request found it in a list and uses it.
  if (current !== undefined && current.status !== 'removed' && !unused) return
  await storage.remove(made)
  if (unused) await records.delete(made.id)
}
