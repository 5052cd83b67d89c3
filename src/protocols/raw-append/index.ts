import type { FastifyInstance } from 'fastify'
import type { Caller } from '../../engine/index.js'
import { declareRoutes } from '../../http/routing/routes.js'
import {
  type Duration, type Rules, adapter, checkByRules, func, isObject, lifetime, lifetimeOf, mediaType, mountRules
} from '../../option-rules.js'
import type { Protocol, Uploads } from '../contract.js'
import { appendVideo } from './append.js'
import { createVideo } from './create.js'
import { getVideo } from './get.js'
import type { Joiner, JoinReport } from './joiner.js'
import { Joins } from './joins.js'
import type { Mount } from './mount.js'
import { appendSchema, createSchema, getSchema } from './schemas.js'
import { wordError } from './errors.js'

export interface RawAppendOptions {
  /** Names the mount. @default 'rawAppend' */
  readonly name?: string | undefined
  /** Below the registration's prefix. @default none */
  readonly prefix?: string | undefined
  /** Time from creation until a video is removed; null for never, as in the original, which knows no end of a video. @default null */
  readonly expirationDelta?: Duration | null | undefined
  /** Media type of `get_video`. @default 'video/mp4' */
  readonly contentType?: string | undefined
  /** Name under which browsers save a video. @default id => `video_${id}.mp4` */
  readonly filename?: ((id: number) => string) | undefined
  /**
   * Takes each body for a clip that can be played alone, and joins it to the video: `ffmpeg()`. Without it, bytes are appended to bytes.
   *
   * A clip is acknowledged as soon as its bytes are stored. The job that joins it works apart from the requests, builds a new file, and
   * puts it in the place of the old one in one step; until then `get_video` serves the old one. Clips that wait are joined together. A
   * clip that cannot be joined leaves the video as it was: `onJoinFailed` is told, then the clip is removed. Other trouble (storage, disk
   * space, no ffmpeg) keeps it: the job is done again with the next clip, and when the server starts, as it is after a crash.
   *
   * What the video has then is kept beside its record, so that the record itself shows no bytes. Do not switch it off while clips wait.
   */
  readonly join?: Joiner | undefined
  /** After a video has a new file. */
  readonly onJoined?: ((report: Pick<JoinReport, 'video'>) => void | Promise<void>) | undefined
  /** A clip is no playable one, and is about to be removed. */
  readonly onJoinFailed?: ((report: JoinReport) => void | Promise<void>) | undefined
}

const RULES: Rules<RawAppendOptions> = {
  ...mountRules,
  expirationDelta: lifetime(0),
  contentType: mediaType,
  filename: func,
  join: {
    holds: value => adapter('join').holds(value) && isObject(value) && Number(value.jobs) >= 1,
    text: 'must be ffmpeg(), or an object with jobs and join'
  },
  onJoined: func,
  onJoinFailed: func
}

/**
 * The protocol of the Video Management API: raw bodies, appended one after the other by a small integer. A video is never complete: it can
 * be read and appended to at any time. It counts as an unfinished upload where the registration limits these.
 *
 * | route | does |
 * |---|---|
 * | `POST create_video/` (`create`) | makes an empty video |
 * | `POST append_video/<id>/` (`append`) | appends the body |
 * | `GET get_video/<id>/` (`download`) | the bytes, with ranges and conditions |
 * @throws {InvalidOption}
 */
export function rawAppend (options: RawAppendOptions = {}): Protocol {
  checkByRules('rawAppend', options, RULES)
  return {
    name: options.name ?? 'rawAppend',
    prefix: options.prefix ?? '',
    register: (scope, uploads) => { register(scope, uploads, options) }
  }
}

function register (scope: FastifyInstance, uploads: Uploads, options: RawAppendOptions): void {
  const { name: protocol = 'rawAppend', join, onJoined, onJoinFailed } = options
  const { engine } = uploads
  const own: Caller = { protocol, user: null, restricted: false, maxBytes: null, maxStored: null, hooks: {} }
  const contents = engine.scratch(own)
  const joins = join === undefined
    ? undefined
    : new Joins({ engine, own, contents }, join, {
      onTrouble: (error, id) => { scope.log.error({ err: error, upload: id }, 'clips could not be joined, they are kept') },
      onFailed: async report => {
        scope.log.error({ err: report.error, upload: report.video.id, clip: report.clip.id }, 'a clip cannot be joined, it is removed')
        await onJoinFailed?.(report)
      },
      onJoined: async report => { await onJoined?.(report) }
    })
  if (joins !== undefined) scope.addHook('onReady', async () => { joins.recover() })

  const mount: Mount = {
    uploads,
    contents,
    joins,
    expirationDelta: lifetimeOf(options.expirationDelta, null),
    contentType: options.contentType ?? 'video/mp4',
    filename: options.filename ?? (id => `video_${id}.mp4`)
  }
  declareRoutes(scope, [
    { name: 'create', method: 'POST', url: '/create_video/', schema: createSchema, handler: createVideo(mount) },
    { name: 'append', method: 'POST', url: '/append_video/:id/', schema: appendSchema, handler: appendVideo(mount) },
    { name: 'download', method: ['GET', 'HEAD'], url: '/get_video/:id/', schema: getSchema, handler: getVideo(mount) }
  ], { wordError, routeOptions: route => uploads.routeOptions({ ...route, protocol }) })
}
