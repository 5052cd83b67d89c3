import { validateHeaderValue } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import type { ResumableHttpSettings } from './options.js'
import { interopNumber, versionEcho } from './versions.js'

/** 104 (Upload Resumption Supported). */
const STATUS = 104
const REASON = 'Upload Resumption Supported'

/**
 * Tells a client of its upload before the final reply, where the host allows it and the request names a version: other clients may take a
 * status that they do not know for the final one.
 */
export function sendInterim (reply: FastifyReply, { interim }: ResumableHttpSettings, headers: Readonly<Record<string, string>>): void {
  if (interim && interopNumber(reply.request) !== undefined) writeInterim(reply, { ...versionEcho(reply.request), ...headers })
}

/**
 * Writes an interim reply before the final one: the first one names the upload, so that a client whose connection breaks can resume. Node
 * has a method for any interim status only in newer versions; before them HTTP/2 has one of its own, and on HTTP/1 the reply writes
 * itself, in order with replies that came before it. Without a connection (injected requests), or once the final reply has begun, nothing
 * is sent.
 */
function writeInterim (reply: FastifyReply, headers: Readonly<Record<string, string>>): void {
  const raw: unknown = reply.raw
  const { headersSent, destroyed } = reply.raw
  if (headersSent || destroyed || !canTakeInterim(reply)) return
  for (const [name, value] of Object.entries(headers)) validateHeaderValue(name, value)
  if (hasMethod(raw, 'writeInformation')) Reflect.apply(raw.writeInformation, raw, [STATUS, headers])
  else if (raw instanceof Http2ServerResponse) raw.stream.additionalHeaders({ ':status': STATUS, ...lowerCased(headers) })
  else if (hasMethod(raw, '_writeRaw')) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    Reflect.apply(raw._writeRaw, raw, [`HTTP/1.1 ${STATUS} ${REASON}\r\n${lines.join('')}\r\n`, 'latin1'])
  }
}

/** Interim replies are unknown to HTTP/1.0, and need a connection. */
function canTakeInterim (reply: FastifyReply): boolean {
  const { raw } = reply
  if (raw instanceof Http2ServerResponse) return !raw.stream.destroyed
  // The reply itself has no socket before those of earlier requests are out; what it writes waits for it.
  const { httpVersionMajor, httpVersionMinor, socket } = reply.request.raw
  return socket instanceof Socket && httpVersionMajor === 1 && httpVersionMinor >= 1
}

type Methods<Name extends string> = { readonly [key in Name]: (...args: readonly unknown[]) => unknown }

function hasMethod<Name extends string> (object: unknown, name: Name): object is Methods<Name> {
  return typeof object === 'object' && object !== null && typeof Reflect.get(object, name) === 'function'
}

function lowerCased (headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
