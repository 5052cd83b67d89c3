import type { FastifyRequest } from 'fastify'
import { type Duration, checkByRules, lifetimeOf } from '../../option-rules.js'
import type { JsonObject, Upload } from '../../upload.js'
import { type Dialect, type DialectName, dialects } from './dialect.js'
import { rules } from './options.rules.js'

/** Options of {@link contentRange}. Those that the plugin has as well go before the plugin's. */
export interface ContentRangeOptions {
  /** Names the mount; uploads belong to it. @default 'contentRange' */
  readonly name?: string | undefined
  /** Path below the plugin's prefix. @default '' */
  readonly prefix?: string | undefined
  /**
   * `drf` speaks as drf-chunked-upload, `chunky` as django-chunky-upload (the same requests, a few other answers, nothing to read),
   * `parent` as django-chunked-upload: `POST upload/` with the form field `upload_id`, and `POST complete/`.
   * @default 'drf'
   */
  readonly dialect?: DialectName | undefined
  /** Form field that carries the bytes. @default the plugin's `fieldName` */
  readonly fieldName?: string | readonly string[] | undefined
  /**
   * Algorithm of the whole-file checksum, also the name of its field; false asks for none.
   * @default the plugin's `checksum`
   */
  readonly checksum?: string | false | undefined
  /** Time from creation until an unfinished upload expires; null for never. @default the plugin's `expirationDelta` */
  readonly expirationDelta?: Duration | null | undefined
  /** Requests without a user are refused, in the dialect's words. @default the plugin's `requireUser` */
  readonly requireUser?: boolean | undefined
  /** How ids are written on the wire: 32 hex digits, or a UUID with dashes. Both are understood. @default 'hex' */
  readonly idFormat?: 'hex' | 'dashes' | undefined
  /**
   * A chunk without a (well-formed) Content-Range is refused; false takes it as the whole file.
   * @default true, in dialect `parent` false
   */
  readonly requireContentRange?: boolean | undefined
  /** A new upload needs the form field `filename`; otherwise the name of the file part will do. @default false */
  readonly requireFilename?: boolean | undefined
  /**
   * The total that the first chunk tells is binding: later chunks must repeat it, and completion needs all its bytes. False gives the
   * originals' behaviour: each chunk may tell another total, and what is there at completion is the file.
   * @default true
   */
  readonly requireComplete?: boolean | undefined
  /** DELETE removes an unfinished upload. @default true, in dialect `chunky` false; dialect `parent` has no URL for it */
  readonly allowDelete?: boolean | undefined
  /**
   * What the record's `file` says: where the bytes can be had; null where they cannot.
   * @default `<url>/file` of a finished upload where the plugin's `downloads` are on, else null
   */
  readonly fileUrl?: ((upload: Upload, request: FastifyRequest) => string | null) | undefined
  /**
   * Public URL of this mount, such as `https://example.com/api/files`, where a proxy or `rewriteUrl` changes host or path.
   * @default the plugin's `baseUrl` and this `prefix` where that is given, else as the request says
   */
  readonly baseUrl?: string | undefined
  /** What the record's `url` says. @default the address of the mount, and the id after it */
  readonly uploadUrl?: ((upload: Upload, request: FastifyRequest) => string) | undefined
  /** Changes the record before it is sent. @default record => record */
  readonly serialize?: ((record: JsonObject, upload: Upload, request: FastifyRequest) => JsonObject) | undefined
}

/** What the verbs read of the options. What is undefined is as the plugin says. */
export interface ContentRangeSettings extends Pick<ContentRangeOptions, 'serialize' | 'uploadUrl' | 'fileUrl' | 'requireUser'> {
  readonly checksum: string | false | undefined
  /** ms; null for never. */
  readonly expirationDelta: number | null | undefined
  /** Public URL of the mount. */
  readonly baseUrl: URL | undefined
  readonly fieldNames: readonly string[] | undefined
  readonly idFormat: 'hex' | 'dashes'
  readonly requireContentRange: boolean
  readonly requireFilename: boolean
  readonly requireComplete: boolean
  readonly allowDelete: boolean
  readonly dialect: Dialect
  readonly dialectName: DialectName
}

/** @throws {InvalidOption} */
export function settingsOf (options: ContentRangeOptions): ContentRangeSettings {
  checkByRules('contentRange', options, rules)
  const { dialect: dialectName = 'drf', fieldName, baseUrl } = options
  return {
    dialectName,
    dialect: dialects[dialectName],
    fieldNames: fieldName === undefined ? undefined : [fieldName].flat(),
    checksum: options.checksum,
    expirationDelta: lifetimeOf(options.expirationDelta, undefined),
    requireUser: options.requireUser,
    baseUrl: baseUrl === undefined ? undefined : new URL(baseUrl),
    idFormat: options.idFormat ?? 'hex',
    requireContentRange: options.requireContentRange ?? dialectName !== 'parent',
    requireFilename: options.requireFilename ?? false,
    requireComplete: options.requireComplete ?? true,
    allowDelete: options.allowDelete ?? dialectName === 'drf',
    fileUrl: options.fileUrl,
    uploadUrl: options.uploadUrl,
    serialize: options.serialize
  }
}
