import type { FastifyReply, FastifyRequest } from 'fastify'
import { assertThere } from '../../engine/index.js'
import { discoveryConfig } from '../../http/routing/cors.js'
import { sendUpload } from '../../http/download/send-upload.js'
import { continueWhenRead } from '../../http/body/expect-continue.js'
import { methodOf } from '../../http/routing/method-override.js'
import { declareRoutes, type Route } from '../../http/routing/routes.js'
import type { Protocol } from '../contract.js'
import { create } from './create.js'
import { announceTus } from './discovery.js'
import { head } from './head.js'
import { checkVersion } from './headers.js'
import { TusMount } from './mount.js'
import { settingsOf, type TusOptions } from './options.js'
import { patch } from './patch.js'
import { Refusal, wordErrors } from './refusal.js'
import { schemasOf } from './schemas.js'
import { isPartial } from './state.js'
import { terminate } from './terminate.js'

export type { TusExtension, TusOptions } from './options.js'

type Verb = (mount: TusMount, request: FastifyRequest, reply: FastifyReply, id: string) => Promise<FastifyReply>

/**
 * tus 1.0.0 with all extensions: creation, creation-with-upload, creation-defer-length, expiration, checksum, checksum-trailer,
 * termination, concatenation and concatenation-unfinished. Finished uploads can be downloaded where the plugin's `downloads` says so.
 */
export function tus (options: TusOptions = {}): Protocol {
  const settings = settingsOf(options)
  const { name = 'tus', prefix = '' } = options
  return {
    name,
    prefix,
    register (scope, uploads) {
      const mount = new TusMount(uploads, settings, scope.prefix)
      const { extensions } = settings
      const words = wordErrors(settings.errorFormat)
      const schemas = schemasOf(settings)
      continueWhenRead(scope)
      announceTus(scope, mount)
      if (extensions.has('concatenation-unfinished')) scope.addHook('onReady', async () => { mount.recover(name, scope.log) })

      const route = (name: string, method: Route['method'], url: string, verb: Verb): Route => ({
        name,
        method,
        url,
        schema: schemas[name] ?? {},
        ...method === 'OPTIONS' && { config: discoveryConfig },
        handler: async (request, reply) => await verb(mount, request, reply, idIn(request))
      })
      const routes = [
        route('discover', 'OPTIONS', '/', discover),
        route('discover', 'OPTIONS', '/:id', discover),
        ...extensions.has('creation') ? [route('create', 'POST', '/', create)] : [],
        route('offset', 'HEAD', '/:id', head),
        route('chunk', 'PATCH', '/:id', patch),
        ...extensions.has('termination') ? [route('remove', 'DELETE', '/:id', terminate)] : [],
        ...uploads.settings.downloads === false ? [] : [route('download', 'GET', '/:id', download)]
      ]
      declareRoutes(scope, routes, {
        speaks: 'tus',
        wordError: words,
        methodOverride: true,
        routeOptions: route => uploads.routeOptions({ protocol: name, ...route }),
        methodNotAllowed: (request) => {
          if (methodOf(request) !== 'GET') checkVersion(request)
          throw new Refusal(405, 'METHOD', `${methodOf(request)} is not possible here`)
        }
      })
    }
  }
}

async function discover (_mount: TusMount, _request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return await reply.code(200).send()
}

/** GET is not of tus, and needs no Tus-Resumable. */
async function download (mount: TusMount, request: FastifyRequest, reply: FastifyReply, id: string): Promise<FastifyReply> {
  const upload = await mount.engine.get(await mount.caller(request, reply), id)
  assertThere(upload)
  if (upload.status !== 'complete' || isPartial(upload)) throw new Refusal(403, 'UNFINISHED', 'Only finished uploads can be downloaded')
  const { downloads } = mount
  return await sendUpload(request, reply, mount.engine, upload, downloads === false ? {} : { inline: downloads.inline })
}

/** The id in the URL; anything that is no id is an unknown one. */
function idIn (request: FastifyRequest): string {
  const { params } = request
  return typeof params === 'object' && params !== null && 'id' in params && typeof params.id === 'string' ? params.id : ''
}
