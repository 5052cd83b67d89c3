import type { Readable } from 'node:stream'
import { OffsetMismatch, TakenOver, UploadComplete } from '../../errors.js'
import type { Storage } from '../../storage/contract.js'
import { type ByteRange, type Upload, type UploadingUpload, offsetOf } from '../../upload.js'
import { covers, removeRange } from '../records/byte-ranges.js'
import type { Caller } from '../caller.js'
import type { Lease } from '../locking/lease.js'
import { asUploading, type UploadRecords } from '../records/upload-records.js'

export interface ReplacementSurroundings {
  readonly storage: Storage
  readonly records: UploadRecords
  /** Writes stored bytes over others, from byte `start`. */
  readonly overwrite: (
    caller: Caller, upload: UploadingUpload, body: Readable, window: { readonly start: number, readonly length: number }, lease: Lease
  ) => Promise<UploadingUpload>
  /** The record of what is kept aside, as its bytes bear it out. */
  readonly find: (id: string) => Promise<Upload | undefined>
  readonly discard: (upload: Upload) => Promise<void>
}

/**
 * Puts bytes in the place of others, so that what was acknowledged is never missing nor mixed: the new bytes are kept in an upload of their
 * own, aside, which the record names before the first of the old ones is written over. What a crash or a failure of the storage leaves
 * half done is done again from there.
 */
export class Replacements {
  readonly #around: ReplacementSurroundings

  constructor (around: ReplacementSurroundings) {
    this.#around = around
  }

  /**
   * Names what is to be replaced. From here on `aside` belongs to the upload. Under the upload's exclusive lock, like everything here.
   * @throws {OffsetMismatch} not all of the range is there, or the storage cannot write there
   */
  async begin (caller: Caller, upload: UploadingUpload, start: number, aside: Upload, lease: Lease): Promise<UploadingUpload> {
    const { storage, records } = this.#around
    // The host has taken the file as it is.
    if (upload.agreed !== undefined) throw new UploadComplete()
    const range: ByteRange = [start, start + offsetOf(aside)]
    if (!storage.capabilities.anyOffset || !covers(upload.received, range)) throw new OffsetMismatch(offsetOf(upload), start)
    const older = upload.replacing
    const covered = older !== undefined && covers([range], older.range)
    const ready = covered ? upload : await this.finish(caller, upload, lease)
    if (lease.lost) throw new TakenOver()
    const named = await records.update(upload.id, current => ({ ...asUploading(current), replacing: { range, from: aside.id } }), ready)
    if (covered) await this.#discard(older.from)
    return asUploading(named)
  }

  /** Does what is named, and not done yet: the upload is whole again after this. */
  async finish (caller: Caller, upload: UploadingUpload, lease: Lease): Promise<UploadingUpload> {
    const { storage, records, overwrite, find } = this.#around
    const { replacing } = upload
    if (replacing === undefined) return upload
    const { range, from } = replacing
    const [start, length] = [range[0], range[1] - range[0]]
    const aside = await find(from)
    const isThere = aside !== undefined && covers(aside.received, [0, length])
    // Swept, long after a crash: what stands there may be half old and half new, and has to come again.
    const written = isThere ? await overwrite(caller, upload, storage.read(aside, [0, length]), { start, length }, lease) : upload
    if (lease.lost) throw new TakenOver()
    const whole = await records.update(upload.id, current => {
      const { replacing: _, ...rest } = asUploading(current)
      return isThere ? rest : { ...rest, received: removeRange(rest.received, range), checksumState: null }
    }, written)
    await this.#discard(from)
    return asUploading(whole)
  }

  /** Removes what was kept aside for an upload that does not name it. */
  async giveUp (id: string, aside: Upload): Promise<void> {
    const named = await this.#around.records.find(id).then(upload => upload?.replacing?.from === aside.id, () => true)
    if (!named) await this.#discard(aside.id)
  }

  /** What stays for a while is swept later. */
  async #discard (id: string): Promise<void> {
    const aside = await this.#around.records.find(id).catch(() => undefined)
    if (aside !== undefined) await this.#around.discard(aside).catch(() => {})
  }
}
