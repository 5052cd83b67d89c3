import type { FastifyReply, FastifyRequest } from 'fastify'
import { checksumAlgorithms, isChecksumAlgorithm } from './engine/checksum.js'
import type { CompletionReply, UploadDraft } from './engine/caller.js'
import { InvalidOption } from './errors.js'
import type { Locks } from './locks/contract.js'
import type { Metadata } from './metadata/contract.js'
import type { HostRouteOptions, Protocol, RouteName } from './protocols/contract.js'
import type { DiskStorageOptions } from './storage/disk.js'
import type { Storage } from './storage/contract.js'
import type { CompleteUpload, Upload, UserId } from './upload.js'

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
  readonly name?: string | undefined
  /**
   * The wire protocols to serve, as made by `contentRange()` and its like.
   * @default [contentRange()]
   */
  readonly protocols?: readonly Protocol[] | undefined

  /**
   * Root of everything that the default storage, metadata and locks keep. Several registrations, apps and processes of one machine may use
   * the same one.
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
  /** How often expired uploads are removed; false leaves it to your own calls of `deleteExpired`. @default '1h' */
  readonly sweepInterval?: Duration | false | undefined
  /** How long a request waits for an upload that another one is using. @default '20s' */
  readonly lockTimeout?: Duration | undefined
  /** A body that brings no byte for so long is cut, and what came is kept; 0 for never. @default '60s' */
  readonly stallTimeout?: Duration | undefined

  /** Algorithm of the whole-file checksum, or false for none. drf: CHECKSUM. @default 'md5' */
  readonly checksum?: string | false | undefined
  /** Largest file in bytes; null for no limit. drf: MAX_BYTES. @default null */
  readonly maxBytes?: number | null | ((request: FastifyRequest) => MaybePromise<number | null>) | undefined
  /** Unfinished uploads that one user (or all anonymous ones together) may have at a time; null for no limit. @default null */
  readonly maxOpenUploads?: number | null | undefined
  /** Media types that may be uploaded, as declared by the client (`image/*` takes all images), or a function. @default all */
  readonly allowedTypes?: readonly string[] | ((contentType: string | null, request: FastifyRequest) => MaybePromise<boolean>) | undefined
  /** Form field that carries the bytes. drf: field_name. @default ['file', 'my_file'] */
  readonly fieldName?: string | readonly string[] | undefined

  /** Who sends the request. drf: request.user. @default request => request.user?.id ?? null */
  readonly user?: ((request: FastifyRequest) => MaybePromise<UserId | null | undefined>) | undefined
  /** Uploads of a user are that user's alone, and unknown to everybody else. drf: USER_RESTRICTED. @default true */
  readonly userRestricted?: boolean | undefined
  /** Requests without a user are refused, with the protocol's own answer. @default false */
  readonly requireUser?: boolean | undefined

  /** Before an upload is made: may throw to refuse, may return what to change in the draft, such as `{ filename: 'better.txt' }`. */
  readonly onCreate?: ((draft: UploadDraft, context: HookContext) => MaybePromise<Partial<UploadDraft> | undefined | void>) | undefined
  /**
   * The file is whole and at its place: may throw to refuse, may word the reply. drf: on_completion, get_response_data. Runs once an
   * upload; after a crash of the server within it, the client's retry runs it again.
   */
  readonly onComplete?: ((upload: CompleteUpload, context: HookContext) => MaybePromise<CompletionReply | undefined | void>) | undefined
  /** Before an upload is removed by request: may throw to refuse. */
  readonly onRemove?: ((upload: Upload, context: HookContext) => MaybePromise<void>) | undefined
  /** After an expired upload was removed by this registration: those that share a store sweep for each other. */
  readonly onExpire?: ((upload: Upload) => MaybePromise<void>) | undefined
  /**
   * Where the finished file goes, relative to the storage's root (disk: to `directory`). Client text must be cleaned first: a location that
   * leaves the root is refused. undefined leaves it to the storage. Not asked for the parts that tus puts together, which have no name.
   */
  readonly location?: ((upload: Upload) => string | undefined) | undefined

  /** Finished files can be downloaded by GET; `inline` lists the media types that may be shown in the browser. @default false */
  readonly downloads?: boolean | { readonly inline?: readonly string[] } | undefined
  /** What each route gets besides: hooks, `config` (rate limits), schema parts. */
  readonly routeOptions?: HostRouteOptions | ((route: RouteName) => HostRouteOptions | undefined) | undefined
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The longest delay that a timer takes, about 24 days: beyond it setTimeout would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1
/** Far enough to be no limit, near enough to be a date. */
const LONGEST_LIFE = 1000 * 365 * 86_400_000

