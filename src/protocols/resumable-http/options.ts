import type { SaveEvery } from '../../engine/index.js'
import { InvalidOption } from '../../errors.js'
import { type Duration, checkByRules, lifetimeOf } from '../../option-rules.js'
import { rules } from './options.rules.js'

/** Options of {@link resumableHttp}. Those that the plugin has as well go before the plugin's. */
export interface ResumableHttpOptions {
  /** Names the mount; uploads belong to it. @default 'resumableHttp' */
  readonly name?: string | undefined
  /** Path below the plugin's prefix. @default '' */
  readonly prefix?: string | undefined
  /** Bytes: smaller files are taken in one request only, which cannot be resumed. @default 0 */
  readonly minSize?: number | undefined
  /** Bytes that one request may bring. @default no limit */
  readonly maxAppendSize?: number | undefined
  /** Bytes that one request must bring, unless it is the last one, or says nothing of its length. @default 0 */
  readonly minAppendSize?: number | undefined
  /**
   * Interim replies (104) to clients that name their version: `'auto'` sends them over HTTP/1.1 and HTTP/2. False sends none, for servers
   * behind a proxy that takes a 104 for the final reply: nginx does with `proxy_http_version 1.1`, and each such upload hangs. Other
   * clients resume without them; URLSession of iOS and macOS does not.
   * @default 'auto'
   */
  readonly interim?: 'auto' | false | undefined
  /**
   * How often interim replies tell what is stored: after so many bytes, or so many ms, whatever comes first. Each time the record is
   * saved, so that the client can rely on it. False is the same as `interim: false`.
   * @default every 64 MiB or 5 s
   */
  readonly progress?: false | { readonly [part in keyof SaveEvery]?: SaveEvery[part] | undefined } | undefined
  /** Location is a path; false makes it an absolute URL, of the host that the request names. @default true */
  readonly relativeLocation?: boolean | undefined
  /**
   * Public URL of this mount, such as `https://example.com/api/files`, where a proxy or `rewriteUrl` changes host or path.
   * @default the plugin's `baseUrl` and this `prefix` where that is given, else as the request says
   */
  readonly baseUrl?: string | undefined
  /**
   * Algorithm of a checksum of the whole file, kept with the record; false for none. A Repr-Digest or Want-Repr-Digest of the client
   * goes before it.
   * @default the plugin's `checksum` where that is given, else false
   */
  readonly checksum?: string | false | undefined
  /** Time from creation until an unfinished upload expires; null for never. @default the plugin's `expirationDelta` */
  readonly expirationDelta?: Duration | null | undefined
  /** DELETE removes a finished file too; otherwise the server only forgets the upload, and the file stays where it is. @default false */
  readonly removeFinished?: boolean | undefined
  /** Requests without a user are refused with 401. @default the plugin's `requireUser` */
  readonly requireUser?: boolean | undefined
}

export interface ResumableHttpSettings {
  readonly name: string
  readonly minSize: number
  readonly minAppendSize: number
  readonly relativeLocation: boolean
  /** Undefined leaves it to the plugin. */
  readonly checksum: string | false | undefined
  readonly removeFinished: boolean
  readonly maxAppendSize: number | null
  /** Interim replies are sent. */
  readonly interim: boolean
  readonly progress: SaveEvery
  /** Undefined leaves it to the plugin. */
  readonly baseUrl: URL | undefined
  /** ms, null for never; undefined leaves it to the plugin. */
  readonly expirationDelta: number | null | undefined
  readonly requireUser: boolean | undefined
}

const PROGRESS: SaveEvery = { bytes: 64 * 1024 * 1024, ms: 5000 }

/** @throws {InvalidOption} */
export function settingsOf (options: ResumableHttpOptions): ResumableHttpSettings {
  checkByRules('resumableHttp', options, rules)
  const { minSize = 0, minAppendSize = 0, maxAppendSize = null, interim = 'auto', progress = {}, baseUrl } = options
  if (maxAppendSize !== null && maxAppendSize < minAppendSize) {
    throw new InvalidOption('resumableHttp.maxAppendSize', 'must not be less than minAppendSize')
  }
  return {
    name: options.name ?? 'resumableHttp',
    minSize,
    minAppendSize,
    maxAppendSize,
    interim: interim === 'auto' && progress !== false,
    progress: progress === false ? PROGRESS : { bytes: progress.bytes ?? PROGRESS.bytes, ms: progress.ms ?? PROGRESS.ms },
    relativeLocation: options.relativeLocation ?? true,
    baseUrl: baseUrl === undefined ? undefined : new URL(baseUrl),
    checksum: options.checksum,
    expirationDelta: lifetimeOf(options.expirationDelta, undefined),
    removeFinished: options.removeFinished ?? false,
    requireUser: options.requireUser
  }
}
