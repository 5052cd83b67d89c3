import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CompletionReply, UploadDraft } from './engine/index.js'
import { InvalidOption } from './errors.js'
import type { Locks } from './locks/contract.js'
import type { Metadata } from './metadata/contract.js'
import { type Duration, type MaybePromise, type Rule, checkByRules } from './option-rules.js'
import type { HostRouteOptions, Protocol, RouteName } from './protocols/contract.js'
import type { DiskStorageOptions } from './storage/disk/index.js'
import type { Storage } from './storage/contract.js'
import type { CompleteUpload, Upload, UserId } from './upload.js'
import { rules } from './options.rules.js'

export { type Duration, type MaybePromise, milliseconds } from './option-rules.js'

/** What a hook can use beside the upload. */
export interface HookContext {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** In `onCreate`: the upload that is there already, when it is asked again; left out for a new one. */
  readonly upload?: Upload
}

/** A file whose client declares no type. */
export interface UntypedFile {
  /** As cleaned for hooks; may be empty. */
  readonly filename: string
  /** Up to 4100 bytes at its start, none of an encrypted file; null when the upload is made, before any byte is there. */
  readonly bytes: Uint8Array | null
}

/** Options of `fastify.register(chunkedUpload, options)`. Fastify's own `prefix` puts all routes below a path. */
export interface ChunkedUploadOptions {
  /**
   * Name of the decorator on the Fastify instance; give each registration of an app its own.
   * @default 'chunkedUpload'
   */
  readonly name?: string | undefined
  /**
   * The wire protocols to serve, as made by `contentRange()` and its like.
   * @default [contentRange()]
   */
  readonly protocols?: readonly Protocol[] | undefined
  /**
   * Which uploads of the store are this registration's: it sees, counts and sweeps those of its scope only, and those of version 0.1,
   * which have none. Give two registrations the same text to let them share their uploads; give one of its own where the prefix may change.
   * Servers with the same configuration have the same scope.
   * @default name and full prefix, as in 'chunkedUpload:/uploads'
   */
  readonly scope?: string | undefined

  /**
   * Root of everything that the default storage, metadata and locks keep. Several registrations, apps and processes of one machine may use
   * the same one; see `scope` for what they see of each other. Beside a `storage` of your own only records and locks are in it; where these
   * are your own, too, or the storage is in memory, it is refused.
   * @default '.', the working directory
   */
  readonly directory?: string | undefined
  /**
   * Folder of a new upload below `directory`: a strftime pattern (UTC), or a function of the upload. drf: PATH.
   * @default 'chunked_uploads/%Y/%m/%d'
   */
  readonly path?: DiskStorageOptions['path'] | undefined
  /** Ending of finished files. drf: COMPLETE_EXT. @default '.done' */
  readonly completeExt?: string | undefined
  /** Ending of unfinished files. drf: INCOMPLETE_EXT. @default '.part' */
  readonly incompleteExt?: string | undefined
  /**
   * What an acknowledged byte survives: `process`, a kill of the server; `disk`, a power cut too, at the price of waiting for the disk.
   * @default 'process'
   */
  readonly durability?: 'process' | 'disk' | undefined
  /** Where bytes live. drf: STORAGE_CLASS. @default diskStorage() with the options above */
  readonly storage?: Storage | undefined
  /**
   * Where records live.
   * @default fileMetadata() in `.chunked_uploads` below `directory`; memoryMetadata() with memoryStorage()
   */
  readonly metadata?: Metadata | undefined
  /**
   * How requests exclude each other. Servers that share uploads must share locks.
   * @default fileLocks() in `.chunked_uploads/locks` below `directory`, for all processes of one machine; memoryLocks(), for one
   * process, with memoryStorage() or metadata of your own
   */
  readonly locks?: Locks | undefined

