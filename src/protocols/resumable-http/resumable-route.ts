import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest, RouteOptions, onRequestHookHandler, onSendHookHandler } from 'fastify'
import type { Written } from '../../engine/index.js'
import type { Upload } from '../../upload.js'
import { Context } from '../context.js'
import type { HostApp } from '../contract.js'
import { sendFinal } from './answer.js'
import { uploadBodyOf } from './body.js'
import { createUpload, sendCreated } from './create.js'
import { wordError } from './errors.js'
import { Exchange } from './exchange.js'
import { completenessField } from './completeness.js'
import { type ResumableContext, type ResumableMount, setProgress } from './mount.js'
import type { Reception } from './receive.js'
import { markRefused } from './refused.js'
import { type FinalAnswer, keptText, type RoutedRequest } from './state.js'
import { StoredRequest } from './stored-request.js'
import { versionEcho, versionOf } from './versions.js'

type Finish = NonNullable<Reception['finish']>

/** Runs the route that an upload was made for. */
export interface Dispatch {
  /** @param receive stores the last bytes; `finish` is for the engine to call when the file is whole */
  run (
    context: ResumableContext, route: RoutedRequest, receive: (finish: Finish) => Promise<Written>
  ): Promise<FastifyReply>
}

/** Fields of the creation that the handler gets, whichever request brings the last bytes. */
const REPRESENTATION = ['content-type', 'content-disposition', 'content-encoding', 'content-language', 'accept', 'accept-language'] as const

/** Of the request that brings the last bytes, these do not belong to the file. */
const OF_ONE_REQUEST = /^(?::|content-|upload-(?!draft-)|repr-digest$|want-|transfer-encoding$|expect$|trailer$|te$|x-http-method-override$)/

/** Of an answer, what is not kept: it belongs to one connection, to one client, or is made anew. */
const NOT_KEPT = /^(?:connection|keep-alive|transfer-encoding|content-length|date|set-cookie|vary|upload-.*|access-control-.*)$/

/**
 * Makes routes of the host resumable that say `config: { resumable: true }`. A request with Upload-Complete becomes an upload, after the
 * route's `onRequest` hooks have let it pass; when it is whole, the request goes on through all the host's hooks, parsers and the handler
 * as if it had come in one piece, be it that first request or a later one to the upload's URL. What to know:
 *
 * - Only routes declared after `await app.register(chunkedUpload, …)` are seen. Authentication belongs into `onRequest`: later hooks run
 *   when the file is stored already.
 * - When a PATCH brings the last bytes, the route runs once more from `onRequest` on, with the method, URL and representation fields of the
 *   creation, and all other fields (credentials too, which are not stored) of that PATCH.
 * - The handler runs under the upload's lock, so that it must not remove the upload itself; an `onResponse` hook may. A reply of success
 *   completes the upload and is kept, without its body when that is a stream or large. After another one, or a crash, the client may
 *   repeat its last request, and the handler runs again.
 * - `bodyLimit` and the parsers of the route judge the whole file, as with any request; a media type without a parser is 415.
 */
export class ResumableRoutes implements Dispatch {
  readonly #mount: ResumableMount
  readonly #host: HostApp
  readonly #exchanges = new WeakMap<IncomingMessage, Exchange>()

  constructor (mount: ResumableMount, host: HostApp) {
    this.#mount = mount
    this.#host = host
  }

