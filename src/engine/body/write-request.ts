import type { Readable } from 'node:stream'
import type { Upload, UploadingUpload } from '../../upload.js'
import type { BodyDigest } from './body-digest.js'

/** How much a long body may bring, and how long it may go on, before its progress is saved. */
export interface SaveEvery {
  readonly bytes: number
  readonly ms: number
}

/** One body to store. */
export interface WriteRequest {
  /** First byte of the body in the file, or `end` to append to what is there. */
  readonly start: number | 'end'
  /** With `end`: the sender has seen where that is. Otherwise an upload of which bytes were lost takes no more of them. */
  readonly informed?: boolean
  readonly body: Readable
  /** Bytes that the body must have; left out when the request does not say. */
  readonly length?: number
  /** Bytes that the body may have, whatever it announces. */
  readonly maxLength?: number
  /** Bytes of the body that count in the owner's quota already, in an upload that goes once they are stored. */
  readonly counted?: number
  /** Size of the whole file in bytes, where this request tells it. */
  readonly size?: number
  /**
   * All or nothing: a body that is cut leaves the upload as it was. Otherwise what arrived of it is kept. A body that turns out to be
   * too long, too short or wrong adds nothing more in either case, but what was saved while it came stays.
   */
  readonly atomic?: boolean
  /**
   * The body may start after a gap. A range of which a byte is there already, or is just being written, is an {@link OffsetMismatch},
   * thrown before the body is read. Bodies whose end is known, by `length` or by the upload's `chunkSize`, are written side by side,
   * others one after the other. Without `anyOffset` in the storage it is an ordinary write.
   */
  readonly parallel?: boolean
  /**
   * Bytes that are there are replaced, where the storage can; takes the upload for itself. They count as received all the time: of a body
   * that is cut some are then new and some are old. `engine.replace` knows no such state.
   */
  readonly overwrite?: boolean
  /** The body comes from this server, and no client is to blame for its pace: only the `stallTimeout` holds. */
  readonly own?: boolean
  /** Of a body that goes beyond the upload's size `refuse` drops what is not yet saved, `keep` saves what fits, unless `atomic`. */
  readonly overflow?: 'refuse' | 'keep'
  /** Checksums of this body; a mismatch drops it whole, so they imply `atomic`. */
  readonly digests?: readonly BodyDigest[]
  /** How to ask an older request that holds the upload: `yield` lets it go on while its bytes flow, `stop` ends it. */
  readonly claim?: 'yield' | 'stop'
  /** How often this body saves its progress, instead of the engine's own setting. */
  readonly saveEvery?: SaveEvery
  /** Told each time bytes of this body were saved. What it throws is ignored. */
  readonly onProgress?: (upload: Upload) => void
  /** Called under the lock, before a byte is read; throws to refuse. */
  readonly check?: (upload: UploadingUpload) => void
  /** What else this body changes in the record, together with its bytes. Called after the last byte; not for a cut body. */
  readonly change?: (upload: Upload) => Partial<Pick<Upload, 'protocolState'>>
}
