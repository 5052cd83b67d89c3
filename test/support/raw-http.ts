import type net from 'node:net'
import { connectSocket, once } from './deadline.js'

export interface RawReply {
  readonly status: number
  /** The status line's words. */
  readonly reason: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** An HTTP/1 connection on which a test says what is sent when, byte by byte. */
export class RawHttp {
  readonly socket: net.Socket
  /** Resolves when the connection is gone, whichever way. */
  readonly closed: Promise<void>
  #received = Buffer.alloc(0)
  #isClosed = false
  #wake = (): void => {}

  private constructor (socket: net.Socket) {
    this.socket = socket
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        this.#isClosed = true
        this.#wake()
        resolve()
      })
    })
    socket.on('error', () => {}).on('data', data => {
      this.#received = Buffer.concat([this.#received, data])
      this.#wake()
    })
  }

  static async connect (port: number): Promise<RawHttp> {
    const socket = connectSocket(port)
    await once(socket, 'connect')
    return new RawHttp(socket)
  }

  /** Sends the head of a request, and what of its body is given. */
  request (method: string, url: string, headers: Readonly<Record<string, string | number>> = {}, body: string | Uint8Array = ''): this {
    const lines = Object.entries({ host: 'test', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    this.socket.write(`${method} ${url} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1')
    return body.length > 0 ? this.send(body) : this
  }

  send (bytes: string | Uint8Array): this {
    this.socket.write(bytes)
    return this
  }

  /** Sends until the connection breaks, or `bytes` are sent: as fast as the server takes them. @returns bytes that were sent */
  async flood (bytes: number): Promise<number> {
    const piece = Buffer.alloc(256 * 1024)
    let sent = 0
    while (sent < bytes && !this.#isClosed) {
      const next = piece.subarray(0, Math.min(piece.length, bytes - sent))
      sent += next.length
      if (!this.socket.write(next)) await Promise.race([new Promise(resolve => { this.socket.once('drain', resolve) }), this.closed])
    }
    return sent
  }

  /** The next reply that is not an interim one. @throws when the connection ends before */
  async reply (): Promise<RawReply> {
    while (true) {
      const reply = await this.next()
      if (reply.status >= 200) return reply
    }
  }

  /** The next reply, an interim one too. @throws when the connection ends before */
  async next (): Promise<RawReply> {
    while (true) {
      const reply = this.#takeReply()
      if (reply !== undefined) return reply
      if (this.#isClosed) throw new Error(`closed after ${JSON.stringify(this.#received.toString('latin1'))}`)
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  /** Everything that came and was not taken as a reply, as latin1. */
  get received (): string {
    return this.#received.toString('latin1')
  }

  /** Cuts the connection with a reset. */
  reset (): void {
    this.socket.resetAndDestroy()
  }

  #takeReply (): RawReply | undefined {
    const end = this.#received.indexOf('\r\n\r\n')
    if (end === -1) return undefined
    const [first = '', ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n')
    const headers = Object.fromEntries(lines.map(line => {
      const at = line.indexOf(':')
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()]
    }))
    const length = Number(headers['content-length'] ?? 0)
    if (this.#received.length < end + 4 + length) return undefined
    const body = this.#received.subarray(end + 4, end + 4 + length).toString('utf8')
    this.#received = this.#received.subarray(end + 4 + length)
    return { status: Number(first.split(' ')[1]), reason: first.split(' ').slice(2).join(' '), headers, body }
  }
}
