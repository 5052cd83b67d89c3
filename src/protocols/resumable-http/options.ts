import { isChecksumAlgorithm } from '../../engine/checksum.js'
import type { SaveEvery } from '../../engine/saves.js'
import { InvalidOption } from '../../errors.js'
import type { ProtocolSettings } from '../contract.js'

/** Options of {@link resumableHttp}. Those that the plugin has as well go before the plugin's. */
export interface ResumableHttpOptions {
  /** Names the mount; uploads belong to it. @default 'resumableHttp' */
  readonly name?: string
  /** Path below the plugin's prefix. @default '' */
  readonly prefix?: string
  /** Bytes: smaller files are taken in one request only, which cannot be resumed. @default 0 */
  readonly minSize?: number
  /** Bytes that one request may bring. @default no limit */
  readonly maxAppendSize?: number
  /** Bytes that one request must bring, unless it is the last one, or says nothing of its length. @default 0 */
  readonly minAppendSize?: number
  /**
   * How often interim replies (104) tell what is stored: after so many bytes, or so many ms, whatever comes first. Each time the record
   * is saved, so that the client can rely on it. False sends none.
   * @default every 64 MiB or 5 s
   */
  readonly progress?: false | Partial<SaveEvery>
  /** Location is a path; false makes it an absolute URL, of the host that the request names. @default true */
  readonly relativeLocation?: boolean
  /**
   * Public URL of this mount, such as `https://example.com/api/files`, where a proxy changes host or path without saying so.
   * @default as the request says
   */
  readonly baseUrl?: string
  /**
   * Algorithm of a checksum of the whole file, kept with the record; false for none. A Repr-Digest or Want-Repr-Digest of the client
   * goes before it.
   * @default false
   */
  readonly checksum?: string | false
  /** ms from creation until an unfinished upload expires; null for never. @default the plugin's `expirationDelta` */
  readonly expirationDelta?: number | null
  /** Finished files can be removed by DELETE; otherwise the answer is 403. @default false */
  readonly removeFinished?: boolean
  /** Requests without a user are refused with 401. @default the plugin's `requireUser` */
  readonly requireUser?: boolean
}

export interface ResumableHttpSettings extends
  Required<Pick<ResumableHttpOptions, 'minSize' | 'minAppendSize' | 'relativeLocation' | 'checksum' | 'removeFinished'>> {
  readonly name: string
  readonly maxAppendSize: number | null
  /** False for no interim replies beyond the first. */
  readonly progress: false | SaveEvery
  readonly baseUrl: URL | undefined
  /** As the option; undefined leaves it to the plugin. */
  readonly expirationDelta: number | null | undefined
  readonly requireUser: boolean | undefined
}

const PROGRESS: SaveEvery = { bytes: 64 * 1024 * 1024, ms: 5000 }

/** @throws {InvalidOption} */
export function settingsOf (options: ResumableHttpOptions): ResumableHttpSettings {
  const { minSize = 0, minAppendSize = 0, maxAppendSize = null, progress = {}, checksum = false, expirationDelta, baseUrl } = options
  for (const [name, bytes] of Object.entries({ minSize, minAppendSize, maxAppendSize: maxAppendSize ?? 0 })) {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new InvalidOption(name, 'must be bytes, 0 or more')
  }
  if (maxAppendSize !== null && (maxAppendSize === 0 || maxAppendSize < minAppendSize)) {
    throw new InvalidOption('maxAppendSize', 'must be 1 or more, and not less than minAppendSize')
  }
  for (const [name, value] of Object.entries(progress === false ? {} : progress)) {
    if (!(Number.isFinite(value) && value > 0)) throw new InvalidOption('progress', `needs a positive number for ${name}`)
  }
  if (checksum !== false && !isChecksumAlgorithm(checksum)) throw new InvalidOption('checksum', 'must be false or a supported algorithm')
  if (expirationDelta !== undefined && expirationDelta !== null && !(Number.isFinite(expirationDelta) && expirationDelta >= 0)) {
    throw new InvalidOption('expirationDelta', 'must be milliseconds, 0 or more, or null')
  }
  if (baseUrl !== undefined && !(URL.canParse(baseUrl) && /^https?:/.test(baseUrl))) throw new InvalidOption('baseUrl', 'must be an absolute URL')
  return {
    name: options.name ?? 'resumableHttp',
    minSize,
    minAppendSize,
    maxAppendSize,
    progress: progress === false ? false : { ...PROGRESS, ...progress },
    relativeLocation: options.relativeLocation ?? true,
    baseUrl: baseUrl === undefined ? undefined : new URL(baseUrl),
    checksum,
    expirationDelta,
    removeFinished: options.removeFinished ?? false,
    requireUser: options.requireUser
  }
}

/** ms that a new upload may stay unfinished; null for ever. */
export function expiresIn ({ expirationDelta }: ResumableHttpSettings, plugin: ProtocolSettings): number | null {
  return expirationDelta === undefined ? plugin.expirationDelta : expirationDelta
}
