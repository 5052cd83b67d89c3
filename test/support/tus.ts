import type { OutgoingHttpHeaders } from 'node:http'
import type { Test } from 'tap'
import { type ChunkedUploadOptions, memoryStorage, type Storage, tus, type TusOptions } from '../../src/index.js'
import { type Answer, type StartOptions, startServer, type TestServer } from './server.js'

export const VERSION = { 'tus-resumable': '1.0.0' }
export const TYPE = { 'content-type': 'application/offset+octet-stream' }

type Headers = Readonly<Record<string, string | number | undefined>>

export interface TusServer extends TestServer {
  /** A request with Tus-Resumable. A header that is undefined is not sent. */
  ask (method: string, path: string, headers?: Headers, body?: string | Uint8Array): Promise<Answer>
  /** Makes an upload of `length` bytes, deferred with null, and gives its path. */
  create (length: number | null, headers?: Readonly<Record<string, string>>): Promise<string>
  /** PATCH with the headers that it needs. */
  patch (path: string, offset: number, body: string | Uint8Array, headers?: Headers): Promise<Answer>
  /** The offset that HEAD tells. */
  offset (path: string): Promise<number>
}

/** An app with tus below `/uploads`, and downloads at the same URLs. */
export async function startTus (
  t: Test, options: ChunkedUploadOptions & { readonly tus?: TusOptions } = {}, start: StartOptions = {}
): Promise<TusServer> {
  const { tus: tusOptions, ...others } = options
  const server = await startServer(t, { protocols: [tus(tusOptions)], downloads: true, ...others }, start)

  const ask: TusServer['ask'] = async (method, path, headers = {}, body = undefined) => {
    const sent: OutgoingHttpHeaders = {}
    for (const [name, value] of Object.entries({ ...VERSION, ...headers })) {
      if (value !== undefined) sent[name] = value
    }
    return await server.send(method, path, { headers: sent, ...body !== undefined && { body } })
  }
  return {
    ...server,
    ask,
    async create (length, headers = {}) {
      const size: Record<string, string> = length === null ? { 'upload-defer-length': '1' } : { 'upload-length': String(length) }
      const { status, headers: answer, text } = await ask('POST', '/uploads', { ...size, ...headers })
      if (status !== 201 || answer.location === undefined) throw new Error(`not created: ${status} ${text}`)
      return answer.location
    },
    async patch (path, offset, body, headers = {}) {
      return await ask('PATCH', path, { ...TYPE, 'upload-offset': offset, ...headers }, body)
    },
    async offset (path) {
      const { headers } = await ask('HEAD', path)
      return Number(headers['upload-offset'])
    }
  }
}

export interface WatchedStorage {
  readonly storage: Storage
  /** Bytes that have reached the storage: who sent them holds the upload. */
  bytes: number
}

/** Storage in memory that tells what has come. */
export function watchedStorage (): WatchedStorage {
  const memory = memoryStorage()
  const watched: WatchedStorage = {
    bytes: 0,
    storage: {
      ...memory,
      async write (upload, start, batches, progress) {
        await memory.write(upload, start, counted(batches, watched), progress)
      }
    }
  }
  return watched
}

async function * counted (batches: AsyncIterable<readonly Uint8Array[]>, watched: WatchedStorage): AsyncGenerator<readonly Uint8Array[]> {
  for await (const batch of batches) {
    watched.bytes += batch.reduce((sum, { length }) => sum + length, 0)
    yield batch
  }
}

/** The bytes at a URL, as text. */
export async function download ({ send }: TusServer, path: string): Promise<string> {
  const { status, text } = await send('GET', path)
  if (status !== 200) throw new Error(`no download: ${status} ${text}`)
  return text
}
