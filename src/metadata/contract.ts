import type { Upload, UploadPhase, UserId } from '../upload.js'

/**
 * Where records live. Adapters store plain JSON and know no rule of uploads. Every method may throw what its
 * service throws; the engine words it as it does for a storage: mostly as "storage trouble" (503).
 */
export interface Metadata {
  /** Local folder of the records, where there is one: no upload may come there. */
  readonly directory?: string
  /**
   * Called once, when the plugin registers. Throws where nothing that is asked for later could work (a folder that cannot be written):
   * then the server does not start. Trouble that may pass, such as a full disk or a service that is away, is no reason.
   */
  prepare?(): Promise<void>
  /**
   * Stores a new record (`version` 1). With `serial: true` the adapter gives it the next small integer, counted up
   * over all records of the store, never reused.
   * @returns the record as stored
   * @throws when there is a record of this id; it stays as it is
   */
  create (upload: Upload, options?: { readonly serial?: boolean }): Promise<Upload>
  get (id: string): Promise<Upload | undefined>
  /** The record with this small integer. */
  getBySerial (serial: number): Promise<Upload | undefined>
  /**
   * Compare-and-set: replaces the stored record if its version is `upload.version - 1`, atomically, also between processes.
   * @returns false when the stored version is another one or the record is gone; nothing is changed then
   */
  update (upload: Upload): Promise<boolean>
  /** Compare-and-delete: removes the record if its version is `version`. True when it was removed. */
  delete (id: string, version: number): Promise<boolean>
  /**
   * Records that match every given filter, in the order of their ids (of the character codes) or the one asked for: at most `limit`, after
   * `cursor`. A page should cost what it holds, not what is stored. A record that cannot be read is left out, and `onUnreadable` is told.
   */
  list (query: ListQuery): Promise<UploadPage>
  /** How many uploads match, and what they take up. Should not read each record. */
  usage (query: UsageQuery): Promise<UploadUsage>
  /** A complete upload of this checksum that is not internal; which one, if there are several, is free. */
  findByChecksum (query: ChecksumQuery): Promise<Upload | undefined>
  /** Called when the plugin closes. Only for what the adapter itself opened. */
  close?(): Promise<void>
}

export interface ListQuery {
  /** Uploads of this registration, and those that name none. Left out: all. */
  readonly scope?: string
  readonly protocol?: string
  /** true: uploads that only serve another one. false: all others. Left out: both. */
  readonly internal?: boolean
  /** null: anonymous uploads only. Left out: those of all users. */
  readonly user?: UserId | null
  readonly status?: Upload['status']
  /** Uploads in one of these phases, at the time `now` (ms since 1970; the current time when left out). */
  readonly phases?: readonly UploadPhase[]
  readonly now?: number
  /**
   * Uploads whose `expiresAt` is at or before this time (ms), if they are unfinished, or complete with `partial`; never any other one
   * that is complete.
   */
  readonly expiredBefore?: number
  /** With true only finished files that are not known to be on the disk: complete, no part, with an `epoch` and without `synced`. */
  readonly unsynced?: boolean
  /** The `cursor` of the page before. */
  readonly cursor?: string
  /** Records to pass over before the first one of the page. */
  readonly offset?: number
  /** 100 when left out. */
  readonly limit?: number
  /** By id when left out. Equal ones follow each other by id, and `descending` turns both round. */
  readonly order?: ListOrder
  /** Told of each record that is left out because it cannot be read. */
  readonly onUnreadable?: (error: unknown, id: string) => void
}

export interface ListOrder {
  /**
   * `activity`: when an upload was completed or removed, or when an unfinished one was last changed. `size`: as declared, 0 while unknown.
   * `filename`: by the first 32 bytes of its UTF-8.
   */
  readonly by: 'activity' | 'created' | 'filename' | 'size'
  readonly descending: boolean
}

/** As in a {@link ListQuery}; unfinished uploads are told apart at the time `now`, ms since 1970. */
export interface UsageQuery extends Pick<ListQuery, 'scope' | 'protocol' | 'internal' | 'user'> {
  readonly now: number
}

export interface UploadUsage {
  readonly counts: Readonly<Record<UploadPhase, number>>
  /** Bytes that are stored: those received of unfinished uploads, and the sizes of complete ones. */
  readonly bytes: number
  /** Bytes once every unfinished upload has all that its `size` or its `reserved` says. */
  readonly reserved: number
}

export interface UploadPage {
  readonly uploads: readonly Upload[]
  /** Set while there may be more. */
  readonly cursor?: string
}

export interface ChecksumQuery {
  readonly algorithm: string
  /** Lower-case hex. */
  readonly value: string
  /** As in a {@link ListQuery}. */
  readonly scope?: string
  readonly protocol?: string
  /** null: anonymous uploads only. Left out: those of all users. */
  readonly user?: UserId | null
  /** Asked of each that is found, until one is right. */
  readonly accept?: (upload: Upload) => boolean
}
