import { type Duration, checkByRules, lifetimeOf } from '../../option-rules.js'
import type { Upload } from '../../upload.js'
import { rules } from './options.rules.js'

/** Largest file of the original, in bytes. */
const LARGEST_FILE = 1_048_576_000

export interface FormAppendOptions {
  /** Names the mount. @default 'formAppend' */
  readonly name?: string | undefined
  /** Below the registration's prefix. @default none */
  readonly prefix?: string | undefined
  /** Largest file in bytes where the registration sets no `maxBytes`; null for no limit. @default 1048576000 */
  readonly maxBytes?: number | null | undefined
  /** Time from creation until an unfinished upload expires; null for never, as in the original. @default null */
  readonly expirationDelta?: Duration | null | undefined
  /**
   * Algorithm of a checksum that the record keeps; the wire has none.
   * @default the plugin's `checksum` where that is given, else false
   */
  readonly checksum?: string | false | undefined
  /**
   * Reads `Content-Range: bytes 0-99/200` as the place of the chunk, as the form field `offset` always is. A chunk that is there already is
   * then answered as a success and not appended again. Off, the header is ignored as in the original.
   * @default false
   */
  readonly contentRange?: boolean | undefined
  /**
   * Public URL of this mount, such as `https://example.com/api/files`, where a proxy or `rewriteUrl` changes host or path.
   * @default the plugin's `baseUrl` and this `prefix` where that is given, else as the request says
   */
  readonly baseUrl?: string | undefined
  /**
   * URL of a file, the record's `file`: what goes before its dated path, or a function of the upload and that path. Where the
   * registration allows downloads, the default is the URL that serves the file.
   * @default '/media/'
   */
  readonly mediaUrl?: string | ((upload: Upload, path: string) => string) | undefined
  /**
   * `GET videos/` shows an anonymous caller the finished uploads of all anonymous ones, as the original does, which knows no users. Off, it
   * shows none to anonymous callers. Users see their own in any case.
   * @default false
   */
  readonly listAnonymous?: boolean | undefined
}

/** What the verbs read of the options. */
export interface FormAppendSettings extends Pick<FormAppendOptions, 'mediaUrl'> {
  /** ms from creation until an unfinished upload expires; null for never. */
  readonly expirationDelta: number | null
  readonly checksum: string | false | undefined
  readonly baseUrl: URL | undefined
  readonly contentRange: boolean
  readonly listAnonymous: boolean
  /** Largest file in bytes where the plugin has no limit; null for none. */
  readonly largestFile: number | null
}

/** @throws {InvalidOption} */
export function settingsOf (options: FormAppendOptions): FormAppendSettings {
  checkByRules('formAppend', options, rules)
  const { baseUrl, maxBytes } = options
  return {
    expirationDelta: lifetimeOf(options.expirationDelta, null),
    checksum: options.checksum,
    baseUrl: baseUrl === undefined ? undefined : new URL(baseUrl),
    contentRange: options.contentRange ?? false,
    listAnonymous: options.listAnonymous ?? false,
    mediaUrl: options.mediaUrl,
    largestFile: maxBytes === undefined ? LARGEST_FILE : maxBytes
  }
}
