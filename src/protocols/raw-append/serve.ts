import type { FastifyInstance } from 'fastify'
import type { Mount } from '../mount.js'
import { type Declare, service } from '../service.js'
import { append } from './append.js'
import { create } from './create.js'
import { download } from './download.js'
import { errors } from './errors.js'
import { Joins } from './joins.js'
import type { RawAppendOptions, RawAppendSettings } from './options.js'
import { appendSchema, createSchema, downloadSchema } from './schemas.js'
import { VideoMount } from './mount.js'

/** The routes of a mount, and the jobs that join its clips. */
export function serve (
  { parts }: Mount<RawAppendSettings>, scope: FastifyInstance, { join, onJoined, onJoinFailed }: RawAppendOptions
): Declare {
  const mount = new VideoMount(parts)
  if (join !== undefined) {
    const joins = new Joins(mount, join, {
      onTrouble: (error, id) => { scope.log.error({ err: error, upload: id }, 'clips could not be joined, they are kept') },
      onFailed: async report => {
        scope.log.error({ err: report.error, upload: report.video.id, clip: report.clip.id }, 'a clip cannot be joined, it is removed')
        await onJoinFailed?.(report)
      },
      onJoined: async report => { await onJoined?.(report) }
    })
    mount.joins = joins
    scope.addHook('onReady', async () => { joins.recover() })
  }
  return service({
    mount,
    errors,
    routes: [
      { name: 'create', method: 'POST', url: '/create_video/', schema: createSchema, verb: create },
      { name: 'append', method: 'POST', url: '/append_video/:id/', schema: appendSchema, verb: append },
      { name: 'download', method: ['GET', 'HEAD'], url: '/get_video/:id/', schema: downloadSchema, verb: download }
    ]
  })
}
