import type { Mount } from '../mount.js'
import { type Declare, service, type VerbRoute } from '../service.js'
import { chunk } from './chunk.js'
import { complete } from './complete.js'
import { create } from './create.js'
import { detail } from './detail.js'
import { download } from './download.js'
import { errorsOf } from './errors.js'
import { list } from './list.js'
import { ContentRangeMount } from './mount.js'
import type { ContentRangeSettings } from './options.js'
import { parentChunk } from './parent-chunk.js'
import { parentComplete } from './parent-complete.js'
import { remove } from './remove.js'
import { schemasOf } from './schemas.js'
import { single } from './single.js'

type Route = VerbRoute<ContentRangeMount>

/** The routes of the dialect that is spoken. */
export function serve ({ parts }: Mount<ContentRangeSettings>): Declare {
  const mount = new ContentRangeMount(parts)
  const { dialect, checksum } = mount.settings
  const routes = routesOf(mount).filter(route => route !== false)
  return service({
    mount,
    speaks: 'contentRange',
    errors: errorsOf(dialect, checksum),
    routes,
    allow: url => allowOf(routes, url)
  })
}

function routesOf ({ settings }: ContentRangeMount): ReadonlyArray<Route | false> {
  const { dialectName, allowDelete, downloads } = settings
  const schemas = schemasOf(settings)
  if (dialectName === 'parent') {
    return [
      { name: 'chunk', method: 'POST', url: '/upload/', schema: schemas.chunk, verb: parentChunk },
      { name: 'complete', method: 'POST', url: '/complete/', schema: schemas.complete, verb: parentComplete }
    ]
  }
  const reads = dialectName === 'drf'
  return [
    { name: 'create', method: 'PUT', url: '/', schema: schemas.create, verb: create },
    { name: 'single', method: 'POST', url: '/', schema: schemas.single, verb: single },
    { name: 'chunk', method: 'PUT', url: '/:id/', schema: schemas.chunk, verb: chunk },
    { name: 'complete', method: 'POST', url: '/:id/', schema: schemas.complete, verb: complete },
    reads && { name: 'list', method: ['GET', 'HEAD'], url: '/', schema: schemas.list, verb: list },
    reads && { name: 'detail', method: ['GET', 'HEAD'], url: '/:id/', schema: schemas.detail, verb: detail },
    downloads !== false &&
      { name: 'download', method: ['GET', 'HEAD'], url: '/:id/file/', schema: schemas.download, verb: download },
    allowDelete && { name: 'remove', method: 'DELETE', url: '/:id/', schema: schemas.remove, verb: remove }
  ]
}

/** `Allow` in the order that the originals send. */
function allowOf (routes: readonly Route[], url: string): string {
  const known = new Set<string>(['OPTIONS', ...routes.filter(route => route.url === url).flatMap(({ method }) => method)])
  return ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'].filter(method => known.has(method)).join(', ')
}
