import type { FastifyInstance } from 'fastify'
import { type Declare, service } from '../service.js'
import { cancel } from './cancel.js'
import { chunk } from './chunk.js'
import { cleanup } from './cleanup.js'
import { complete } from './complete.js'
import { create } from './create.js'
import { details } from './details.js'
import { direct } from './direct.js'
import { download } from './download.js'
import { errorsOf } from './errors.js'
import { sweepFiles } from './file-sweep.js'
import { list } from './list.js'
import type { TaskMount } from './mount.js'
import { progress } from './progress.js'
import { recent } from './recent.js'
import { resume } from './resume.js'
import { schemas } from './schemas.js'
import { stats } from './stats.js'

/** The routes of a mount, and the sweep of expired files where the host wants one. */
export function serve (mount: TaskMount, scope: FastifyInstance): Declare {
  const { errorStyle, downloads, sweepEvery } = mount.settings
  if (sweepEvery > 0) sweepFiles(mount, scope, sweepEvery)
  return service({
    mount,
    errors: errorsOf(errorStyle),
    routes: [
      downloads !== false &&
        { name: 'download', method: ['GET', 'HEAD'], url: '/file/:fileId/', schema: schemas.download, verb: download },
      { name: 'create', method: 'POST', url: '/create/', schema: schemas.create, verb: create },
      { name: 'chunk', method: 'POST', url: '/chunk/:taskId/:chunkIndex/', schema: schemas.chunk, verb: chunk },
      { name: 'complete', method: 'POST', url: '/complete/:taskId/', schema: schemas.complete, verb: complete },
      { name: 'list', method: 'GET', url: '/tasks/', schema: schemas.tasks, verb: list },
      { name: 'recent', method: 'GET', url: '/tasks/recent/', schema: schemas.recent, verb: recent },
      { name: 'cleanup', method: 'DELETE', url: '/tasks/cleanup/', schema: schemas.cleanup, verb: cleanup },
      { name: 'details', method: 'GET', url: '/tasks/:taskId/details/', schema: schemas.details, verb: details },
      { name: 'progress', method: 'GET', url: '/progress/:taskId/', schema: schemas.progress, verb: progress },
      { name: 'resume', method: 'GET', url: '/resume/:taskId/', schema: schemas.resume, verb: resume },
      { name: 'remove', method: 'DELETE', url: '/task/:taskId/', schema: schemas.cancel, verb: cancel },
      { name: 'stats', method: 'GET', url: '/stats/', schema: schemas.stats, verb: stats },
      { name: 'direct', method: 'POST', url: '/direct/', schema: schemas.direct, verb: direct }
    ]
  })
}
