/** The user of a request, as the host's `user` option returns it. */
export type UserId = string | number

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }
export type JsonObject = { readonly [key: string]: JsonValue }

/** Bytes from `start` up to, not including, `end`, both counted from 0. */
export type ByteRange = readonly [start: number, end: number]

/** A checksum of the whole file: `value` is lower-case hex, null until it is known. */
export interface UploadChecksum {
  readonly algorithm: string
  readonly value: string | null
}

/** The saved state of the running checksum: it covers the bytes from 0 to `offset`. */
export interface ChecksumState {
  readonly offset: number
  /** What the hash needs to go on from `offset`, base64. */
  readonly state: string
}

/** What every upload has, whatever its state. Times are milliseconds since 1970, sizes are bytes. */
export interface UploadFields {
  /** Unguessable and URL-safe: letters, digits, `-` and `_`. Ids sort by time of creation. */
  readonly id: string
  /** The format of this record, see {@link RECORD_FORMAT}; left out of those of 0.1. */
  readonly format?: number
  /** The mount that owns it: a protocol sees only its own uploads. */
  readonly protocol: string
  /**
   * The registration that owns it, or the name that several of them share: others do not see it. Left out of records of 0.1, which every
   * registration on the same store sees.
   */
  readonly scope?: string
  /** Only serves another upload, such as a chunk that waits for its place: clients and host never see it. Left out of all others. */
  readonly internal?: true
  /** A small, increasing integer; null unless the protocol asked for one. */
  readonly serial: number | null
  /** The owner; null for an anonymous upload. */
  readonly user: UserId | null
  /** What the client called the file. Never used as a path. */
  readonly filename: string
  readonly contentType: string | null
  /** The client's own data and what the host's `onCreate` added. */
  readonly metadata: JsonObject
  /** What the protocol has to remember; nothing else reads it. */
  readonly protocolState: JsonObject
  /** Declared size in bytes; null while unknown. */
  readonly size: number | null
  /** What storage has confirmed: sorted, disjoint, never touching. */
  readonly received: readonly ByteRange[]
  /** Grid of a chunked upload in bytes, the last chunk being the rest; null without a grid. */
  readonly chunkSize: number | null
  readonly createdAt: number
  readonly updatedAt: number
  /** When an upload that is not finished, or only a part of a file, may be swept; null for never. */
  readonly expiresAt: number | null
  /** ms that it lives on after each body, where expiry counts from the last activity; left out where it counts from creation. */
  readonly lifetime?: number
  /** A part of a file that is put together later, and no file itself: it expires when it is complete, too. Left out of all others. */
  readonly partial?: true
  /** The whole-file checksum this upload keeps; null for none. */
  readonly checksum: UploadChecksum | null
  /** Progress of that checksum; null before the first byte. */
  readonly checksumState: ChecksumState | null
  /** The storage adapter's own notes. */
  readonly storageState: JsonValue
  /**
   * Where the host wants the finished file, relative to the storage's root. Written down once the host's `onComplete` has agreed and before
   * the storage begins to put the file there, so that an interrupted completion can be taken up, or swept; left out before and after, and
   * where the storage decides. `onComplete` sees it as well.
   */
  readonly target?: string | undefined
  /** What `onComplete` said when it agreed, while the file is on its way to `target`: it is not asked again. Left out before and after. */
  readonly agreed?: { readonly reply: JsonObject | null } | undefined
  /**
   * Received bytes that are being replaced by those of another upload: until this is left out again, some of them may be old ones and some
   * new ones.
   */
  readonly replacing?: { readonly range: ByteRange, readonly from: string } | undefined
  /**
   * How often a writer lost its lock while it wrote: bytes of other writers that were under way then do not count either, as its own may
   * lie over them. Left out for never.
   */
  readonly disputes?: number
  /**
   * Bytes that an upload of unknown size takes of its owner's quota: those that are there, and those that may come. Left out where the
   * received bytes and the size say it.
   */
  readonly reserved?: number
  /**
   * The storage's `epoch` in which the bytes came, while they are not known to be on the disk. Left out of records that were made before
   * there was such a field, and where the storage has no epochs.
   */
  readonly epoch?: string
  /**
   * A checksum that was not asked for. It shows when a power cut has taken bytes. Left out where `checksum` serves, and where the
   * storage needs none.
   */
  readonly guard?: UploadChecksum
  /**
   * Bytes that had been acknowledged when some of them were lost. Until as many are there again only a client that says where its bytes
   * begin may go on, and the upload cannot be completed. Left out of all others.
   */
  readonly shrunk?: number
  /** Grows by one with each change: compare-and-set. */
  readonly version: number
}