/** Whole ms of a duration, NaN of anything else. */
function toMilliseconds (value: unknown): number {
  if (typeof value === 'number') return Math.round(value)
  const [, digits, unit = ''] = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(value) ?? [] : []
  return Math.round(Number(digits) * (UNITS[unit] ?? NaN))
}

/** The duration in ms. @throws {InvalidOption} */
export function milliseconds (option: string, value: Duration): number {
  const ms = toMilliseconds(value)
  if (!Number.isSafeInteger(ms) || ms < 0) throw new InvalidOption(option, DURATION)
  return ms
}

const DURATION = "must be milliseconds, or a number with a unit such as '90s', '12h', '1d'"

interface Rule {
  readonly holds: (value: unknown) => boolean
  /** What the option must be, as the message says it. */
  readonly text: string
}

const boolean: Rule = { holds: value => typeof value === 'boolean', text: 'must be true or false' }
const func: Rule = { holds: isFunction, text: 'must be a function' }
const text: Rule = { holds: isText, text: 'must be a string that is not empty' }
const ending: Rule = {
  holds: value => isText(value) && !/[/\\\0]/.test(value) && value !== '.location',
  text: "must be the ending of a file, such as '.part'; '.location' is taken"
}
const duration = (least: number, most: number, besides: string): Rule => ({
  holds: value => toMilliseconds(value) >= least && toMilliseconds(value) <= most,
  text: `${DURATION}, ${least > 0 ? 'more than 0' : '0 or more'}, at most ${Math.floor(most / 86_400_000)} days${besides}`
})
const or = (value: unknown, rule: Rule): Rule => ({ ...rule, holds: given => given === value || rule.holds(given) })
const oneOf = (...values: readonly string[]): Rule => ({
  holds: value => typeof value === 'string' && values.includes(value),
  text: `must be ${values.map(value => `'${value}'`).join(' or ')}`
})
const adapter = (...methods: readonly string[]): Rule => ({
  holds: value => isObject(value) && methods.every(method => isFunction(value[method])),
  text: `must be an object with ${methods.join(', ')}`
})
const storage = adapter('create', 'write', 'finish', 'read', 'remove')

/** What a route of the plugin decides itself. */
const OWN_ROUTE_OPTIONS: readonly string[] = [
  'method', 'url', 'path', 'handler', 'errorHandler', 'validatorCompiler', 'serializerCompiler', 'attachValidation', 'exposeHeadRoute',
  'prefixTrailingSlash'
]

