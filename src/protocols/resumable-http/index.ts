import type { FastifyReply, FastifyRequest } from 'fastify'
import { discoveryConfig } from '../../http/routing/discovery-config.js'
import { continueWhenRead } from '../../http/body/expect-continue.js'
import { declareRoutes, type Route } from '../../http/routing/routes.js'
import type { Protocol } from '../contract.js'
import { append } from './append.js'
import { cancel } from './cancel.js'
import { create } from './create.js'
import { ResumableMount } from './mount.js'
import { type ResumableHttpOptions, settingsOf } from './options.js'
import { PARTIAL_UPLOAD, Refusal, wordError } from './problem.js'
import { isAppend, markRefused } from './refused.js'
import { ResumableRoutes } from './resumable-route.js'
import { retrieve } from './retrieve.js'
import { schemas } from './schemas.js'
import { versionEcho } from './versions.js'

export type { ResumableHttpOptions } from './options.js'

type Verb = (mount: ResumableMount, request: FastifyRequest, reply: FastifyReply, id: string) => Promise<FastifyReply>

/**
 * Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload): interop versions 3 to 9, and requests without a version. Serves a mount
 * of its own, and routes of the host that are declared after it with `config: { resumable: true }`: their handler gets the finished upload
 * as if it had come in one piece.
 * @throws {InvalidOption}
 */
export function resumableHttp (options: ResumableHttpOptions = {}): Protocol {
  const settings = settingsOf(options)
  const { name } = settings
  return {
    name,
    prefix: options.prefix ?? '',
    register (scope, uploads, host) {
      const mount = new ResumableMount(uploads, settings, scope.prefix)
      const routes = new ResumableRoutes(mount, host)
      routes.install()
      continueWhenRead(scope)
      scope.addHook('onSend', async (request, reply) => {
        reply.headers(versionEcho(request))
        markRefused(request, reply, idIn(request) !== '' && isAppend(request))
        await announceLimits(mount, request, reply)
      })

      const route = (name: keyof typeof schemas, method: Route['method'], url: string, verb: Verb): Route => ({
        name,
        method,
        url,
        schema: schemas[name],
        ...method === 'OPTIONS' && { config: discoveryConfig },
        handler: async (request, reply) => await verb(mount, request, reply, idIn(request))
      })
      declareRoutes(scope, [
        route('limits', 'OPTIONS', '/', tellLimits),
        route('limits', 'OPTIONS', '/:id', tellLimits),
        route('create', ['POST', 'PUT', 'PATCH'], '/', create),
        route('offset', ['HEAD', 'GET'], '/:id', retrieve),
        route('append', 'PATCH', '/:id', async (mount, request, reply, id) => await append(mount, request, reply, id, routes)),
        route('cancel', 'DELETE', '/:id', cancel)
      ], {
        speaks: 'resumableHttp',
        wordError,
        methodOverride: true,
        routeOptions: route => uploads.routeOptions({ ...route, protocol: name }),
        methodNotAllowed: request => { throw new Refusal(405, `${request.method} is not possible here`) }
      })
    }
  }
}

/** OPTIONS: what the server takes. */
async function tellLimits (mount: ResumableMount, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const limit = await mount.limitForAnyone(request, reply)
  const allow = idIn(request) === '' ? 'POST, PUT, PATCH, OPTIONS' : 'HEAD, GET, PATCH, DELETE, OPTIONS'
  return await reply.headers({ 'Upload-Limit': limit, 'Accept-Patch': PARTIAL_UPLOAD, allow }).code(200).send()
}

/** The same where @fastify/cors has answered already; a preflight of a browser asks for something else. */
async function announceLimits (mount: ResumableMount, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (request.method !== 'OPTIONS' || 'access-control-request-method' in request.headers) return
  if (reply.hasHeader('upload-limit') || reply.statusCode >= 400) return
  // Hooks that determine the user have not run: what the host then says of the user, or throws, is no answer.
  const limit = await mount.limitForAnyone(request, reply).catch(() => undefined)
  if (limit !== undefined) reply.headers({ 'Upload-Limit': limit, 'Accept-Patch': PARTIAL_UPLOAD })
}

/** The id in the URL; anything that is no id is an unknown one. */
function idIn (request: FastifyRequest): string {
  const { params } = request
  return typeof params === 'object' && params !== null && 'id' in params && typeof params.id === 'string' ? params.id : ''
}
