import type { BodyDigestAlgorithm, BodyHash } from '../../engine/index.js'
import { type Duration, checkByRules, lifetimeOf } from '../../option-rules.js'
import { rules } from './options.rules.js'

/** In the order in which they are announced. */
export const tusExtensions = [
  'creation', 'creation-with-upload', 'creation-defer-length', 'expiration', 'checksum', 'checksum-trailer', 'termination',
  'concatenation', 'concatenation-unfinished'
] as const
export type TusExtension = typeof tusExtensions[number]

/** Options of {@link tus}. Those that the plugin has as well go before the plugin's. */
export interface TusOptions {
  /** Names the mount; uploads belong to it. @default 'tus' */
  readonly name?: string | undefined
  /** Path below the plugin's prefix. @default '' */
  readonly prefix?: string | undefined
  /** Extensions that are not offered, and with them those that need them. @default none */
  readonly disable?: readonly TusExtension[] | undefined
  /**
   * Location is a path; false makes it an absolute URL, of the host that the request names or, with Fastify's `trustProxy`, that a trusted
   * proxy names.
   * @default true
   */
  readonly relativeLocation?: boolean | undefined
  /**
   * Public URL of this mount, such as `https://example.com/api/files`, where a proxy or `rewriteUrl` changes host or path.
   * @default the plugin's `baseUrl` and this `prefix` where that is given, else as the request says
   */
  readonly baseUrl?: string | undefined
  /**
   * Algorithms that Upload-Checksum may name, the preferred one first; one of your own is an object. tus asks for sha1 at least.
   * @default sha1, md5, sha256, sha512, crc32
   */
  readonly checksumAlgorithms?: ReadonlyArray<BodyDigestAlgorithm | BodyHash> | undefined
  /**
   * Algorithm of a checksum of the whole file, kept with the record; false for none: tus itself has no use for one.
   * @default the plugin's `checksum` where that is given, else false
   */
  readonly checksum?: string | false | undefined
  /** Time from creation until an unfinished upload expires; null for never. @default the plugin's `expirationDelta` */
  readonly expirationDelta?: Duration | null | undefined
  /** Finished uploads can be terminated too; otherwise the answer is 403. Partial ones always can. @default true */
  readonly terminateFinished?: boolean | undefined
  /** Keeps the record of a terminated upload, so that later requests hear 410 instead of 404. @default false */
  readonly keepRecords?: boolean | undefined
  /**
   * Removes partial uploads once they are part of a file, unless another unfinished file needs them. Otherwise they stay, for other files
   * to use, until they expire.
   * @default false
   */
  readonly deletePartials?: boolean | undefined
  /**
   * ms that a request waits for a concatenation. After it the concatenation goes on, and the answer is 201 without Upload-Offset, or 503
   * without the extension `concatenation-unfinished`.
   * @default 20000
   */
  readonly concatenationWait?: number | undefined
  /** Parts that a final upload may name, each as often as it is named; more are a 400. @default 100 */
  readonly maxParts?: number | undefined
  /** Unfinished final uploads that may wait for one part; one more is a 429. @default 16 */
  readonly maxWaitingFinals?: number | undefined
  /** Requests without a user are refused with 401. @default the plugin's `requireUser` */
  readonly requireUser?: boolean | undefined
  /** Error bodies: `CODE: message` as text, or `{ code, message }` as JSON. @default 'text' */
  readonly errorFormat?: 'text' | 'json' | undefined
}

export interface TusSettings {
  readonly relativeLocation: boolean
  /** Undefined leaves it to the plugin. */
  readonly checksum: string | false | undefined
  readonly terminateFinished: boolean
  readonly keepRecords: boolean
  readonly deletePartials: boolean
  /** ms */
  readonly concatenationWait: number
  readonly maxParts: number
  readonly maxWaitingFinals: number
  readonly errorFormat: 'text' | 'json'
  /** ms, null for never; undefined leaves it to the plugin. */
  readonly expirationDelta: number | null | undefined
  readonly requireUser: boolean | undefined
  readonly extensions: ReadonlySet<TusExtension>
  /** Undefined leaves it to the plugin. */
  readonly baseUrl: URL | undefined
  readonly checksumAlgorithms: ReadonlyMap<string, BodyDigestAlgorithm | BodyHash>
}

const NEEDS: Readonly<Partial<Record<TusExtension, TusExtension>>> = {
  'creation-with-upload': 'creation',
  'creation-defer-length': 'creation',
  'checksum-trailer': 'checksum',
  concatenation: 'creation',
  'concatenation-unfinished': 'concatenation'
}

/** @throws {InvalidOption} */
export function settingsOf (options: TusOptions): TusSettings {
  checkByRules('tus', options, rules)
  const { checksumAlgorithms = ['sha1', 'md5', 'sha256', 'sha512', 'crc32'] } = options
  const off = new Set<TusExtension>(options.disable)
  const extensions = new Set<TusExtension>()
  for (const extension of tusExtensions) {
    const needed = NEEDS[extension]
    if (!off.has(extension) && (needed === undefined || extensions.has(needed))) extensions.add(extension)
  }
  return {
    extensions,
    baseUrl: options.baseUrl === undefined ? undefined : new URL(options.baseUrl),
    relativeLocation: options.relativeLocation ?? true,
    checksumAlgorithms: new Map(checksumAlgorithms.map(one => [typeof one === 'object' ? one.name : one, one])),
    checksum: options.checksum,
    terminateFinished: options.terminateFinished ?? true,
    keepRecords: options.keepRecords ?? false,
    deletePartials: options.deletePartials ?? false,
    concatenationWait: options.concatenationWait ?? 20_000,
    maxParts: options.maxParts ?? 100,
    maxWaitingFinals: options.maxWaitingFinals ?? 16,
    errorFormat: options.errorFormat ?? 'text',
    expirationDelta: lifetimeOf(options.expirationDelta, undefined),
    requireUser: options.requireUser
  }
}
