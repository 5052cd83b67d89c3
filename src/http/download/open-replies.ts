import type { IncomingMessage } from 'node:http'
import { constants, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, onRequestHookHandler, onSendHookHandler } from 'fastify'

/** ms for which a client may take nothing of a reply once the server stops. */
const LAST_STALL = 5000

type RawReply = FastifyReply['raw']

/**
 * The replies in flight. A client that takes nothing of its reply is cut: what was read for it would stay in memory, and the file open, for
 * as long as the client likes. Once the server stops, each connection ends with the reply that it carries.
 */
export class OpenReplies {
  readonly #stallTimeout: number
  readonly #open = new Map<RawReply, IncomingMessage>()
  readonly #watches = new Map<RawReply, (timeout: number) => void>()
  #stopping = false

  /** @param stallTimeout ms for which a client may take nothing of a reply; 0 for no limit. It is cut after at most twice that time. */
  constructor (stallTimeout: number) { this.#stallTimeout = stallTimeout }

  /** Watches over the replies of `scope`. */
  watch (scope: FastifyInstance): void {
    scope.addHook('onRequest', this.#onRequest)
    scope.addHook('onSend', this.#onSend)
  }

  /** The server stops: no connection takes another request, and none waits for a client that takes nothing. */
  stop (): void {
    this.#stopping = true
    for (const watch of this.#watches.values()) watch(this.#patience)
    for (const [reply, request] of this.#open) this.#endWith(reply, request)
  }

  get #patience (): number {
    return this.#stopping ? Math.min(LAST_STALL, this.#stallTimeout || LAST_STALL) : this.#stallTimeout
  }

  readonly #onRequest: onRequestHookHandler = (request, reply, done) => {
    const { raw } = reply
    this.#open.set(raw, request.raw)
    raw.once('close', () => { this.#open.delete(raw) })
    done()
  }

  readonly #onSend: onSendHookHandler = (_request, { raw }, payload, done) => {
    if (payload !== undefined && payload !== null && this.#open.has(raw) && !this.#watches.has(raw)) {
      const { watch, end } = watchReader(raw)
      this.#watches.set(raw, watch)
      raw.once('close', () => {
        this.#watches.delete(raw)
        end()
      })
      watch(this.#patience)
    }
    done()
  }

  /** A reply that began before the stop has not told its client that it is the last one. */
  #endWith (reply: RawReply, request: IncomingMessage): void {
    if (request instanceof Http2ServerRequest) {
      request.stream.session?.close()
      return
    }
    // A reply that is whole has let go of its connection.
    const { socket } = request
    reply.once('finish', () => {
      const isLast = ![...this.#open].some(([other, { socket: its }]) => its === socket && other !== reply)
      // What is left of a body is read first: it would turn the end into a reset.
      if (isLast && request.complete && socket instanceof Socket) socket.destroySoon()
    })
  }
}

/**
 * Watches whether the client takes what is written. A reply that waits for its storage, or for the replies before it, has nothing to take.
 * @returns `watch` sets the time in ms, 0 for none
 */
function watchReader (reply: RawReply): { readonly watch: (timeout: number) => void, readonly end: () => void } {
  let timer: NodeJS.Timeout | undefined
  let waited = false
  const onDrain = (): void => { waited = false }
  const look = (): void => {
    const waits = waitsForClient(reply)
    if (waits && waited) cut(reply)
    else {
      waited = waits
      timer?.refresh()
    }
  }
  reply.on('drain', onDrain)
  return {
    watch: timeout => {
      clearTimeout(timer)
      waited = false
      if (timeout > 0) timer = setTimeout(look, timeout).unref()
    },
    end: () => {
      clearTimeout(timer)
      reply.off('drain', onDrain)
    }
  }
}

function waitsForClient (reply: RawReply): boolean {
  const stream = reply instanceof Http2ServerResponse ? reply.stream : reply
  // On HTTP/1 a reply has no connection before those of earlier requests are out.
  if (reply.socket === null) return false
  return stream.writableNeedDrain || (stream.writableEnded && !stream.writableFinished)
}

function cut (reply: RawReply): void {
  if (reply instanceof Http2ServerResponse) reply.stream.close(constants.NGHTTP2_CANCEL)
  else reply.destroy()
}
