import type { FastifyInstance } from 'fastify'
import { checksumAlgorithms } from '../../engine/index.js'
import { declareRoutes, type Route, type RouteSetting } from '../../http/routing/routes.js'
import {
  type Duration, type Rules, boolean, checkByRules, checksumOf, either, func, lifetime, mountRules, or, string, url, whole
} from '../../option-rules.js'
import type { Upload } from '../../upload.js'
import type { Protocol, Uploads } from '../contract.js'
import { receiveChunk } from './chunk.js'
import { completeUpload } from './complete.js'
import { Mount } from './mount.js'
import { download, listVideos } from './read.js'
import { chunkSchema, completeSchema, downloadSchema, listSchema } from './schemas.js'
import { wordChunkError, wordCompleteError } from './wording.js'

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

const RULES: Rules<FormAppendOptions> = {
  ...mountRules,
  maxBytes: { ...or(null, whole(0)), text: 'must be a whole number of bytes, or null for no limit' },
  expirationDelta: lifetime(0),
  checksum: checksumOf(checksumAlgorithms),
  contentRange: boolean,
  baseUrl: url,
  mediaUrl: either('must be a string or a function', string, func),
  listAnonymous: boolean
}

/**
 * The protocol of the Django Chunked Video Upload API: chunks as multipart forms, appended one after the other by `upload_id`.
 *
 * | route | does |
 * |---|---|
 * | `POST upload/` (`chunk`) | stores the part `file`; without `upload_id` it is the first of a new upload |
 * | `POST upload/complete/` (`complete`) | completes the upload `upload_id` |
 * | `GET videos/` (`list`) | finished uploads, the newest first |
 * | `GET videos/<upload_id>/` (`download`) | the finished file, where the registration allows downloads |
 * @throws {InvalidOption}
 */
export function formAppend (options: FormAppendOptions = {}): Protocol {
  checkByRules('formAppend', options, RULES)
  return {
    name: options.name ?? 'formAppend',
    prefix: options.prefix ?? '',
    register: (scope, uploads) => { register(scope, uploads, options) }
  }
}

function register (scope: FastifyInstance, uploads: Uploads, options: FormAppendOptions): void {
  const protocol = options.name ?? 'formAppend'
  const mount = new Mount(uploads, options, scope.prefix)
  const { downloads } = uploads.settings
  const files: readonly Route[] = downloads === false
    ? []
    : [{
        name: 'download',
        method: ['GET', 'HEAD'],
        url: '/videos/:uploadId/',
        schema: downloadSchema,
        handler: download(mount, downloads)
      }]
  const declare = (routes: readonly Route[], wordError: NonNullable<RouteSetting['wordError']>): void => {
    declareRoutes(scope, routes, { speaks: 'contentRange', wordError, routeOptions: route => uploads.routeOptions({ ...route, protocol }) })
  }
  declare([{ name: 'chunk', method: 'POST', url: '/upload/', schema: chunkSchema, handler: receiveChunk(mount) }], wordChunkError)
  declare([
    { name: 'complete', method: 'POST', url: '/upload/complete/', schema: completeSchema, handler: completeUpload(mount) },
    { name: 'list', method: ['GET', 'HEAD'], url: '/videos/', schema: listSchema, handler: listVideos(mount) },
    ...files
  ], wordCompleteError)
}
