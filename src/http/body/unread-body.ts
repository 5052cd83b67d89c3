import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { constants, Http2ServerRequest } from 'node:http2'
import type { FastifyInstance, FastifyReply, onRequestHookHandler, onSendHookHandler } from 'fastify'
import { ShuttingDown } from '../../errors.js'
import { awaitsContinue } from './expect-continue.js'

interface RestLimits {
  readonly bytes: number
  readonly ms: number
}

/** For how much and how long the rest of a body is read and thrown away, so that the connection can take the next request. */
const REST: RestLimits = { bytes: 16 * 1024 * 1024, ms: 10_000 }
/**
 * The same once the server has closed its side: many clients look at the reply only after they have sent all, and a reset would take it
 * from them.
 */
const LINGER: RestLimits = { bytes: 128 * 1024 * 1024, ms: 5000 }
/** ms that replies have to leave the server once it stops, before bodies that still come are cut. */
const LAST_REPLIES = 1000

/**
 * The bodies of all requests in flight, and what becomes of those that are not read to their end. A body that was read in part keeps
 * its HTTP/1 socket paused, so that the next request on it would hang, or its HTTP/2 stream open for ever; and closing a socket with
 * bytes unread resets it, which can cost the client the reply. So the rest is read and dropped, within limits. Past them the server closes
 * its side of the connection and reads on for a while, before it cuts; on HTTP/2 it ends the stream.
 */
export class OpenBodies {
  readonly #stopping: () => boolean
  readonly #open = new Set<IncomingMessage>()
  /** The newest reply of each HTTP/1 connection, until it is out. */
  readonly #newest = new WeakMap<Socket, ServerResponse>()

  /** @param stopping true as soon as the server stops: from then on each reply is the last on its connection */
  constructor (stopping: () => boolean) { this.#stopping = stopping }

  /** Watches over the requests of `scope`. */
  watch (scope: FastifyInstance): void {
    scope.addHook('onRequest', this.onRequest)
    scope.addHook('onSend', this.onSend)
  }

  readonly onRequest: onRequestHookHandler = (request, reply, done) => {
    const { raw } = request
    if (announcesBody(raw)) {
      this.#open.add(raw)
      raw.once('close', () => { this.#open.delete(raw) })
    }
    this.#afterEarlier(raw, reply.raw, () => { done(this.#stopping() ? new ShuttingDown() : undefined) })
  }

  /**
   * Requests that a client pipelines are worked on one after the other (RFC 9112, section 9.3.2): begun while the last bytes of the one
   * before are still being stored, an append would take the upload away from its own predecessor.
   */
  #afterEarlier (raw: IncomingMessage, response: ServerResponse, work: () => void): void {
    if (raw instanceof Http2ServerRequest) return work()
    const { socket } = raw
    const earlier = this.#newest.get(socket)
    this.#newest.set(socket, response)
    response.once('close', () => { if (this.#newest.get(socket) === response) this.#newest.delete(socket) })
    // Passed on from one protocol to the next, a request comes here twice.
    if (earlier === undefined || earlier === response) return work()
    const proceed = (): void => {
      earlier.off('close', proceed)
      raw.off('close', proceed)
      work()
    }
    // Replies that wait for others hear nothing of a connection that breaks.
    earlier.once('close', proceed)
    raw.once('close', proceed)
  }

  readonly onSend: onSendHookHandler = (request, reply, _payload, done) => {
    const { raw } = request
    const http1 = !(raw instanceof Http2ServerRequest)
    if (this.#stopping()) {
      if (http1) reply.header('connection', 'close')
      else raw.stream.session?.close()
    }
    if (!this.#open.has(raw) || raw.readableEnded) return done()
    if (http1 && awaitsContinue(raw)) {
      // The body was not asked for. Whether it comes cannot be known: this connection has no next request.
      reply.header('connection', 'close')
      return done()
    }
    if (http1 && raw.complete) {
      // All of it has come, but its last bytes may still wait to be read.
      raw.unpipe()
      raw.resume()
      return done()
    }
    dropRest(raw, REST, ended => {
      if (ended) return
      if (http1) linger(raw)
      else cut(raw)
    })
    if (http1 && closesConnection(reply) && !this.#stopping()) afterRest(raw)
    done()
  }

  /** The server stops: bodies that were not stopped otherwise (forms, rests that are dropped) are cut once the last replies are out. */
  cutSoon (): void {
    setTimeout(() => { for (const raw of this.#open) cut(raw) }, LAST_REPLIES).unref()
  }
}

/** True when the request says that it brings a body, be it an empty one of unknown length. */
export function announcesBody (raw: IncomingMessage): boolean {
  if (raw instanceof Http2ServerRequest) return !raw.stream.endAfterHeaders
  const { 'content-length': length = '0', 'transfer-encoding': coding } = raw.headers
  return length !== '0' || coding !== undefined
}

function closesConnection (reply: FastifyReply): boolean {
  return !reply.raw.shouldKeepAlive || reply.getHeader('connection') === 'close'
}

/** Reads the rest of a body and throws it away. `done` hears whether that was all, or the limits were reached. */
function dropRest (raw: IncomingMessage, { bytes, ms }: RestLimits, done: (ended: boolean) => void): void {
  let left = bytes
  const finish = (ended: boolean): void => {
    clearTimeout(timer)
    raw.off('data', count).off('end', onEnd).off('close', onEnd)
    connection?.off('close', onGone)
    done(ended)
  }
  const connection = raw instanceof Http2ServerRequest ? undefined : raw.socket
  // Once a reply is out, Node does not tell its request that the connection broke: a body would wait for ever.
  const onGone = (): void => { raw.destroy() }
  const onEnd = (): void => { finish(true) }
  const count = (data: Uint8Array): void => {
    left -= data.length
    if (left < 0) finish(false)
  }
  const timer = setTimeout(finish, ms, false).unref()
  // Whatever it was piped into, a decoder of the host too, must not hold it up any more.
  raw.unpipe()
  raw.on('error', () => {}).on('data', count).once('end', onEnd).once('close', onEnd)
  connection?.once('close', onGone)
  raw.resume()
}

/**
 * Has Node close the connection, as the reply says, only once the rest of the body has come or is given up: bytes that wait to be read
 * would turn the closing into a reset, which can take the reply from the client.
 */
function afterRest (raw: IncomingMessage): void {
  const { socket } = raw
  const closeSoon = socket.destroySoon.bind(socket)
  // What Node calls when the reply is out.
  socket.destroySoon = () => {
    if (raw.readableEnded || raw.destroyed) closeSoon()
    else raw.once('close', closeSoon).once('end', closeSoon)
  }
}

/** Closes this side of an HTTP/1 connection, and reads on until the client has seen it, within limits. */
function linger (raw: IncomingMessage): void {
  raw.socket.end()
  dropRest(raw, LINGER, () => {
    raw.destroy()
    raw.socket.destroy()
  })
}

/** On HTTP/2 only the stream ends; after a whole reply it says that this is all there is to know (RFC 9113, 8.1). */
function cut (raw: IncomingMessage): void {
  if (!(raw instanceof Http2ServerRequest)) raw.destroy()
  else raw.stream.close(raw.stream.writableFinished ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL)
}
