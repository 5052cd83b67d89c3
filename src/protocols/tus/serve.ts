import type { FastifyInstance } from 'fastify'
import { discoveryConfig } from '../../http/routing/discovery-config.js'
import type { Mount } from '../mount.js'
import { type Declare, requestedMethod, service } from '../service.js'
import { create } from './create.js'
import { announce, discover } from './discovery.js'
import { download } from './download.js'
import { errorsOf, refuse } from './errors.js'
import { head } from './head.js'
import { checkVersion } from './headers.js'
import { TusMount } from './mount.js'
import type { TusSettings } from './options.js'
import { patch } from './patch.js'
import { schemasOf } from './schemas.js'
import { terminate } from './terminate.js'

/** The routes of tus, with the extensions that are on. */
export function serve (plain: Mount<TusSettings>, scope: FastifyInstance): Declare {
  const mount = new TusMount(plain)
  const { extensions, errorFormat, downloads } = mount.settings
  const { discover: discoverSchema, ...schemas } = schemasOf(mount.settings)
  if (extensions.has('concatenation-unfinished')) scope.addHook('onReady', async () => { mount.recover(scope.log) })
  const discovery = { name: 'discover', method: 'OPTIONS', schema: discoverSchema, config: discoveryConfig, verb: discover } as const
  return service({
    mount,
    speaks: 'tus',
    methodOverride: true,
    continueWhenRead: true,
    announce,
    errors: errorsOf(errorFormat),
    routes: [
      { ...discovery, url: '/' },
      { ...discovery, url: '/:id' },
      extensions.has('creation') && { name: 'create', method: 'POST', url: '/', schema: schemas.create, verb: create },
      { name: 'offset', method: 'HEAD', url: '/:id', schema: schemas.offset, verb: head },
      { name: 'chunk', method: 'PATCH', url: '/:id', schema: schemas.chunk, verb: patch },
      extensions.has('termination') && { name: 'remove', method: 'DELETE', url: '/:id', schema: schemas.remove, verb: terminate },
      downloads !== false && { name: 'download', method: 'GET', url: '/:id', schema: schemas.download, verb: download }
    ],
    methodNotAllowed: ({ request }) => {
      const method = requestedMethod(request)
      if (method !== 'GET') checkVersion(request)
      throw refuse(405, 'METHOD', `${method} is not possible here`)
    }
  })
}
