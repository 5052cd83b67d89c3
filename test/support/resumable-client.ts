import type http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { request as httpRequest } from './deadline.js'

/** Interop versions that the server knows, and undefined for requests that name none. */
export const interopVersions = [3, 4, 5, 6, 7, 8, 9, undefined] as const
export type Interop = number | undefined

export type Fields = Readonly<Record<string, string>>

export interface Interim {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  /** Interim replies that came before. */
  readonly interims: readonly Interim[]
}

export interface Sent {
  readonly method: string
  readonly headers?: Fields
  readonly body?: Uint8Array | string | undefined
  readonly agent?: http.Agent
}

/** One request on a connection of node:http, with its interim replies. */
export async function send (url: string, { method, headers = {}, body, agent }: Sent): Promise<Answer> {
  return await new Promise<Answer>((resolve, reject) => {
    const interims: Interim[] = []
    const length = body === undefined || 'transfer-encoding' in headers ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const request = httpRequest({ url, method, headers: { ...length, ...headers }, ...agent !== undefined && { agent } })
    request.on('information', ({ statusCode, headers }) => { interims.push({ status: statusCode, headers }) })
    request.on('error', reject)
    request.on('response', response => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => { text += piece }).on('error', reject).on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, interims })
      })
    })
    request.end(body)
  })
}

/** The version, if there is one. */
export function versionField (version: Interop): Fields {
  return version === undefined ? {} : { 'upload-draft-interop-version': String(version) }
}

/** Whether the file is complete, as the version says it. */
export function completeField (version: Interop, complete: boolean): Fields {
  return version === 3 ? { 'upload-incomplete': complete ? '?0' : '?1' } : { 'upload-complete': complete ? '?1' : '?0' }
}

/** Fields of a creation. */
export function creation (version: Interop, complete: boolean, more: Fields = {}): Fields {
  return { ...versionField(version), ...completeField(version, complete), ...more }
}

/** Fields of an append. */
export function appending (version: Interop, offset: number, complete: boolean, more: Fields = {}): Fields {
  return {
    ...versionField(version),
    ...completeField(version, complete),
    'upload-offset': String(offset),
    'content-type': 'application/partial-upload',
    ...more
  }
}

export function locationOf (url: string, { headers, interims }: Answer): string {
  const location = headers.location ?? interims[0]?.headers.location
  if (location === undefined) throw new Error('there is no Location')
  return new URL(location, url).href
}

export interface ClientOptions {
  readonly url: string
  readonly method?: string
  readonly headers?: Fields
  /** Bytes that one request brings; the server's max-append-size goes before it. */
  readonly chunk?: number
  /** Breaks the connection of a request after so many bytes, as often as there are entries. */
  readonly cuts?: readonly number[]
}

/**
 * A client of the newest draft: sends the file, and after a broken connection or a reply that allows it asks for the offset and goes on.
 * It creates the upload carefully, with an empty request, as soon as a limit is known or wished; otherwise it relies on the interim reply.
 */
export class ResumableClient {
  readonly requests: string[] = []
  readonly #options: ClientOptions
  readonly #cuts: number[]

  constructor (options: ClientOptions) {
    this.#options = options
    this.#cuts = [...options.cuts ?? []]
  }

  async upload (file: Buffer): Promise<Answer> {
    const { url, method = 'POST', headers = {} } = this.#options
    const limit = await this.#limit()
    const chunk = Math.min(limit, this.#options.chunk ?? Infinity, file.length)
    const whole = chunk >= file.length
    let location: string | undefined
    const first = await this.#send(url, method, whole ? file : Buffer.alloc(0), {
      ...headers, ...creation(9, whole), 'upload-length': String(file.length)
    }, interim => { location = interim.headers.location ?? location })
    if (first !== undefined && (whole || first.status >= 400)) return first
    location = first?.headers.location ?? location
    if (location === undefined) throw new Error('the upload cannot be resumed')
    return await this.#append(new URL(location, url).href, file, Math.max(1, chunk))
  }

  async #append (location: string, file: Buffer, chunk: number): Promise<Answer> {
    while (true) {
      const state = await send(location, { method: 'HEAD', headers: versionField(9) })
      this.requests.push(`HEAD ${state.status}`)
      if (state.status !== 204) throw new Error(`the upload is gone: ${state.status}`)
      let offset = Number(state.headers['upload-offset'])
      while (true) {
        const end = Math.min(file.length, offset + chunk)
        const last = end === file.length
        const reply = await this.#send(location, 'PATCH', file.subarray(offset, end), appending(9, offset, last))
        if (reply === undefined) break
        if (reply.headers['upload-complete'] === '?1' && last) return reply
        if (reply.status >= 300) {
          if (![409, 413, 423, 429].includes(reply.status) && reply.status < 500) return reply
          await sleep(5)
          break
        }
        offset = end
      }
    }
  }

  /** max-append-size as the server announces it. */
  async #limit (): Promise<number> {
    const { headers } = await send(this.#options.url, { method: 'OPTIONS' })
    const [, bytes] = /max-append-size=(\d+)/.exec(String(headers['upload-limit'])) ?? []
    return bytes === undefined ? Infinity : Number(bytes)
  }

  /** A reply, or undefined when the connection broke. */
  async #send (
    url: string, method: string, body: Buffer, headers: Fields, onInterim: (interim: Interim) => void = () => {}
  ): Promise<Answer | undefined> {
    const cut = body.length > 0 ? this.#cuts.shift() : undefined
    return await new Promise<Answer | undefined>((resolve, reject) => {
      const interims: Interim[] = []
      const request = httpRequest({ url, method, headers: { 'content-length': String(body.length), ...headers }, agent: false })
      request.on('information', ({ statusCode, headers }) => {
        interims.push({ status: statusCode, headers })
        onInterim({ status: statusCode, headers })
        // Told of its upload, the client may lose the connection.
        if (cut !== undefined) request.write(body.subarray(0, cut), () => { setImmediate(() => { request.destroy() }) })
      })
      request.on('error', error => {
        this.requests.push(`${method} cut`)
        if (cut === undefined && !('code' in error && error.code === 'ECONNRESET')) reject(error)
        else resolve(undefined)
      })
      request.on('response', response => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => { text += piece }).on('end', () => {
          this.requests.push(`${method} ${response.statusCode}`)
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, interims })
        })
      })
      if (cut === undefined) request.end(body)
      else if (method === 'PATCH') request.write(body.subarray(0, cut), () => { setImmediate(() => { request.destroy() }) })
      else request.flushHeaders()
    })
  }
}
