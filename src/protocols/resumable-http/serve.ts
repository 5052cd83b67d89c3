import { discoveryConfig } from '../../http/routing/discovery-config.js'
import type { HostApp } from '../contract.js'
import type { Mount } from '../mount.js'
import { Refusal } from '../refusal.js'
import { type Declare, service } from '../service.js'
import { append } from './append.js'
import { cancel } from './cancel.js'
import { create } from './create.js'
import { announce, tellLimits } from './discovery.js'
import { errors } from './errors.js'
import { ResumableMount } from './mount.js'
import type { ResumableHttpSettings } from './options.js'
import { ResumableRoutes } from './resumable-route.js'
import { retrieve } from './retrieve.js'
import { schemas } from './schemas.js'

/** The routes of resumableHttp; those of the host that ask for it become resumable as well. */
export function serve (plain: Mount<ResumableHttpSettings>, host: HostApp): Declare {
  const mount = new ResumableMount(plain)
  const hostRoutes = new ResumableRoutes(mount, host)
  hostRoutes.install()
  const limits = { name: 'limits', method: 'OPTIONS', schema: schemas.limits, config: discoveryConfig, verb: tellLimits } as const
  return service({
    mount,
    speaks: 'resumableHttp',
    methodOverride: true,
    continueWhenRead: true,
    announce,
    errors,
    routes: [
      { ...limits, url: '/' },
      { ...limits, url: '/:id' },
      { name: 'create', method: ['POST', 'PUT', 'PATCH'], url: '/', schema: schemas.create, verb: create },
      { name: 'offset', method: ['HEAD', 'GET'], url: '/:id', schema: schemas.offset, verb: retrieve },
      {
        name: 'append',
        method: 'PATCH',
        url: '/:id',
        schema: schemas.append,
        verb: async context => await append(context, hostRoutes)
      },
      { name: 'cancel', method: 'DELETE', url: '/:id', schema: schemas.cancel, verb: cancel }
    ],
    methodNotAllowed: ({ request }) => { throw new Refusal(405, `${request.method} is not possible here`) }
  })
}
