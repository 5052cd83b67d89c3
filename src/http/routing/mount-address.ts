import type { FastifyRequest } from 'fastify'
import { requestPath, withoutEndSlashes } from './request-path.js'

/** Where clients see a mount. */
export interface MountAddress {
  /** Such as `https://example.com:81`; undefined where the request has no valid host, or none at all (HTTP/1.0). */
  readonly origin: string | undefined
  /** Path without a slash at its end. */
  readonly path: string
}

/**
 * The address that a client can call: what `baseUrl` says, else what the request says, which knows of a `rewriteUrl` of the host but not
 * of a path that a proxy has taken away.
 * @param prefix path of the mount, with Fastify's `:parameters`
 * @param baseUrl public URL of the mount; its path may have the same parameters
 */
export function mountAddress (request: FastifyRequest, prefix: string, baseUrl: URL | undefined): MountAddress {
  return baseUrl === undefined
    ? { origin: originOf(request), path: pathOf(request, prefix) }
    : { origin: baseUrl.origin, path: withParams(withoutEndSlashes(baseUrl.pathname), request) }
}

/** `X-Forwarded-…` count where the host trusts its proxies; what they say is text all the same. */
function originOf ({ protocol, host }: FastifyRequest): string | undefined {
  const isHost = typeof host === 'string' && /^[\w.:[\]-]+$/.test(host) && URL.canParse(`http://${host}`)
  return isHost ? `${protocol === 'https' ? 'https' : 'http'}://${host}` : undefined
}

function pathOf (request: FastifyRequest, prefix: string): string {
  // Two slashes at the start would name a host, and browsers read a backslash as a slash.
  const path = requestPath(request).replace(/^[/\\]+/, '/')
  const route = withoutEndSlashes(request.routeOptions.url ?? '')
  const mount = withoutEndSlashes(prefix)
  const isOwn = route === mount || (route.startsWith(`${mount}/`) && !/[*?]/.test(route))
  if (isOwn) return withoutLast(path, segments(route) - segments(mount))
  // A route of the host: what was taken from its path is taken from that of the mount, too.
  const routed = withoutEndSlashes(request.url.split(/[?#]/, 1)[0] ?? '')
  return (path.endsWith(routed) ? path.slice(0, path.length - routed.length) : '') + withParams(mount, request)
}

function segments (path: string): number {
  return path.split('/').length
}

function withoutLast (path: string, count: number): string {
  let rest = path
  for (let left = count; left > 0; left--) rest = withoutEndSlashes(rest.slice(0, Math.max(0, rest.lastIndexOf('/'))))
  return rest
}

/** A path such as `/:tenant/files` as the request has it. */
function withParams (path: string, { params }: FastifyRequest): string {
  return path.replace(/\/:(\w+)/g, (whole, name: string) => {
    const value: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, name) : undefined
    return typeof value === 'string' ? `/${encodeURIComponent(value)}` : whole
  })
}