/** Each option's rule; undefined stands for the default and is always right. */
const RULES: Readonly<Record<keyof ChunkedUploadOptions, Rule>> = {
  name: text,
  protocols: {
    holds: value => Array.isArray(value) && value.length > 0 && value.every(isProtocol) &&
      new Set(value.map(({ name }) => name)).size === value.length,
    text: 'must be a list of protocols, such as [contentRange()], each with a name of its own'
  },
  directory: text,
  path: { holds: value => isText(value) || isFunction(value), text: 'must be a strftime pattern or a function' },
  completeExt: ending,
  incompleteExt: ending,
  durability: oneOf('process', 'disk'),
  storage: {
    ...storage,
    holds: value => storage.holds(value) && isObject(value) && isObject(value.capabilities) &&
      (value.plan === undefined || isFunction(value.plan))
  },
  metadata: adapter('create', 'get', 'getBySerial', 'update', 'delete', 'list', 'findByChecksum'),
  locks: adapter('acquire'),
  expirationDelta: or(null, duration(1, LONGEST_LIFE, '; null for never')),
  expirationFrom: oneOf('creation', 'activity'),
  sweepInterval: or(false, duration(1, LONGEST_DELAY, '; false for never')),
  lockTimeout: duration(0, LONGEST_DELAY, ''),
  stallTimeout: duration(0, LONGEST_DELAY, '; 0 for never'),
  checksum: or(false, {
    holds: value => typeof value === 'string' && isChecksumAlgorithm(value),
    text: `must be false or one of ${checksumAlgorithms.join(', ')}`
  }),
  maxBytes: { holds: value => value === null || isCount(value) || isFunction(value), text: 'must be bytes, null or a function' },
  maxOpenUploads: or(null, { holds: isCount, text: 'must be a whole number, 0 or more, or null' }),
  allowedTypes: { holds: value => isTexts(value) || isFunction(value), text: 'must be a list of media types or a function' },
  fieldName: { holds: value => isText(value) || (isTexts(value) && value.length > 0), text: 'must be a name or a list of names' },
  user: func,
  userRestricted: boolean,
  requireUser: boolean,
  onCreate: func,
  onComplete: func,
  onRemove: func,
  onExpire: func,
  location: func,
  downloads: {
    holds: value => typeof value === 'boolean' ||
      (isObject(value) && Object.keys(value).every(name => name === 'inline') && isTexts(value.inline ?? [])),
    text: 'must be true, false or { inline: a list of media types }'
  },
  routeOptions: {
    holds: value => isFunction(value) || (isObject(value) && !OWN_ROUTE_OPTIONS.some(name => name in value)),
    text: `must be options of a route or a function that returns them, without ${OWN_ROUTE_OPTIONS.join(', ')}`
  }
}

/** Options of every `register`, which Fastify itself checks but for the first. */
const FASTIFY_RULES: Readonly<Record<string, Rule>> = {
  prefix: { holds: value => typeof value === 'string', text: 'must be a string' },
  logLevel: { holds: () => true, text: '' },
  logSerializers: { holds: () => true, text: '' }
}

/** @throws {InvalidOption} names the first option that cannot be used, unknown ones too */
export function checkOptions (options: ChunkedUploadOptions): void {
  const rules: Readonly<Record<string, Rule>> = { ...FASTIFY_RULES, ...RULES }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule === undefined) throw new InvalidOption(name, `is not an option; there are ${Object.keys(rules).join(', ')}`)
    if (value !== undefined && !rule.holds(value)) throw new InvalidOption(name, rule.text)
  }
  for (const name of ['path', 'completeExt', 'incompleteExt'] as const) {
    if (options.storage !== undefined && options[name] !== undefined) {
      throw new InvalidOption(name, 'belongs to the default storage; give it to your `storage`')
    }
  }
}

/** What the host adds to a route. @throws {InvalidOption} */
export function routeOptionsOf ({ routeOptions }: ChunkedUploadOptions, route: RouteName): HostRouteOptions {
  if (typeof routeOptions !== 'function') return routeOptions ?? {}
  const added = routeOptions(route) ?? {}
  if (!RULES.routeOptions.holds(added) || isFunction(added)) throw new InvalidOption('routeOptions', RULES.routeOptions.text)
  return added
}

function isFunction (value: unknown): boolean {
  return typeof value === 'function'
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isTexts (value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText)
}

function isCount (value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isObject (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isProtocol (value: unknown): value is Protocol {
  return isObject(value) && isText(value.name) && typeof value.prefix === 'string' && isFunction(value.register)
}
