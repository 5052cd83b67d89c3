import { createHash } from 'node:crypto'
import { QuotaExceeded, TooManyUploads, UploadNotFound } from '../../errors.js'
import type { ListQuery } from '../../metadata/contract.js'
import type { Storage } from '../../storage/contract.js'
import { type UploadingUpload, type UserId, reservedBytes } from '../../upload.js'
import { countBytes } from '../records/byte-ranges.js'
import type { Caller, UploadDraft } from '../caller.js'
import { callAdapter } from '../call-adapter.js'
import type { UploadRecords } from '../records/upload-records.js'
import { asUploading } from '../records/upload-states.js'
import type { UploadLocks } from '../locking/upload-locks.js'

/** A body of unknown length takes at most this part of the room that is left beyond what it needs. */
const SHARE = 1 / 8

export interface QuotaRules {
  /** Unfinished, unexpired uploads that one user may have; null for no limit. */
  readonly maxOpenUploads: number | null
  /** The registration; undefined where all share their uploads. */
  readonly scope?: string | undefined
  readonly storage: Pick<Storage, 'stored'>
}

/** What an upload of unknown size takes for itself, in bytes, all that it has included. */
export interface Claim {
  readonly least: number
  /** Given as far as there is plenty of room: it saves the questions for the next bytes. */
  readonly wished: number
}

/**
 * What one user may have: open uploads, and bytes in all of them. What is stored counts, and what is promised: a declared size from the
 * creation on, and of an upload of unknown size what its record has `reserved`. So the records tell all, whatever server wrote them. Who
 * takes more does so under a lock of the user's.
 */
export class Quota {
  readonly #records: UploadRecords
  readonly #locks: UploadLocks
  readonly #rules: QuotaRules

  constructor (records: UploadRecords, locks: UploadLocks, rules: QuotaRules) {
    this.#records = records
    this.#locks = locks
    this.#rules = rules
  }

  /**
   * Runs `create` if the user may have one more upload like this one.
   * @throws {TooManyUploads} {@link QuotaExceeded} {@link UploadBusy}
   */
  async admit<T> (caller: Caller, { size, replaces = 0 }: UploadDraft, create: () => Promise<T>): Promise<T> {
    const { user, maxStored } = caller
    const maxOpen = caller.internal === true ? null : this.#rules.maxOpenUploads
    if (maxOpen === null && maxStored === null) return await create()
    return await this.#inTurn(user, async () => {
      if (maxOpen !== null) await this.#checkOpen(user, maxOpen)
      if (maxStored !== null) {
        // Where no room is left, an upload of unknown size has none either.
        const wanted = size ?? 1
        const more = wanted - replaces
        if (wanted > 0 && more > await this.#room(user, maxStored, more)) throw new QuotaExceeded(maxStored, wanted)
      }
      return await create()
    })
  }

  /**
   * Takes bytes of its owner's quota for an upload of unknown size.
   * @param claimOf how many, of the record as it is now
   * @param counted bytes that count already, in uploads that go in return
   * @returns the record, whose `reserved` says how many it got
   * @throws {QuotaExceeded} {@link UploadBusy} {@link UploadGone}
   */
  async reserve (
    { maxStored }: Caller, upload: UploadingUpload, claimOf: (current: UploadingUpload) => Claim, counted = 0
  ): Promise<UploadingUpload> {
    if (maxStored === null) return upload
    const { id, user } = upload
    return await this.#inTurn(user, async () => {
      const found = await this.#records.find(id)
      if (found === undefined) throw new UploadNotFound()
      const current = asUploading(found)
      const { least, wished } = claimOf(current)
      const more = least - reservedBytes(current)
      const room = await this.#room(user, maxStored, more - counted)
      if (more > 0 && more > room + counted) throw new QuotaExceeded(maxStored, more)
      const reserved = least + Math.max(0, Math.min(wished - least, Math.floor((room - more) * SHARE)))
      return asUploading(await this.#records.update(id, now => ({ ...asUploading(now), reserved }), current))
    })
  }

  /**
   * Gives back what an upload of unknown size has reserved beyond the bytes that it has. What a dropped body has left in the storage counts
   * until the next one writes over it. Internal uploads have no next body: theirs do not count.
   */
  async release (upload: UploadingUpload): Promise<UploadingUpload> {
    const { storage } = this.#rules
    const stored = upload.internal === true ? 0 : await callAdapter(async () => await storage.stored?.(upload) ?? 0)
    return asUploading(await this.#records.update(upload.id, current => {
      const { reserved: _, ...rest } = asUploading(current)
      return stored > countBytes(rest.received) ? { ...rest, reserved: stored } : rest
    }))
  }

  async #checkOpen (user: UserId | null, max: number): Promise<void> {
    const open: ListQuery = { status: 'uploading', phases: ['open'], internal: false, user, limit: max }
    if (max === 0 || (await this.#records.page(open)).uploads.length >= max) throw new TooManyUploads(max)
  }

  /** Bytes that are left; negative where the limit was higher before. Where `wanted` is more, leftovers of crashes go first. */
  async #room (user: UserId | null, max: number, wanted: number): Promise<number> {
    const left = async (): Promise<number> => max - (await this.#records.usage({ user, now: Date.now() })).reserved
    const room = await left()
    return wanted > 0 && wanted > room && await this.#reclaim(user) ? await left() : room
  }

  /** Gives back what a crash has left reserved: who has reserved something holds the upload's lock. @returns whether there was any */
  async #reclaim (user: UserId | null): Promise<boolean> {
    let found = false
    for await (const upload of this.#records.every({ status: 'uploading', user })) {
      if (upload.status !== 'uploading' || upload.reserved === undefined) continue
      const released = await this.#locks.tryWithUpload(upload.id, async () => await this.release(upload)).catch(() => undefined)
      found ||= released !== undefined
    }
    return found
  }

  async #inTurn<T> (user: UserId | null, work: () => Promise<T>): Promise<T> {
    const name = createHash('sha256').update(JSON.stringify([this.#rules.scope ?? null, user])).digest('hex')
    return await this.#locks.serialize(`creates.${name}`, work)
  }
}
