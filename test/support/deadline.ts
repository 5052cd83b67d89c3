import events, { type EventEmitter } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'

/**
 * How long one step of a test may take, in milliseconds: a request, a start of a server, a script in a page. It is long enough for a busy
 * machine. What never comes fails its own test by name, and does not hold the file until the runner stops it.
 */
export const DEADLINE = 40_000

/** @throws when `work` is not done at the deadline; `what` names it */
export async function within<T> (work: Promise<T>, what: string, ms = DEADLINE): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`${what} took longer than ${ms} ms`)) }, ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** `once` of node:events. @throws when the event has not come at the deadline */
export function once (emitter: EventEmitter, event: string): ReturnType<typeof events.once> {
  return within(events.once(emitter, event), `the event "${event}"`)
}

/**
 * The global `fetch`, which ends at the deadline or when `init.signal` says so, its body included. On Node 20 a fetch whose server has died
 * may never settle by itself. The reply is read whole before it is given.
 */
export async function fetch (url: string | URL, init: RequestInit = {}): Promise<Response> {
  const controller = new AbortController()
  const { signal } = init
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = (): void => {
      reject(signal?.reason)
      controller.abort()
    }
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
  const read = async (): Promise<Response> => {
    const reply = await globalThis.fetch(url, { ...init, signal: controller.signal })
    const { status, statusText, headers } = reply
    const bytes = await reply.arrayBuffer()
    return new Response([204, 205, 304].includes(status) ? null : bytes, { status, statusText, headers })
  }
  try {
    return await within(Promise.race([read(), aborted]), `${init.method ?? 'GET'} ${String(url)}`)
  } finally {
    controller.abort()
  }
}

/** `request` of node:http; it is destroyed with an error when its reply is not there, whole, at the deadline. */
export function request (
  options: http.RequestOptions & { readonly url?: string }, onResponse: (response: http.IncomingMessage) => void = () => {}
): http.ClientRequest {
  const { url, ...others } = options
  const request = url === undefined ? http.request(others) : http.request(url, others)
  const timer = setTimeout(() => { request.destroy(new Error(`${request.method} ${request.path} took too long`)) }, DEADLINE)
  return request.on('response', onResponse).once('close', () => { clearTimeout(timer) })
}

/** `connect` of node:net, to a port of this machine or a path; a connection on which nothing moves until the deadline is destroyed. */
export function connectSocket (to: number | string): net.Socket {
  const socket = typeof to === 'number' ? net.connect(to, '127.0.0.1') : net.connect(to)
  return socket.setTimeout(DEADLINE, () => { socket.destroy(new Error(`nothing moved on a socket for ${DEADLINE} ms`)) })
}

/** `connect` of node:http2; a session on which nothing moves until the deadline is destroyed, and so are its streams. */
export function connectHttp2 (url: string, options: http2.ClientSessionOptions = {}): http2.ClientHttp2Session {
  const session = http2.connect(url, options)
  session.setTimeout(DEADLINE, () => { session.destroy(new Error(`nothing moved on a session for ${DEADLINE} ms`)) })
  return session
}
