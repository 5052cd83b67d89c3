import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'

export interface StoredRequestParts {
  readonly method: string
  readonly url: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The real request: its connection and version of HTTP. */
  readonly behind: IncomingMessage
  /** Opens the stored content at the first read. */
  readonly open: () => Readable
}

/** A request whose body has come in pieces and is stored: for a handler the same as one that came in one piece. */
export class StoredRequest extends IncomingMessage {
  readonly #open: () => Readable
  #content: Readable | undefined

  constructor ({ method, url, headers, behind, open }: StoredRequestParts) {
    super(behind.socket instanceof Socket ? behind.socket : new Socket())
    this.#open = open
    this.method = method
    this.url = url
    this.headers = { ...headers }
    this.rawHeaders = Object.entries(headers).flatMap(([name, value]) => [value ?? []].flat().flatMap(one => [name, one]))
    this.httpVersion = behind.httpVersion
    this.httpVersionMajor = behind.httpVersionMajor
    this.httpVersionMinor = behind.httpVersionMinor
  }

  override _read (): void {
    if (this.#content === undefined) {
      this.#content = this.#open()
        .on('data', (bytes: Uint8Array) => { if (!this.push(bytes)) this.#content?.pause() })
        .on('end', () => {
          this.complete = true
          this.push(null)
        })
        .on('error', error => { this.destroy(error) })
    } else this.#content.resume()
  }

  /** The connection is the reply's: it does not end with this body, as it would with one that is read from it. */
  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#content?.destroy()
    callback(error)
  }
}
