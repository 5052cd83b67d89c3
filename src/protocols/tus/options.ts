import { type BodyDigestAlgorithm, type BodyHash, bodyDigestLengths } from '../../engine/body-digest.js'
import { isChecksumAlgorithm } from '../../engine/checksum.js'
import { InvalidOption } from '../../errors.js'

/** In the order in which they are announced. */
export const tusExtensions = [
  'creation', 'creation-with-upload', 'creation-defer-length', 'expiration', 'checksum', 'checksum-trailer', 'termination',
  'concatenation', 'concatenation-unfinished'
] as const
export type TusExtension = typeof tusExtensions[number]

/** Options of {@link tus}. Those that the plugin has as well go before the plugin's. */
export interface TusOptions {
  /** Names the mount; uploads belong to it. @default 'tus' */
  readonly name?: string
  /** Path below the plugin's prefix. @default '' */
  readonly prefix?: string
  /** Extensions that are not offered, and with them those that need them. @default none */
  readonly disable?: readonly TusExtension[]
  /**
   * Location is a path; false makes it an absolute URL, of the host that the request names or, with Fastify's `trustProxy`, that a trusted
   * proxy names.
   * @default true
   */
  readonly relativeLocation?: boolean
  /**
   * Public URL of this mount, such as `https://example.com/api/files`, where a proxy changes host or path without saying so.
   * @default as the request says
   */
  readonly baseUrl?: string
  /**
   * Algorithms that Upload-Checksum may name, the preferred one first; one of your own is an object. tus asks for sha1 at least.
   * @default sha1, md5, sha256, sha512, crc32
   */
  readonly checksumAlgorithms?: ReadonlyArray<BodyDigestAlgorithm | BodyHash>
  /** Algorithm of a checksum of the whole file, kept with the record; false for none: tus itself has no use for one. @default false */
  readonly checksum?: string | false
  /** ms from creation until an unfinished upload expires; null for never. @default the plugin's `expirationDelta` */
  readonly expirationDelta?: number | null
  /** Finished uploads can be terminated too; otherwise the answer is 403. Partial ones always can. @default true */
  readonly terminateFinished?: boolean
  /** Keeps the record of a terminated upload, so that later requests hear 410 instead of 404. @default false */
  readonly keepRecords?: boolean
  /**
   * Removes partial uploads once they are part of a file, unless another unfinished file needs them. Otherwise they stay, for other files
   * to use, until they expire.
   * @default false
   */
  readonly deletePartials?: boolean
  /**
   * ms that a request waits for a concatenation. After it the concatenation goes on, and the answer is 201 without Upload-Offset, or 503
   * without the extension `concatenation-unfinished`.
   * @default 20000
   */
  readonly concatenationWait?: number
  /** Requests without a user are refused with 401. @default the plugin's `requireUser` */
  readonly requireUser?: boolean
  /** Error bodies: `CODE: message` as text, or `{ code, message }` as JSON. @default 'text' */
  readonly errorFormat?: 'text' | 'json'
}

export interface TusSettings extends Required<Pick<TusOptions,
  'relativeLocation' | 'checksum' | 'terminateFinished' | 'keepRecords' | 'deletePartials' | 'concatenationWait' | 'errorFormat'
>>, Pick<TusOptions, 'expirationDelta' | 'requireUser'> {
  readonly extensions: ReadonlySet<TusExtension>
  readonly baseUrl: URL | undefined
  readonly checksumAlgorithms: ReadonlyMap<string, ChecksumAlgorithm>
}

export interface ChecksumAlgorithm {
  readonly algorithm: BodyDigestAlgorithm | BodyHash
  /** Length of a digest in bytes. */
  readonly length: number
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
  const { disable = [], checksum = false, concatenationWait = 20_000 } = options
  const { checksumAlgorithms = ['sha1', 'md5', 'sha256', 'sha512', 'crc32'] } = options
  for (const name of disable) {
    if (!tusExtensions.includes(name)) throw new InvalidOption('disable', `has no extension "${name}"`)
  }
  if (checksum !== false && !isChecksumAlgorithm(checksum)) throw new InvalidOption('checksum', 'must be false or a supported algorithm')
  if (!(concatenationWait >= 0)) throw new InvalidOption('concatenationWait', 'must be milliseconds, 0 or more')

  const off = new Set<TusExtension>(disable)
  const extensions = new Set<TusExtension>()
  for (const extension of tusExtensions) {
    const needed = NEEDS[extension]
    if (!off.has(extension) && (needed === undefined || extensions.has(needed))) extensions.add(extension)
  }
  return {
    extensions,
    baseUrl: options.baseUrl === undefined ? undefined : absoluteUrl(options.baseUrl),
    relativeLocation: options.relativeLocation ?? true,
    checksumAlgorithms: new Map(checksumAlgorithms.map(algorithm => namedAlgorithm(algorithm))),
    checksum,
    terminateFinished: options.terminateFinished ?? true,
    keepRecords: options.keepRecords ?? false,
    deletePartials: options.deletePartials ?? false,
    concatenationWait,
    errorFormat: options.errorFormat ?? 'text',
    ...options.expirationDelta !== undefined && { expirationDelta: options.expirationDelta },
    ...options.requireUser !== undefined && { requireUser: options.requireUser }
  }
}

function namedAlgorithm (algorithm: BodyDigestAlgorithm | BodyHash): [string, ChecksumAlgorithm] {
  const name = typeof algorithm === 'object' ? algorithm.name : algorithm
  const lengths = new Map<string, number>(Object.entries(bodyDigestLengths))
  const length = typeof algorithm === 'object' ? algorithm.length : lengths.get(algorithm)
  if (length === undefined || !/^[a-z0-9-]+$/.test(name)) {
    throw new InvalidOption('checksumAlgorithms', `must be some of ${[...lengths.keys()].join(', ')}, or objects with a name in lower case`)
  }
  return [name, { algorithm, length }]
}

function absoluteUrl (url: string): URL {
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new InvalidOption('baseUrl', 'must be an absolute URL')
  return new URL(url)
}
