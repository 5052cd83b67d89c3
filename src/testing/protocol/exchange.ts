import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { USER_HEADER } from './host.js'

/** A request as the protocol's clients send it. */
export interface WireRequest {
  readonly method: string
  /** From the server's root on. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface WireReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** ms */
const PATIENCE = 15_000

/** A client that keeps its connection, a single one, and notes which header fields it has seen. */
export class WireClient {
  readonly seen = new Set<string>()
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #origin: string

  constructor (origin: string) { this.#origin = origin }

  async send (user: string, { method, path, headers = {}, body }: WireRequest): Promise<WireReply> {
    return await new Promise((resolve, reject) => {
      const sent = httpRequest(this.#origin + path, {
        method,
        agent: this.#agent,
        signal: AbortSignal.timeout(PATIENCE),
        headers: { ...headers, [USER_HEADER]: user, ...body !== undefined && { 'content-length': String(Buffer.byteLength(body)) } }
      }, reply => {
        const pieces: Buffer[] = []
        for (const name of Object.keys(reply.headers)) this.seen.add(name)
        reply.on('error', reject).on('data', (piece: Buffer) => { pieces.push(piece) }).on('end', () => {
          resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text: Buffer.concat(pieces).toString('latin1') })
        })
      })
      sent.on('error', error => { reject(new Error(`${method} ${path} was not answered: ${error.message}`, { cause: error })) }).end(body)
    })
  }

  close (): void { this.#agent.destroy() }
}
