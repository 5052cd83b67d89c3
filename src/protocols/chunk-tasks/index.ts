import { type Route, declareRoutes } from '../../http/routing/routes.js'
import { cancel, cleanup } from './cancel.js'
import { chunk } from './chunk.js'
import { complete } from './complete.js'
import { create } from './create.js'
import { direct } from './direct.js'
import { download } from './download.js'
import { sweepFiles } from './file-sweep.js'
import type { Mount } from './mount.js'
import { type ChunkTasksOptions, checkChunkTasksOptions, settingsOf, sweepEvery } from './options.js'
import { schemas } from './schemas.js'
import { details, listTasks, progress, recentTasks, resume, stats } from './tasks.js'
import { wordingOf } from './wording.js'
import type { Protocol } from '../contract.js'

export type { Encryption, KeyAsker } from './encryption.js'
export type { ChunkTasksOptions, ErrorStyle, FindFile } from './options.js'
export type { Bundle, ChunkTaskHooks, Pool, Quota, WantedTask } from './hooks.js'
export { taskIdOf, uploadIdOf } from './task-id.js'

/**
 * Tasks whose chunks come by index, in any order and from several connections: the contract of DysonNetwork Drive's multi-part upload,
 * with its later routes for lists, progress, resumption and cancelling. A client that names the hash of a file which is there
 * already need not send it. Where the registration allows downloads, `GET file/{id}` serves finished files.
 * @throws {InvalidOption}
 */
export function chunkTasks (options: ChunkTasksOptions = {}): Protocol {
  checkChunkTasksOptions(options)
  const { name = 'chunkTasks', prefix = '', errorStyle = 'api' } = options
  return {
    name,
    prefix,
    register: (scope, uploads) => {
      declareRoutes(scope, routesOf({ uploads, settings: settingsOf(options, uploads.settings) }), {
        wordError: wordingOf(errorStyle),
        routeOptions: route => uploads.routeOptions({ ...route, protocol: name })
      })
      const every = sweepEvery(options)
      if (every > 0) sweepFiles(scope, uploads.engine, name, every)
    }
  }
}

function routesOf (mount: Mount): readonly Route[] {
  const { downloads } = mount.uploads.settings
  const files: readonly Route[] = downloads === false
    ? []
    : [{ name: 'download', method: ['GET', 'HEAD'], url: '/file/:fileId/', schema: schemas.download, handler: download(mount, downloads) }]
  return [
    ...files,
    { name: 'create', method: 'POST', url: '/create/', schema: schemas.create, handler: create(mount) },
    { name: 'chunk', method: 'POST', url: '/chunk/:taskId/:chunkIndex/', schema: schemas.chunk, handler: chunk(mount) },
    { name: 'complete', method: 'POST', url: '/complete/:taskId/', schema: schemas.complete, handler: complete(mount) },
    { name: 'list', method: 'GET', url: '/tasks/', schema: schemas.tasks, handler: listTasks(mount) },
    { name: 'recent', method: 'GET', url: '/tasks/recent/', schema: schemas.recent, handler: recentTasks(mount) },
    { name: 'cleanup', method: 'DELETE', url: '/tasks/cleanup/', schema: schemas.cleanup, handler: cleanup(mount) },
    { name: 'details', method: 'GET', url: '/tasks/:taskId/details/', schema: schemas.details, handler: details(mount) },
    { name: 'progress', method: 'GET', url: '/progress/:taskId/', schema: schemas.progress, handler: progress(mount) },
    { name: 'resume', method: 'GET', url: '/resume/:taskId/', schema: schemas.resume, handler: resume(mount) },
    { name: 'remove', method: 'DELETE', url: '/task/:taskId/', schema: schemas.cancel, handler: cancel(mount) },
    { name: 'stats', method: 'GET', url: '/stats/', schema: schemas.stats, handler: stats(mount) },
    { name: 'direct', method: 'POST', url: '/direct/', schema: schemas.direct, handler: direct(mount) }
  ]
}
