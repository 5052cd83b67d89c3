import { isDeepStrictEqual } from 'node:util'
import { UploadGone } from '../../errors.js'
import type { Storage } from '../../storage/contract.js'
import { type JsonObject, type Upload, type UploadingUpload, isExpired } from '../../upload.js'
import type { Caller, UploadDraft } from '../caller.js'
import { checkDraft, draftOf, newUpload, withCleanName } from '../records/new-upload.js'
import type { Quota } from '../limits/quota.js'
import { callAdapter, asUploading, isVisibleTo, type UploadRecords } from '../records/upload-records.js'
import type { UploadLocks } from '../locking/upload-locks.js'
import { derivedUploadId } from '../records/upload-id.js'

export interface CreationRules {
  /** Expiry counts from the last body, not from creation. */
  readonly slidingExpiry: boolean
  /** The registration; undefined where all share their uploads. */
  readonly scope?: string | undefined
}

export interface CreationSurroundings {
  readonly storage: Storage
  readonly records: UploadRecords
  readonly locks: UploadLocks
  readonly quota: Quota
}

/** What makes an upload the same one as another: see {@link Creation.createOnce}. */
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

/** What a client may tell of an upload that is there. */
export type Told = Partial<Pick<UploadDraft, 'filename' | 'protocolState' | 'size'>>

/** Makes new, empty uploads. */
export class Creation {
  readonly #storage: Storage
  readonly #records: UploadRecords
  readonly #locks: UploadLocks
  readonly #quota: Quota
  readonly #rules: CreationRules

  constructor ({ storage, records, locks, quota }: CreationSurroundings, rules: CreationRules) {
    this.#storage = storage
    this.#records = records
    this.#locks = locks
    this.#quota = quota
    this.#rules = rules
  }

  /**
   * @param stateOf what the protocol has to remember, where that takes long to make: asked once nothing refuses the upload any more
   * @param id left out for one that cannot be guessed
   * @throws {SizeLimitExceeded} {@link ChunkSizeRefused} {@link ChecksumUnsupported} {@link TooManyUploads} {@link QuotaExceeded}
   * and what `onCreate` throws
   */
  async create (
    caller: Caller, told: UploadDraft, stateOf?: (draft: UploadDraft) => Promise<JsonObject>, id?: string
  ): Promise<Upload> {
    const wanted = withCleanName(told)
    checkDraft(this.#storage, caller, wanted)
    const draft = await caller.hooks.onCreate?.(wanted) ?? wanted
    checkDraft(this.#storage, caller, draft)
    return await this.#quota.admit(caller, draft, async () => {
      const protocolState = await stateOf?.(draft) ?? draft.protocolState
      const { slidingExpiry: slides, scope } = this.#rules
      return await this.#store(newUpload(caller, { ...draft, protocolState }, { slides, scope, id }), draft.serial)
    })
  }

  /** The upload that {@link createOnce} has made of the same, if it is still there, else the id that the next one gets. */
  async findOnce (caller: Caller, { key, sources }: Sameness): Promise<{ readonly id: string, readonly upload?: Upload }> {
    for (let removed = 0; removed < MOST_REMOVED; removed++) {
      const id = derivedUploadId(JSON.stringify([this.#rules.scope ?? null, caller.protocol, caller.user, key, removed]), sources)
      const upload = await this.#records.find(id)
      if (upload === undefined) return { id }
      if (upload.status !== 'removed' && !isExpired(upload, Date.now()) && isVisibleTo(caller, upload)) return { id, upload }
    }
    throw new UploadGone()
  }

  /** As {@link create}, but a request that comes again, at the same time too, finds the upload that it has made before. */
  async createOnce (caller: Caller, wanted: UploadDraft, same: Sameness): Promise<{ readonly upload: Upload, readonly isNew: boolean }> {
    const [first = ''] = same.sources
    return await this.#locks.serialize(`once.${derivedUploadId(same.key, [first])}`, async () => {
      const { id, upload } = await this.findOnce(caller, same)
      if (upload !== undefined) return { upload, isNew: false }
      return { upload: await this.create(caller, wanted, undefined, id), isNew: true }
    })
  }

  /**
   * Puts to the host what a client tells of an upload only now, and stores what the host makes of it. The size is only asked about: it is
   * saved with the bytes.
   * @throws {SizeLimitExceeded} {@link UploadComplete} {@link UploadGone} and what `onCreate` throws
   */
  async amend (caller: Caller, upload: UploadingUpload, told: Told): Promise<UploadingUpload> {
    const wanted = withCleanName({ ...draftOf(upload), ...told })
    checkDraft(this.#storage, caller, wanted)
    const draft = await caller.hooks.onCreate?.(wanted, upload) ?? wanted
    checkDraft(this.#storage, caller, draft)
    const { filename, contentType, metadata, protocolState } = draft
    const changes = {
      ...filename !== upload.filename && { filename },
      ...contentType !== upload.contentType && { contentType },
      ...!isDeepStrictEqual(metadata, upload.metadata) && { metadata },
      ...!isDeepStrictEqual(protocolState, upload.protocolState) && { protocolState }
    }
    if (Object.keys(changes).length === 0) return upload
    return asUploading(await this.#records.update(upload.id, current => ({ ...asUploading(current), ...changes }), upload))
  }

  /** The record first: a crash leaves no bytes without a record. */
  async #store (upload: UploadingUpload, serial: boolean): Promise<Upload> {
    const plan = await callAdapter(async () => this.#storage.plan?.(upload) ?? null)
    const planned = await this.#records.create(this.#guarded({ ...upload, storageState: plan }), serial)
    let made: Upload = planned
    try {
      made = { ...planned, storageState: await callAdapter(() => this.#storage.create(planned)) }
      return await this.#settle(made, planned)
    } catch (error) {
      await this.#undo(made).catch(() => {})
      throw error
    }
  }

  /** Where a power cut may take bytes that were confirmed, they can be compared with a checksum afterwards, whether or not one is kept. */
  #guarded (upload: UploadingUpload): UploadingUpload {
    const { epoch, verifiable } = this.#storage
    const guarded = upload.checksum === null && epoch !== undefined && epoch !== 'disk' && verifiable?.(upload) !== false
    return {
      ...upload,
      ...epoch !== undefined && { epoch },
      ...guarded && { guard: { algorithm: GUARD, value: null } }
    }
  }

  /** The record once the bytes have their place; a list may have found and removed it before. @throws {UploadGone} */
  async #settle (made: Upload, planned: Upload): Promise<Upload> {
    const { storageState } = made
    const there = isDeepStrictEqual(storageState, planned.storageState)
      ? await this.#records.find(made.id)
      : await this.#records.update(made.id, current => current.status === 'removed' ? current : { ...current, storageState }, planned)
    if (there === undefined || there.status === 'removed') throw new UploadGone()
    return there
  }

  /** Leaves nothing of an upload whose id no client has. What it cannot remove expires. */
  async #undo (made: Upload): Promise<void> {
    const current = await this.#records.find(made.id)
    const unused = current?.version === made.version
    // Another request found it in a list and uses it.
    if (current !== undefined && current.status !== 'removed' && !unused) return
    await this.#storage.remove(made)
    if (unused) await this.#records.delete(made.id)
  }
}