  /** Age at which an unfinished upload expires; null for never. drf: EXPIRATION_DELTA. @default '1d' */
  readonly expirationDelta?: Duration | null | undefined
  /** What the age of new uploads is counted from: creation, as in drf, or the last body. @default 'creation' */
  readonly expirationFrom?: 'creation' | 'activity' | undefined
  /**
   * How often expired uploads are removed; false leaves it to your own calls of `deleteExpired`. The first time is within a minute
   * after the start.
   * @default '1h'
   */
  readonly sweepInterval?: Duration | false | undefined
  /** How long a request waits for an upload that another one is using. @default '20s' */
  readonly lockTimeout?: Duration | undefined
  /**
   * A body that brings no byte for this long is cut, and what came is kept. A reply of which the client takes nothing is cut after this
   * time to twice this time. 0 for never. @default '60s'
   */
  readonly stallTimeout?: Duration | undefined
  /**
   * Bytes a second that a body must bring, over each `stallTimeout` (a minute where that is 0); slower ones are cut, and what came is kept.
   * Time in which the body waits for the server does not count. 0 for no lowest rate. @default 0
   */
  readonly minRate?: number | undefined
  /**
   * A body that has not ended after this long is cut, and what came is kept; 0 for never. Clients that resume go on from there. @default 0
   */
  readonly maxBodyTime?: Duration | undefined

  /**
   * Bytes of memory for all bodies in flight together, in addition to some 128 KiB for each. Bodies for which none is left go on in small
   * steps.
   * @default 64 MiB
   */
  readonly bodyMemory?: number | undefined

  /**
   * Algorithm of the whole-file checksum, or false for none. drf: CHECKSUM. Given, it holds for every protocol that does not say otherwise;
   * only videos of `rawAppend` have none, as nothing ends them. Left out, `tus`, `resumableHttp` and `formAppend` keep none.
   * @default 'md5'
   */
  readonly checksum?: string | false | undefined
  /** Largest file in bytes; null for no limit. drf: MAX_BYTES. @default null */
  readonly maxBytes?: number | null | ((request: FastifyRequest) => MaybePromise<number | null>) | undefined
  /**
   * Bytes that all uploads of one user (or all anonymous ones together) may take, over all protocols of the registration; null for no
   * limit. Finished files count with their size, unfinished uploads with the size that was declared, else with what has come, and expired
   * ones until they are swept. What would go beyond is refused: a declared size at the creation, other bytes as they come. Parts that tus
   * has put together count beside the file until they go; with `deletePartials` the file needs no room of its own. A function is asked
   * with each request, and holds for whose upload it is. A lower limit than before removes nothing.
   *
   * Each creation reads the records of the user's unfinished uploads, which `maxOpenUploads` bounds.
   * @default null
   */
  readonly maxStored?: number | null | ((request: FastifyRequest) => MaybePromise<number | null>) | undefined
  /** Unfinished uploads that one user (or all anonymous ones together) may have at a time; null for no limit. @default null */
  readonly maxOpenUploads?: number | null | undefined
  /** Media types that may be uploaded, as declared by the client (`image/*` takes all images), or a function. @default all */
  readonly allowedTypes?: readonly string[] | ((contentType: string | null, request: FastifyRequest) => MaybePromise<boolean>) | undefined
  /**
   * The type of a file whose client declares none, or `application/octet-stream`, as browsers do for a slice of a file; undefined where it
   * cannot be told. Asked with the name alone when the upload is made, and, unless that told a type, with the first bytes when the file is
   * whole, before `onComplete`. It counts as if the client had declared it, and no more: `allowedTypes` must have it. An upload of an
   * unknown type is made, and refused when the file is whole and its type is still none of `allowedTypes`.
   */
  readonly detectType?: ((file: UntypedFile, request: FastifyRequest) => MaybePromise<string | null | undefined>) | undefined
  /** Form field that carries the bytes. drf: field_name. @default ['file', 'my_file'] */
  readonly fieldName?: string | readonly string[] | undefined

  /**
   * The id of the request's user; null for an anonymous request. drf: request.user. A `request.user` that has neither `id` nor `sub`, or
   * an empty string, is answered 500 and never taken for an anonymous request.
   * @default `request.user.id`, else `request.user.sub` (@fastify/jwt); null without a `request.user`
   */
  readonly user?: ((request: FastifyRequest) => MaybePromise<UserId | null | undefined>) | undefined
  /**
   * Uploads of a user are that user's alone; other users get 404. drf: USER_RESTRICTED. An anonymous upload can be continued by any
   * client that knows its id, and no list shows it.
   * @default true
   */
  readonly userRestricted?: boolean | undefined
  /**
   * Requests without a user are refused: with 400 by `contentRange` (403 in the dialect `chunky`), with 401 by the others.
   * @default false
   */
  readonly requireUser?: boolean | undefined

