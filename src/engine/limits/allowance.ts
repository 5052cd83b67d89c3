import { type UploadingUpload, reservedBytes } from '../../upload.js'
import { addRange, countBytes } from '../records/byte-ranges.js'
import type { Caller } from '../caller.js'
import type { Lease } from '../locking/lease.js'
import type { WriteWindow } from '../body/write-window.js'
import type { Quota } from './quota.js'
import type { WriteRequest } from '../body/write-request.js'

/** Bytes that a body without an announced length takes from the quota at a time, where there is plenty of room. */
const STEP = 64 * 1024 * 1024

/** A body and its place in an upload. */
export interface ComingBody {
  readonly upload: UploadingUpload
  readonly request: WriteRequest
  readonly window: WriteWindow
}

/** What the quota lets one body bring to an upload without a declared size: before it is read, or step by step as it comes. */
export class Allowance {
  readonly #quota: Quota
  readonly #caller: Caller
  readonly #upload: UploadingUpload
  readonly #request: WriteRequest
  readonly #window: WriteWindow
  /** The byte before which it may end. */
  #granted: number
  #stepped = false

  /** @returns undefined where there is nothing to ask: no quota, or a size that counts since it was declared */
  static of (quota: Quota, caller: Caller, body: ComingBody): Allowance | undefined {
    return caller.maxStored === null || body.upload.size !== null ? undefined : new Allowance(quota, caller, body)
  }

  private constructor (quota: Quota, caller: Caller, { upload, request, window }: ComingBody) {
    this.#quota = quota
    this.#caller = caller
    this.#upload = upload
    this.#request = request
    this.#window = window
    this.#granted = window.start
  }

  /** Takes what the request announces. @throws {QuotaExceeded} {@link UploadBusy} */
  async begin (): Promise<UploadingUpload> {
    const { size, length, counted } = this.#request
    const { start, limit } = this.#window
    if (size !== undefined) {
      this.#granted = Infinity
      return await this.#quota.reserve(this.#caller, this.#upload, () => ({ least: size, wished: size }), counted)
    }
    const announced = length ?? (this.#sharesUpload && this.#upload.chunkSize !== null ? limit : 0)
    return announced === 0 ? this.#upload : await this.#take(start + announced, 0)
  }

  /** Takes what the first `bytes` bytes of the body need. @throws as {@link begin} */
  readonly grant = async (bytes: number): Promise<void> => {
    const end = this.#window.start + bytes
    if (end <= this.#granted) return
    this.#stepped = true
    await this.#take(end, STEP)
  }

  /** The body is stored. What cannot be given back now is given back by the next body, the completion, or when room is wanted. */
  async settle<T> (written: T): Promise<T | UploadingUpload> {
    const { received, reserved = 0 } = this.#upload
    const hasLeftovers = !this.#sharesUpload && reserved > countBytes(received)
    return this.#stepped || hasLeftovers ? await this.#quota.release(this.#upload).catch(() => written) : written
  }

  /** The body has failed. */
  async giveUp (lease: Lease): Promise<void> {
    const isOwn = this.#granted !== this.#window.start && this.#granted !== Infinity && !this.#sharesUpload
    if (isOwn && !lease.lost) await this.#quota.release(this.#upload).catch(() => {})
  }

  /** Other bodies of the upload may be under way: this one must not give back what they have taken. */
  get #sharesUpload (): boolean {
    const { parallel, overwrite } = this.#request
    return parallel === true && overwrite !== true
  }

  async #take (end: number, more: number): Promise<UploadingUpload> {
    const { start } = this.#window
    const { received } = this.#upload
    // A body that is alone also gives back what a crash has left of another one.
    const total = (current: UploadingUpload): number => this.#sharesUpload
      ? reservedBytes(current) + end - this.#granted
      : countBytes(addRange(received, [start, end]))
    let least = 0
    const upload = await this.#quota.reserve(this.#caller, this.#upload, current => {
      least = total(current)
      return { least, wished: least + more }
    }, this.#request.counted)
    this.#granted = end + (upload.reserved ?? least) - least
    return upload
  }
}
