import type { FastifyReply, FastifyRequest } from 'fastify'
import { isChecksumAlgorithm } from './engine/checksum.js'
import type { CompletionReply, UploadDraft } from './engine/caller.js'
import { InvalidOption } from './errors.js'
import type { Locks } from './locks/contract.js'
import type { Metadata } from './metadata/contract.js'
import type { HostRouteOptions, Protocol, RouteName } from './protocols/contract.js'
import type { DiskStorageOptions } from './storage/disk.js'
import type { Storage } from './storage/contract.js'
import type { Upload, UserId } from './upload.js'

type MaybePromise<T> = T | Promise<T>

/** Milliseconds, or a number with a unit: `'90s'`, `'15m'`, `'12h'`, `'1d'`, `'1w'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`

/** What a hook can use beside the upload. */
export interface HookContext {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** Options of `fastify.register(chunkedUpload, options)`. Fastify's own `prefix` puts all routes below a path. */
export interface ChunkedUploadOptions {
  /**
   * Name of the decorator on the Fastify instance; give each registration of an app its own.
   * @default 'chunkedUpload'
   */
  readonly name?: string
  /**
   * The wire protocols to serve, as made by `contentRange()` and its like.
   * @default [contentRange()]
   */
  readonly protocols?: readonly Protocol[]

  /**
   * Root of everything that the default storage and the default metadata keep.
   * @default '.', the working directory
   */
  readonly directory?: string
  /**
   * Folder of a new upload below `directory`: a strftime pattern (UTC), or a function of the upload. drf: PATH.
   * @default 'chunked_uploads/%Y/%m/%d'
   */
  readonly path?: DiskStorageOptions['path']
  /** Ending of finished files. drf: COMPLETE_EXT. @default '.done' */
  readonly completeExt?: string
  /** Ending of unfinished files. drf: INCOMPLETE_EXT. @default '.part' */
  readonly incompleteExt?: string
  /**
   * What an acknowledged byte survives: `process`, a kill of the server; `disk`, a power cut too, at the price of waiting for the disk.
   * @default 'process'
   */
  readonly durability?: 'process' | 'disk'
  /** Where bytes live. drf: STORAGE_CLASS. @default diskStorage() with the options above */
  readonly storage?: Storage
  /** Where records live. @default fileMetadata() in `.chunked_uploads` below `directory`; memoryMetadata() with a storage of your own */
  readonly metadata?: Metadata
  /** How requests exclude each other. Servers that share uploads must share locks. @default memoryLocks() */
  readonly locks?: Locks

  /** Age at which an unfinished upload expires; null for never. drf: EXPIRATION_DELTA. @default '1d' */
  readonly expirationDelta?: Duration | null
  /** What the age is counted from: creation, as in drf, or the last body. @default 'creation' */
  readonly expirationFrom?: 'creation' | 'activity'
  /** How often expired uploads are removed; false leaves it to your own calls of `deleteExpired`. @default '1h' */
  readonly sweepInterval?: Duration | false
  /** How long a request waits for an upload that another one is using. @default '20s' */
  readonly lockTimeout?: Duration
  /** A body that brings no byte for so long is cut, and what came is kept; 0 for never. @default '60s' */
  readonly stallTimeout?: Duration

  /** Algorithm of the whole-file checksum, or false for none. drf: CHECKSUM. @default 'md5' */
  readonly checksum?: string | false
  /** Largest file in bytes; null for no limit. drf: MAX_BYTES. @default null */
  readonly maxBytes?: number | null | ((request: FastifyRequest) => MaybePromise<number | null>)
  /** Unfinished uploads that one user (or all anonymous ones together) may have at a time; null for no limit. @default null */
  readonly maxOpenUploads?: number | null
  /** Media types that may be uploaded, as declared by the client (`image/*` takes all images), or a function. @default all */
  readonly allowedTypes?: readonly string[] | ((contentType: string | null, request: FastifyRequest) => MaybePromise<boolean>)
  /** Form field that carries the bytes. drf: field_name. @default ['file', 'my_file'] */
  readonly fieldName?: string | readonly string[]

  /** Who sends the request. drf: request.user. @default request => request.user?.id ?? null */
  readonly user?: (request: FastifyRequest) => MaybePromise<UserId | null | undefined>
  /** Uploads of a user are that user's alone, and unknown to everybody else. drf: USER_RESTRICTED. @default true */
  readonly userRestricted?: boolean
  /** Requests without a user are refused, with the protocol's own answer. @default false */
  readonly requireUser?: boolean

  /** Before an upload is made: may throw to refuse, may return what to store instead. */
  readonly onCreate?: (draft: UploadDraft, context: HookContext) => MaybePromise<UploadDraft | undefined | void>
  /**
   * The file is whole and at its place: may throw to refuse, may word the reply. drf: on_completion, get_response_data. Runs once an upload;
   * after a crash of the server within it, the client's retry runs it again.
   */
  readonly onComplete?: (upload: Upload, context: HookContext) => MaybePromise<CompletionReply | undefined | void>
  /** Before an upload is removed by request: may throw to refuse. */
  readonly onRemove?: (upload: Upload, context: HookContext) => MaybePromise<void>
  /** After an expired upload was removed. */
  readonly onExpire?: (upload: Upload) => MaybePromise<void>
  /**
   * Where the finished file goes, relative to the storage's root (disk: to `directory`). Client text must be cleaned first: a location that
   * leaves the root is refused. undefined leaves it to the storage.
   */
  readonly location?: (upload: Upload) => string | undefined

