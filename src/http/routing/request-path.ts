import type { FastifyRequest } from 'fastify'

/**
 * The path of a request as the client wrote it, without slashes at its end. Of an absolute target (RFC 9112, section 3.2.2) scheme and
 * host are not ours to repeat.
 */
export function requestPath ({ originalUrl }: FastifyRequest): string {
  return withoutEndSlashes(originalUrl.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] ?? '')
}

/** By hand: an expression for the slashes at the end looks at each of many slashes again and again. */
export function withoutEndSlashes (path: string): string {
  let end = path.length
  while (path[end - 1] === '/') end--
  return path.slice(0, end)
}