  /**
   * Before an upload is made: may throw to refuse, may return what to change in the draft, such as `{ filename: 'better.txt' }`. A type
   * that it returns must be one of `allowedTypes`, too. It is called again, with the upload in its context, when the client sends a name,
   * a size or what else a draft has only after the upload was made: name, type, metadata and protocolState of what it returns count then.
   */
  readonly onCreate?: ((draft: UploadDraft, context: HookContext) => MaybePromise<Partial<UploadDraft> | undefined | void>) | undefined
  /**
   * The file is whole: may throw to refuse, may return the reply. drf: on_completion, get_response_data. `upload.location` is where the
   * file is now, and stays where there is no `location` option. With one, the file goes to `upload.target` after the hook has agreed, or
   * beside it where that name is taken: the event `complete` and the record have the final place. A refused file is never at its target.
   * The bytes can be read with `chunkedUpload.read(upload)`.
   *
   * Runs once an upload until it agrees, and never by a read. Only after a crash of the server between its answer and the record does the
   * client's retry run it again.
   */
  readonly onComplete?: ((upload: CompleteUpload, context: HookContext) => MaybePromise<CompletionReply | undefined | void>) | undefined
  /** Before an upload is removed by request: may throw to refuse. */
  readonly onRemove?: ((upload: Upload, context: HookContext) => MaybePromise<void>) | undefined
  /** After this server removed an expired upload. Of servers that share a scope, the one that removed it calls its hook. */
  readonly onExpire?: ((upload: Upload) => MaybePromise<void>) | undefined
  /**
   * Where the finished file goes once `onComplete` has agreed, relative to the storage's root (disk: to `directory`), such as
   * `({ id }) => 'videos/' + id`. Client text must be
   * cleaned first: a location that leaves the root, or belongs to the package or to another upload, is
   * refused. undefined leaves it to the storage. Not asked for the parts that tus puts
   * together, which have no name.
   */
  readonly location?: ((upload: Upload) => string | undefined) | undefined

  /**
   * Public URL of this registration, such as `https://example.com/api/uploads`, where a proxy takes a part of the path away or names
   * another host: every address in a reply begins with it. A protocol's own `prefix` comes after it, and its own `baseUrl` goes before it.
   * `:parameters` of the prefix may stand in its path.
   * @default as the request says: its `Host`, and its path before `rewriteUrl`
   */
  readonly baseUrl?: string | undefined
  /**
   * Finished files can be downloaded by GET, with `contentRange` from `/<id>/file`. `{ inline: ['video/mp4'] }` also lists the media types
   * that browsers may show; others they save.
   * @default false
   */
  readonly downloads?: boolean | { readonly inline?: readonly string[] } | undefined
  /** Further options of each route: hooks, `config` (rate limits), schema parts. */
  readonly routeOptions?: HostRouteOptions | ((route: RouteName) => HostRouteOptions | undefined) | undefined
}

/** Options of every `register`, which Fastify itself checks but for the first. */
const FASTIFY_RULES: Readonly<Record<string, Rule>> = {
  prefix: { holds: value => typeof value === 'string', text: 'must be a string' },
  logLevel: { holds: () => true, text: '' },
  logSerializers: { holds: () => true, text: '' }
}

/** @throws {InvalidOption} names the first option that cannot be used, unknown ones too */
export function checkOptions (options: ChunkedUploadOptions): void {
  checkByRules('', options, { ...FASTIFY_RULES, ...rules })
  for (const name of ['path', 'completeExt', 'incompleteExt'] as const) {
    if (options.storage !== undefined && options[name] !== undefined) {
      throw new InvalidOption(name, 'belongs to the default storage; give it to your `storage`')
    }
  }
  const { storage, metadata, directory } = options
  if (directory !== undefined && storage !== undefined && (storage.volatile === true || metadata !== undefined)) {
    const own = metadata === undefined ? '`storage`' : '`storage` and `metadata`'
    throw new InvalidOption('directory', `has no effect beside your own ${own}: give it to these, as in diskStorage({ directory })`)
  }
}

/** What the host adds to a route. @throws {InvalidOption} */
export function routeOptionsOf ({ routeOptions }: ChunkedUploadOptions, route: RouteName): HostRouteOptions {
  if (typeof routeOptions !== 'function') return routeOptions ?? {}
  const added = routeOptions(route) ?? {}
  if (!rules.routeOptions.holds(added) || typeof added === 'function') throw new InvalidOption('routeOptions', rules.routeOptions.text)
  return added
}