  /** Looks at each route that the host declares from now on. */
  install (): void {
    const { instance } = this.#host
    if (!instance.hasRequestDecorator('upload')) instance.decorateRequest('upload', null)
    instance.addHook('onRoute', options => {
      const { resumable } = options.config ?? {}
      const { name } = this.#mount.settings
      if ((resumable !== true && resumable !== name) || !hasBodies(options)) return
      // Another mount does not take it as well.
      options.config = { ...options.config, resumable: name }
      options.onRequest = [...[options.onRequest ?? []].flat(), this.#onRequest]
      options.onSend = [...[options.onSend ?? []].flat(), this.#onSend]
    })
  }

  async run (...[context, route, receive]: Parameters<Dispatch['run']>): Promise<FastifyReply> {
    const { request, reply } = context
    const exchange = new Exchange()
    const begun = await exchange.begun(receive(exchange.finish))
    if (!('id' in begun)) {
      const { upload } = begun
      const { finishedAppend, unfinishedAppend } = versionOf(request)
      // The handler has answered an earlier request, whose record could not be saved.
      if (upload.status === 'complete') return sendFinal(context, upload, finishedAppend)
      return setProgress(context, upload).code(unfinishedAppend).send()
    }
    reply.hijack()
    const stored = this.#stored(request, begun, route)
    this.#follow(stored, reply, exchange)
    this.#host.instance.routing(stored, reply.raw)
    return reply
  }

  readonly #onRequest: onRequestHookHandler = (request, reply, done) => {
    const exchange = this.#exchanges.get(request.raw)
    if (exchange !== undefined) {
      this.#handOver(request, reply, exchange)
      return done()
    }
    this.#create(request, reply).then(goesOn => { if (goesOn) done() }, (error: unknown) => {
      const worded = error instanceof Error ? wordError(error, request) : undefined
      if (worded === undefined) done(error instanceof Error ? error : new Error(String(error)))
      else reply.code(worded.statusCode).headers(worded.headers ?? {}).send(worded.body)
    })
  }

  readonly #onSend: onSendHookHandler = (request, reply, payload, done) => {
    const exchange = this.#exchanges.get(request.raw)
    if (exchange === undefined && !('tus-resumable' in request.headers)) markRefused(request, reply, false)
    if (exchange === undefined) return this.#host.bodies.onSend.call(request.server, request, reply, payload, done)
    const over = reply.statusCode < 400 ? exchange.answer(answerOf(reply, payload)) : exchange.refuse()
    over.then(() => { done() }, (error: Error) => { done(error) })
  }

  /** @returns true when the request goes on to the handler: an ordinary one, or one whose file is whole */
  async #create (request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    if ('tus-resumable' in request.headers) return true
    const body = uploadBodyOf(request)
    const { last } = body
    if (last === undefined) return true
    await new Promise<void>((resolve, reject) => {
      this.#host.bodies.onRequest.call(request.server, request, reply, error => { if (error === undefined) resolve(); else reject(error) })
    })
    const context = new Context(this.#mount, request, reply)
    await context.caller()
    const exchange = new Exchange()
    const route = routedRequest(request)
    const begun = await exchange.begun(
      createUpload(context, { ...body, last }, { route, finish: exchange.finish })
    )
    if (!('id' in begun)) {
      sendCreated(context, begun.upload)
      return false
    }
    // The URL of what the handler makes is the handler's to tell.
    reply.removeHeader('Location')
    const stored = this.#stored(request, begun, route)
    this.#follow(stored, reply, exchange)
    // All that follows, parsers of the host that look at the request itself too, sees the stored body.
    request.raw = stored
    this.#handOver(request, reply, exchange)
    return true
  }

  #stored (request: FastifyRequest, upload: Upload, route: RoutedRequest): StoredRequest {
    const { headers, raw } = request
    const kept = Object.entries(headers).filter(([name]) => !OF_ONE_REQUEST.test(name))
    const host = headers[':authority']
    return new StoredRequest({
      method: route.method,
      url: route.url,
      headers: {
        ...Object.fromEntries(kept),
        ...typeof host === 'string' && { host },
        ...route.headers,
        'content-length': String(upload.size ?? 0)
      },
      behind: raw,
      open: () => this.#mount.engine.read(upload, [0, upload.size ?? 0])
    })
  }

  #handOver (request: FastifyRequest, reply: FastifyReply, { upload }: Exchange): void {
    if (upload === undefined) return
    request.upload = upload
    reply.headers({
      ...versionEcho(request), 'Upload-Offset': String(upload.size ?? 0), ...completenessField(true, versionOf(request))
    })
  }

  /** A handler that answers past Fastify, or not at all, must not hold the upload for ever. */
  #follow (stored: StoredRequest, reply: FastifyReply, exchange: Exchange): void {
    this.#exchanges.set(stored, exchange)
    const { raw } = reply
    const { stopSignal } = this.#mount.engine
    const stop = (): void => { exchange.refuse().catch(() => {}) }
    raw.once('finish', () => {
      const over = raw.statusCode < 400
        ? exchange.answer({ statusCode: raw.statusCode, headers: {}, body: null })
        : exchange.refuse()
      over.catch(() => {})
    })
    // Of a client that went away the handler goes on, as its work counts; once the server stops it is not waited for.
    raw.once('close', () => {
      if (stopSignal.aborted) return stop()
      stopSignal.addEventListener('abort', stop, { once: true })
      exchange.settled.then(() => { stopSignal.removeEventListener('abort', stop) }, () => {})
    })
  }
}

function hasBodies ({ method }: RouteOptions): boolean {
  return [method].flat().some(one => ['POST', 'PUT', 'PATCH'].includes(one.toUpperCase()))
}

function routedRequest (request: FastifyRequest): RoutedRequest {
  const { method, originalUrl, headers } = request
  const kept = REPRESENTATION.flatMap((name): Array<[string, string]> => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  return { method, url: originalUrl, headers: Object.fromEntries(kept) }
}

/** What of a reply can be kept and sent again. Without its body its type means nothing. */
function answerOf (reply: FastifyReply, payload: unknown): FinalAnswer {
  const body = keptText(payload)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (NOT_KEPT.test(name) || (body === null && name.startsWith('content-'))) continue
    if (typeof value === 'string' || typeof value === 'number') headers[name] = String(value)
  }
  return { statusCode: reply.statusCode, headers, body }
}