  /** Finished files can be downloaded by GET; `inline` lists the media types that may be shown in the browser. @default false */
  readonly downloads?: boolean | { readonly inline?: readonly string[] }
  /** What each route gets besides: hooks, `config` (rate limits), schema parts. */
  readonly routeOptions?: HostRouteOptions | ((route: RouteName) => HostRouteOptions | undefined)
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The duration in ms. @throws {InvalidOption} */
export function milliseconds (option: string, value: Duration): number {
  const [, digits, unit = 'ms'] = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(value) ?? [] : [value, value]
  const ms = Number(digits) * (UNITS[unit] ?? NaN)
  if (!Number.isFinite(ms) || ms < 0) throw new InvalidOption(option, "must be milliseconds, 0 or more, or a number with a unit such as '90s', '12h', '1d'")
  return ms
}

type Kind = 'boolean' | 'string' | 'function' | 'object'
type OptionName = keyof ChunkedUploadOptions

const KINDS: Readonly<Partial<Record<OptionName, readonly Kind[]>>> = {
  name: ['string'],
  directory: ['string'],
  path: ['string', 'function'],
  completeExt: ['string'],
  incompleteExt: ['string'],
  storage: ['object'],
  metadata: ['object'],
  locks: ['object'],
  user: ['function'],
  userRestricted: ['boolean'],
  requireUser: ['boolean'],
  onCreate: ['function'],
  onComplete: ['function'],
  onRemove: ['function'],
  onExpire: ['function'],
  location: ['function'],
  downloads: ['boolean', 'object'],
  routeOptions: ['object', 'function']
}

/** Fastify's own, and those that have a check of their own below. */
const OTHERS: readonly string[] = [
  'prefix', 'logLevel', 'logSerializers', 'protocols', 'durability', 'expirationDelta', 'expirationFrom', 'sweepInterval', 'lockTimeout', 'stallTimeout',
  'checksum', 'maxBytes', 'maxOpenUploads', 'allowedTypes', 'fieldName'
]

/** @throws {InvalidOption} names the first option that cannot be used, unknown ones too */
export function checkOptions (options: ChunkedUploadOptions): void {
  const fail = (name: string, text: string): never => { throw new InvalidOption(name, text) }
  const check = (name: OptionName, right: boolean, text: string): void => { if (options[name] !== undefined && !right) fail(name, text) }
  for (const [name, value] of Object.entries(options)) {
    const kinds = Object.hasOwn(KINDS, name) ? KINDS[name as OptionName] : undefined
    if (kinds === undefined && !OTHERS.includes(name)) fail(name, 'is not an option')
    if (value === undefined || kinds === undefined) continue
    if (value === null || !kinds.some(kind => kind === typeof value)) fail(name, `must be ${kinds.map(kind => `a ${kind}`).join(' or ')}`)
  }
  const { durability, expirationFrom, checksum, maxBytes, maxOpenUploads, allowedTypes, fieldName, protocols } = options
  check('durability', durability === 'process' || durability === 'disk', "must be 'process' or 'disk'")
  check('expirationFrom', expirationFrom === 'creation' || expirationFrom === 'activity', "must be 'creation' or 'activity'")
  check('checksum', checksum === false || (typeof checksum === 'string' && isChecksumAlgorithm(checksum)), 'must be false or a supported algorithm')
  check('maxBytes', maxBytes === null || typeof maxBytes === 'function' || isCount(maxBytes), 'must be bytes, null or a function')
  check('maxOpenUploads', maxOpenUploads === null || isCount(maxOpenUploads), 'must be a whole number or null')
  check('allowedTypes', typeof allowedTypes === 'function' || isTexts(allowedTypes), 'must be a list of media types or a function')
  check('fieldName', (typeof fieldName === 'string' && fieldName !== '') || (isTexts(fieldName) && fieldName.length > 0), 'must be a name or a list of names')
  check('protocols', Array.isArray(protocols) && protocols.length > 0 && protocols.every(isProtocol), 'must be a list of protocols, such as [contentRange()]')
  const names = protocols?.map(protocol => protocol.name) ?? []
  if (new Set(names).size < names.length) fail('protocols', 'must have different names')
  for (const adapter of ['path', 'completeExt', 'incompleteExt'] as const) {
    if (options.storage !== undefined && options[adapter] !== undefined) fail(adapter, 'belongs to the default storage; give it to your `storage`')
  }
}

function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isTexts (value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string' && item !== '')
}

function isProtocol (value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'register' in value && typeof value.register === 'function' && 'name' in value
}
