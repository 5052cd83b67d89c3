import { type Route, declareRoutes } from '../../http/routing/routes.js'
import { complete, single } from './complete.js'
import type { Mount } from './mount.js'
import { type ContentRangeOptions, checkContentRangeOptions, settingsOf } from './options.js'
import { postChunk, postComplete } from './parent.js'
import { putFirst, putNext } from './put.js'
import { detail, download, list } from './read.js'
import { remove } from './remove.js'
import { schemasOf } from './schemas.js'
import { wordingOf } from './wording.js'
import type { Protocol } from '../contract.js'

export type { DialectName } from './dialect.js'
export type { ContentRangeOptions } from './options.js'

/**
 * Chunks by PUT with Content-Range, completed by POST with a checksum: the contract of drf-chunked-upload, of django-chunky-upload and of
 * their parent django-chunked-upload. Chunks are the file part of a form; raw bodies of any other media type are served as well.
 * Other text fields of a form mean nothing, as with drf: what a hook has to know of a request belongs into its URL or headers.
 * @throws {InvalidOption}
 */
export function contentRange (options: ContentRangeOptions = {}): Protocol {
  checkContentRangeOptions(options)
  const { name = 'contentRange', prefix = '' } = options
  return {
    name,
    prefix,
    register: (scope, uploads) => {
      const settings = settingsOf(options, uploads.settings, scope.prefix)
      const routes = routesOf({ uploads, settings })
      declareRoutes(scope, routes, {
        speaks: 'contentRange',
        wordError: wordingOf(settings.dialect, settings.checksum),
        routeOptions: route => uploads.routeOptions({ ...route, protocol: name }),
        allow: url => allowOf(routes, url)
      })
    }
  }
}

function routesOf (mount: Mount): readonly Route[] {
  const { dialectName, allowDelete } = mount.settings
  const schemas = schemasOf(mount.settings)
  if (dialectName === 'parent') {
    return [
      { name: 'chunk', method: 'POST', url: '/upload/', schema: schemas.parentChunk, handler: postChunk(mount) },
      { name: 'complete', method: 'POST', url: '/complete/', schema: schemas.parentComplete, handler: postComplete(mount) }
    ]
  }
  const routes: Route[] = [
    { name: 'create', method: 'PUT', url: '/', schema: schemas.firstChunk, handler: putFirst(mount) },
    { name: 'single', method: 'POST', url: '/', schema: schemas.single, handler: single(mount) },
    { name: 'chunk', method: 'PUT', url: '/:id/', schema: schemas.chunk, handler: putNext(mount) },
    { name: 'complete', method: 'POST', url: '/:id/', schema: schemas.complete, handler: complete(mount) }
  ]
  if (dialectName === 'drf') {
    routes.push({ name: 'list', method: ['GET', 'HEAD'], url: '/', schema: schemas.list, handler: list(mount) })
    routes.push({ name: 'detail', method: ['GET', 'HEAD'], url: '/:id/', schema: schemas.detail, handler: detail(mount) })
  }
  const { downloads } = mount.uploads.settings
  if (downloads !== false) {
    const handler = download(mount, downloads)
    routes.push({ name: 'download', method: ['GET', 'HEAD'], url: '/:id/file/', schema: schemas.download, handler })
  }
  if (allowDelete) routes.push({ name: 'remove', method: 'DELETE', url: '/:id/', schema: schemas.remove, handler: remove(mount) })
  return routes
}

/** `Allow` in the order that the originals send. */
function allowOf (routes: readonly Route[], url: string): string {
  const known = new Set<string>(['OPTIONS', ...routes.filter(route => route.url === url).flatMap(({ method }) => method)])
  return ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'].filter(method => known.has(method)).join(', ')
}
