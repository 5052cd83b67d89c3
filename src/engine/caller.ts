import type { CompleteUpload, JsonObject, Upload, UploadingUpload, UserId } from '../upload.js'

/** On whose behalf the engine works: which uploads it may see, what it may store, and what the host wants to be asked. */
export interface Caller {
  /** The mount: uploads of other mounts are unknown to it. Null for the host itself, which sees those of all mounts of its registration. */
  readonly protocol: string | null
  readonly user: UserId | null
  /** Works with uploads that only serve another one, and sees no others. Left out for all that act for a client or the host. */
  readonly internal?: true
  /** Hides uploads of other users. */
  readonly restricted: boolean
  /** Largest file in bytes; null for no limit. */
  readonly maxBytes: number | null
  /** Bytes that all uploads of an owner may take together where this caller adds some; null for no limit. */
  readonly maxStored: number | null
  /** Aborts when the client has left before its reply: reading a file only for that ends. Left out where no client waits. */
  readonly gone?: (() => AbortSignal) | undefined
  /** The host's hooks, bound to the request. */
  readonly hooks: CallerHooks
}

export interface CallerHooks {
  /**
   * Before an upload is created, and again when its client tells only later what the draft did not say: may throw to refuse, may change
   * what will be stored.
   * @param upload the one that is there already
   */
  readonly onCreate?: (draft: UploadDraft, upload?: Upload) => Promise<UploadDraft>
  /**
   * The type of a file that is whole, asked before `onComplete`: may throw to refuse.
   * @param firstBytes reads some bytes at its start; none of a file that its storage cannot read now, such as an encrypted one
   */
  readonly typeOf?: (upload: UploadingUpload, firstBytes: () => Promise<Uint8Array>) => Promise<string | null>
  /**
   * The file is whole and not yet at its `target`, the record not yet complete: may throw to refuse, may word the reply. `location` is
   * where the file is meanwhile.
   */
  readonly onComplete?: (upload: CompleteUpload) => Promise<CompletionReply | undefined>
  /** Before an upload is removed on request: may throw to refuse. */
  readonly onRemove?: (upload: Upload) => Promise<void>
}

/**
 * The caller for uploads that only serve another one, such as a part whose place is not known yet. They are unknown to the mount's clients,
 * do not count as open ones, and the host is neither asked nor told of them. Their bytes count. They need no room in a quota that is used
 * up, as what they bring has its place there, but with all else they may take no more than twice the quota.
 */
export function internalCaller (caller: Caller): Caller {
  const maxStored = caller.maxStored === null ? null : 2 * caller.maxStored
  return { ...caller, internal: true, restricted: false, maxStored, hooks: {} }
}

export function isVisibleTo (caller: Caller, upload: Upload): boolean {
  return (caller.internal === true) === (upload.internal === true) &&
    (caller.protocol === null || caller.protocol === upload.protocol) &&
    (!caller.restricted || upload.user === null || upload.user === caller.user)
}

/** How the host wants the last request answered; what is left out stays as the protocol words it. */
export interface CompletionReply {
  readonly statusCode?: number
  readonly headers?: Readonly<Record<string, string>>
  /** What `JSON.stringify` can say, a record of your database for instance. `tus` and `formAppend` send a text as it is. */
  readonly body?: unknown
}

/** What a protocol knows of an upload before it exists. */
export interface UploadDraft {
  readonly filename: string
  readonly contentType: string | null
  readonly metadata: JsonObject
  readonly protocolState: JsonObject
  /** Bytes; null while unknown. */
  readonly size: number | null
  /** Bytes of a chunk where the protocol has a grid; null without one. */
  readonly chunkSize: number | null
  /** The checksum to keep: its algorithm, and its value where the client gave it beforehand. Null for none. */
  readonly checksum: { readonly algorithm: string, readonly value: string | null } | null
  /** ms from now until the unfinished upload expires; null for never. */
  readonly expiresIn: number | null
  /**
   * True where the request that creates the upload brings all of its bytes: its time counts from the last of them, as the request may take
   * longer than `expiresIn`.
   */
  readonly oneRequest?: boolean
  /** True gives the upload a small integer beside its id. */
  readonly serial: boolean
  /** True for a part of a file that is put together later: it has no name and type of its own, and expires when it is complete, too. */
  readonly partial?: boolean
  /** Bytes of other uploads of the user that go once this one is complete, and need no room beside it. */
  readonly replaces?: number
}
