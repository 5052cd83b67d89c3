import { setTimeout as sleep } from 'node:timers/promises'
import { UploadBusy, UploadNotFound } from '../../errors.js'
import type { ChecksumQuery, ListQuery, Metadata, UploadPage, UploadUsage, UsageQuery } from '../../metadata/contract.js'
import type { CompleteUpload, Upload } from '../../upload.js'
import { callAdapter } from '../call-adapter.js'
import { type Caller, isVisibleTo } from '../caller.js'

/** Compare-and-set attempts before a record counts as contested without end. */
const UPDATE_ATTEMPTS = 100

/** Records of the first page of a list, and of a later one at most. */
const FIRST_PAGE = 100
const LARGEST_PAGE = 1600

/** What a list is about. */
export type RecordQuery = Omit<ListQuery, 'scope' | 'cursor' | 'offset' | 'limit' | 'onUnreadable'>

/** Which finished file is looked for; `value` in hex. */
export type FinishedQuery = Omit<ChecksumQuery, 'scope'>

/** Ids come from URLs: anything else is unknown without asking the store. */
const ID = /^[A-Za-z0-9_-]{1,64}$/

export function isUploadId (id: string): boolean {
  return ID.test(id)
}

/** Reads and changes records, for callers that may see them. */
export class UploadRecords {
  readonly #metadata: Metadata
  readonly #scope: string | undefined
  readonly #onUnreadable: (error: unknown, id: string) => void

  /**
   * @param scope the registration whose records these are; left out for all of the store
   * @param onUnreadable told of each record that a list leaves out because it cannot be read
   */
  constructor (metadata: Metadata, scope?: string, onUnreadable: (error: unknown, id: string) => void = () => {}) {
    this.#metadata = metadata
    this.#scope = scope
    this.#onUnreadable = onUnreadable
  }

  /**
   * The record, if the caller may know of it.
   * @throws {UploadNotFound} unknown, malformed, of another registration, mount or user: one answer for all
   */
  async get (caller: Caller, id: string): Promise<Upload> {
    const upload = isUploadId(id) ? await callAdapter(() => this.#metadata.get(id)) : undefined
    if (upload === undefined || !this.#isOurs(upload) || !isVisibleTo(caller, upload)) throw new UploadNotFound()
    return upload
  }

  /** The record, for work of the engine's own. */
  async find (id: string): Promise<Upload | undefined> {
    return await callAdapter(() => this.#metadata.get(id))
  }

  /** As {@link get}, by the small integer. */
  async getBySerial (caller: Caller, serial: number): Promise<Upload> {
    const upload = Number.isSafeInteger(serial) && serial > 0 ? await callAdapter(() => this.#metadata.getBySerial(serial)) : undefined
    if (upload === undefined || !this.#isOurs(upload) || !isVisibleTo(caller, upload)) throw new UploadNotFound()
    return upload
  }

  /** A complete upload of this registration with this checksum. */
  async findFinished (query: FinishedQuery): Promise<CompleteUpload | undefined> {
    const wanted = { ...query, value: query.value.toLowerCase(), ...this.#own }
    const found = await callAdapter(() => this.#metadata.findByChecksum(wanted))
    return found?.status === 'complete' ? found : undefined
  }

  /** One page of this registration's records of a query. */
  async page (query: Omit<ListQuery, 'scope' | 'onUnreadable'>): Promise<UploadPage> {
    return await callAdapter(() => this.#metadata.list({ ...query, ...this.#own, onUnreadable: this.#onUnreadable }))
  }

  /** How many of this registration's uploads match, and what they take up. */
  async usage (query: Omit<UsageQuery, 'scope'>): Promise<UploadUsage> {
    return await callAdapter(() => this.#metadata.usage({ ...query, ...this.#own }))
  }

  /**
   * All records of a query that are this registration's, of every user, a page at a time. Pages grow, as each may cost the store a look at
   * all that there is.
   */
  async * every (query: RecordQuery): AsyncGenerator<Upload, void, undefined> {
    let cursor: string | undefined
    let limit = FIRST_PAGE
    do {
      const page: UploadPage = await this.page({ ...query, limit, ...cursor !== undefined && { cursor } })
      yield * page.uploads
      cursor = page.cursor
      limit = Math.min(2 * limit, LARGEST_PAGE)
    } while (cursor !== undefined)
  }

  async create (upload: Upload, serial: boolean): Promise<Upload> {
    return await callAdapter(() => this.#metadata.create(upload, { serial }))
  }

  /**
   * Applies `change` to the newest record until no other writer comes in between. `change` may run several times and throws to give up.
   * @param known the record as last seen, to save a read
   * @throws {UploadNotFound} the record is gone
   */
  async update (id: string, change: (upload: Upload) => Upload, known?: Upload): Promise<Upload> {
    let current = known
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      current ??= await callAdapter(() => this.#metadata.get(id))
      if (current === undefined) throw new UploadNotFound()
      const next = { ...change(current), version: current.version + 1, updatedAt: Date.now() }
      if (await callAdapter(() => this.#metadata.update(next))) return next
      current = undefined
      if (attempt > 3) await sleep(Math.random() * attempt)
    }
    throw new UploadBusy()
  }

  /** Removes the record, whatever its version. */
  async delete (id: string): Promise<void> {
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      const current = await callAdapter(() => this.#metadata.get(id))
      if (current === undefined || await callAdapter(() => this.#metadata.delete(id, current.version))) return
    }
    throw new UploadBusy()
  }

  get #own (): Pick<ListQuery, 'scope'> {
    return this.#scope === undefined ? {} : { scope: this.#scope }
  }

  #isOurs (upload: Upload): boolean {
    return this.#scope === undefined || upload.scope === undefined || upload.scope === this.#scope
  }
}
