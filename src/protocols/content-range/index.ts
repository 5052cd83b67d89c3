import { type Route, declareRoutes } from '../../http/routing/routes.js'
import { chunk } from './chunk.js'
import { complete } from './complete.js'
import { handlerOf, type Mount, type Verb } from './context.js'
import { create } from './create.js'
import { detail } from './detail.js'
import { download } from './download.js'
import { wordingOf } from './errors.js'
import { list } from './list.js'
import { type ContentRangeOptions, checkContentRangeOptions, settingsOf } from './options.js'
import { parentChunk } from './parent-chunk.js'
import { parentComplete } from './parent-complete.js'
import { remove } from './remove.js'
import { schemasOf } from './schemas.js'
import { single } from './single.js'
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
  const { downloads } = mount.uploads.settings
  const schemas = schemasOf(mount.settings)
  const route = (name: keyof typeof schemas, method: Route['method'], url: string, verb: Verb): Route => ({
    name, method, url, schema: schemas[name], handler: handlerOf(mount, verb)
  })
  if (dialectName === 'parent') {
    return [route('chunk', 'POST', '/upload/', parentChunk), route('complete', 'POST', '/complete/', parentComplete)]
  }
  return [
    route('create', 'PUT', '/', create),
    route('single', 'POST', '/', single),
    route('chunk', 'PUT', '/:id/', chunk),
    route('complete', 'POST', '/:id/', complete),
    ...dialectName === 'drf' ? [route('list', ['GET', 'HEAD'], '/', list), route('detail', ['GET', 'HEAD'], '/:id/', detail)] : [],
    ...downloads === false ? [] : [route('download', ['GET', 'HEAD'], '/:id/file/', download(downloads))],
    ...allowDelete ? [route('remove', 'DELETE', '/:id/', remove)] : []
  ]
}

/** `Allow` in the order that the originals send. */
function allowOf (routes: readonly Route[], url: string): string {
  const known = new Set<string>(['OPTIONS', ...routes.filter(route => route.url === url).flatMap(({ method }) => method)])
  return ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'].filter(method => known.has(method)).join(', ')
}