export interface UploadingUpload extends UploadFields {
  readonly status: 'uploading'
}

export interface CompleteUpload extends UploadFields {
  readonly status: 'complete'
  readonly size: number
  readonly completedAt: number
  /** Where storage put the file, in the adapter's own terms (disk: a path relative to its directory). */
  readonly location: string
  /** The bytes are on the disk. Left out while that is not known. */
  readonly synced?: true
}

/** The bytes are gone, the record is kept to answer "gone" instead of "unknown". */
export interface RemovedUpload extends UploadFields {
  readonly status: 'removed'
  readonly removedAt: number
  readonly reason: RemovalReason
}

/** `expired` by the sweeper, `removed` by client or host, `invalid` by a protocol rule, `lost` by the storage. */
export type RemovalReason = 'expired' | 'removed' | 'invalid' | 'lost'

/** One upload, as metadata adapters store it and hooks see it. Plain JSON. */
export type Upload = UploadingUpload | CompleteUpload | RemovedUpload

/** What an upload is at a given time: `overdue` is unfinished and past its time; removed ones are told apart by the reason. */
export type UploadPhase = 'open' | 'overdue' | 'complete' | RemovalReason

export function phaseOf (upload: Upload, now: number): UploadPhase {
  if (upload.status === 'complete') return 'complete'
  if (upload.status === 'removed') return upload.reason
  return isExpired(upload, now) ? 'overdue' : 'open'
}

/** The byte after the last one that storage has confirmed: a file may be longer, but never shorter. */
export function storedEnd (upload: Upload): number {
  return upload.status === 'complete' ? upload.size : upload.received.at(-1)?.[1] ?? 0
}

/** The checksum that runs along with the bytes: the one that is kept, else the guard; null for none. */
export function runningChecksumOf (upload: Pick<Upload, 'checksum' | 'guard'>): UploadChecksum | null {
  return upload.checksum ?? upload.guard ?? null
}

/** True while bytes that were lost have not come again. */
export function lacksLost (upload: Upload): boolean {
  return upload.status === 'uploading' && upload.shrunk !== undefined && offsetOf(upload) < upload.shrunk
}

/** True for a finished file that a power cut may still take. */
export function isUnsynced (upload: Upload): upload is CompleteUpload {
  return upload.status === 'complete' && upload.synced !== true && upload.epoch !== undefined && upload.partial !== true
}

/** Contiguous bytes from 0 that storage has confirmed. */
export function offsetOf (upload: Pick<Upload, 'received'>): number {
  const first = upload.received[0]
  return first !== undefined && first[0] === 0 ? first[1] : 0
}

/** Bytes that an unfinished upload has, or will have once all that was declared or reserved is there. */
export function reservedBytes ({ received, size, reserved = 0 }: UploadingUpload): number {
  return Math.max(received.reduce((sum, [start, end]) => sum + end - start, 0), size ?? 0, reserved)
}

/** True for an upload that is not finished, or only a part of a file. Finished files never expire. */
export function mayExpire (upload: Upload): boolean {
  return upload.status === 'uploading' || (upload.status === 'complete' && upload.partial === true)
}

/** The later one of two times at which an upload expires; null is never. */
export function laterExpiry (one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : Math.max(one, other)
}

/** True for an upload whose time is over. */
export function isExpired (upload: Upload, now: number): boolean {
  return mayExpire(upload) && upload.expiresAt !== null && upload.expiresAt <= now
}
