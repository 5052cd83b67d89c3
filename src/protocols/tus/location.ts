import type { FastifyRequest } from 'fastify'
import { requestPath, withoutEndSlashes } from '../../http/request-path.js'
import type { TusSettings } from './options.js'
import { Refusal } from './refusal.js'

/** Where clients see the mount. */
interface Mount {
  /** Host and port; undefined when the request names none. */
  readonly host: string | undefined
  readonly scheme: string
  /** Path without a slash at the end. */
  readonly path: string
}

/** The mount as a request to it sees it, which must be one to the mount's own URL. */
function mountOf (request: FastifyRequest, { baseUrl }: TusSettings): Mount {
  if (baseUrl !== undefined) {
    return { host: baseUrl.host, scheme: baseUrl.protocol.slice(0, -1), path: withoutEndSlashes(baseUrl.pathname) }
  }
  const host = typeof request.host === 'string' && /^[\w.:[\]-]+$/.test(request.host) ? request.host : undefined
  // Two slashes at the start would name a host.
  const path = requestPath(request).replace(/^\/+/, '')
  return { host, scheme: request.protocol, path: path === '' ? '' : `/${path}` }
}

/** The URL of an upload, for Location. */
export function locationOf (request: FastifyRequest, id: string, settings: TusSettings): string {
  const { host, scheme, path } = mountOf(request, settings)
  return settings.relativeLocation || host === undefined ? `${path}/${id}` : `${scheme}://${host}${path}/${id}`
}

/**
 * The id of an upload by its URL, which is absolute or relative to the mount; nothing outside the mount is ever looked at.
 * The scheme does not count: clients may see https where we see http.
 * @throws {Refusal} 400
 */
export function idAt (url: string, request: FastifyRequest, settings: TusSettings): string {
  const { host = 'localhost', scheme, path } = mountOf(request, settings)
  const base = `${scheme}://${host}${path}/`
  if (!URL.canParse(url, base)) throw notHere()
  const target = new URL(url, base)
  const id = target.pathname.startsWith(`${path}/`) ? target.pathname.slice(path.length + 1) : ''
  const sameHost = /^https?:$/.test(target.protocol) && new URL(`${target.protocol}//${host}`).host === target.host
  if (!sameHost || !/^[\w-]+$/.test(id) || target.search !== '' || target.hash !== '') throw notHere()
  return id
}

const notHere = (): Refusal => new Refusal(400, 'CONCAT', 'Upload-Concat names something else than uploads of this server')
