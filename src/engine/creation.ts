import { createHash } from 'node:crypto'
import { TooManyUploads } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { type Upload, type UploadingUpload, isExpired } from '../upload.js'
import { type Caller, isInner, type UploadDraft } from './caller.js'
import { checkDraft, newUpload } from './draft.js'
import { asked, type Records } from './records.js'
import type { Turns } from './turns.js'

export interface CreationRules {
  /** Unfinished, unexpired uploads that one user may have; null for no limit. */
  readonly maxOpenUploads: number | null
  /** Expiry counts from the last body, not from creation. */
  readonly slidingExpiry: boolean
}

/** Makes new, empty uploads. */
export class Creation {
  readonly #storage: Storage
  readonly #records: Records
  readonly #turns: Turns
  readonly #rules: CreationRules

  constructor (storage: Storage, records: Records, turns: Turns, rules: CreationRules) {
    this.#storage = storage
    this.#records = records
    this.#turns = turns
    this.#rules = rules
  }

  /** @throws {SizeLimitExceeded} {@link ChunkSizeRefused} {@link ChecksumUnsupported} {@link TooManyUploads} and what `onCreate` throws */
  async create (caller: Caller, wanted: UploadDraft): Promise<Upload> {
    checkDraft(this.#storage, caller, wanted)
    const draft = await caller.hooks.onCreate?.(wanted) ?? wanted
    checkDraft(this.#storage, caller, draft)
    return await this.#countingOpen(caller, () => this.#store(newUpload(caller, draft, this.#rules.slidingExpiry), draft.serial))
  }

  /** Runs `create` if the user may have one more unfinished upload; his creations wait for each other, so that the count is right. */
  async #countingOpen<T> (caller: Caller, create: () => Promise<T>): Promise<T> {
    const max = this.#rules.maxOpenUploads
    if (max === null || isInner(caller)) return await create()
    const user = createHash('sha256').update(JSON.stringify(caller.user)).digest('hex')
    return await this.#turns.queue(`creates.${user}`, async () => {
      const now = Date.now()
      let open = 0
      if (max === 0) throw new TooManyUploads(max)
      for await (const upload of this.#records.every({ status: 'uploading', user: caller.user })) {
        if (!isExpired(upload, now) && !isInner(upload) && ++open >= max) throw new TooManyUploads(max)
      }
      return await create()
    })
  }

  /** The record first: a crash leaves no bytes of which nobody knows. */
  async #store (upload: UploadingUpload, serial: boolean): Promise<Upload> {
    const plan = await asked(async () => this.#storage.plan?.(upload) ?? null)
    const planned = await this.#records.create({ ...upload, storageState: plan }, serial)
    try {
      const storageState = await asked(() => this.#storage.create(planned))
      if (storageState === null) return planned
      return await this.#records.update(planned.id, current => ({ ...current, storageState }), planned)
    } catch (error) {
      await this.#undo(planned).catch(() => {})
      throw error
    }
  }

  /** What this cannot remove is swept when it expires. */
  async #undo (planned: Upload): Promise<void> {
    await this.#storage.remove(planned)
    await this.#records.delete(planned.id)
  }
}
