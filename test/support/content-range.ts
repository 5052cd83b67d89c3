import type { Test } from 'tap'
import { type ContentRangeOptions, contentRange, memoryMetadata } from '../../src/index.js'
import {
  type Answer, type Message, type PluginOptions, type TestClient, type TestServer, chunkForm, field, form, startServer, usersByHeader
} from './server.js'

/** The largest file of these servers, in bytes. */
export const LIMIT = 1_000_000
export const UNKNOWN = '0123456789abcdef0123456789abcdef'
export const TEN = '0123456789'
export const MD5_OF_TEN = '781e5e245d69b566979b86e28d23f2c7'

export interface ContentRangeServer extends TestServer {
  /** Makes an unfinished upload one whose time is over. */
  expire (id: string): Promise<void>
}

/** A server that speaks this protocol alone, with users by header, and files of at most {@link LIMIT} bytes. */
export async function serve (
  t: Test, protocol: ContentRangeOptions = {}, options: PluginOptions = {}
): Promise<ContentRangeServer> {
  const metadata = memoryMetadata()
  const protocols = [contentRange(protocol)]
  const server = await startServer(t, { maxBytes: LIMIT, metadata, protocols, ...options }, { before: usersByHeader })
  const expire = async (id: string): Promise<void> => {
    const upload = await metadata.get(id)
    if (upload === undefined) throw new Error(`no upload ${id}`)
    await metadata.update({ ...upload, expiresAt: Date.now() - 1, version: upload.version + 1 })
  }
  return { ...server, expire }
}

/** How many uploads the server has. */
export async function countUploads ({ app }: TestServer): Promise<number> {
  const ids = new Set<string>()
  for await (const { id } of app.chunkedUpload.list()) ids.add(id)
  return ids.size
}

/** `10 of 20 bytes` as a new upload; resolves with its id. */
export async function begin (client: Pick<TestClient, 'send'>, headers: Message['headers'] = {}): Promise<string> {
  return field(await client.send('PUT', '/uploads/', withHeaders(chunkForm(TEN, 'bytes 0-9/20'), headers)), 'id')
}

/** A complete upload of ten bytes; resolves with its id. */
export async function finish (client: Pick<TestClient, 'send'>, headers: Message['headers'] = {}): Promise<string> {
  const { headers: own, body } = form([{ name: 'file', filename: 'ten.txt', content: TEN }, { name: 'md5', content: MD5_OF_TEN }])
  return field(await client.send('POST', '/uploads/', { headers: { ...own, ...headers }, body }), 'id')
}

export function withHeaders (message: Message, headers: Message['headers'] = {}): Message {
  return { ...message, headers: { ...message.headers, ...headers } }
}

export function detail (text: unknown, more: object = {}): object {
  return { detail: text, ...more }
}

export function mismatch (expected: number, provided: number): object {
  return detail('Offsets do not match', { expected_offset: expected, provided_offset: provided, offset: expected })
}

/** Ten bytes, or `size`, with this Content-Range. */
export function range (contentRange: string, size = 10): Message {
  return chunkForm(Buffer.alloc(size, 'x'), contentRange)
}

export function raw (type: string, body: string | Uint8Array, headers: Message['headers'] = {}): Message {
  return { headers: { 'content-type': type, ...headers }, body }
}

/** One fault and its answer. */
export interface Fault {
  readonly name: string
  readonly method: 'PUT' | 'POST'
  /** The collection, a new upload with 10 of 20 bytes, or a path. */
  readonly on: 'collection' | 'upload' | `/${string}`
  readonly message: Message
  readonly status: number
  /** `detail` as text or fields, or the whole body. */
  readonly body: object
}

/** Sends the faulty request, and sees that its answer is right, that nothing has changed, and that the connection can be used again. */
export async function provesFault (t: Test, server: ContentRangeServer, fault: Fault): Promise<void> {
  const { name, method, on, message, status, body } = fault
  await t.test(name, async t => {
    const client = server.client()
    const id = on === 'upload' ? await begin(client) : undefined
    const path = on === 'collection' ? '/uploads/' : id === undefined ? on : `/uploads/${id}/`
    const shown = async (): Promise<unknown> => id === undefined ? undefined : await server.app.chunkedUpload.get(id)
    const [count, before] = [await countUploads(server), await shown()]

    const answer: Answer = await client.send(method, path, message)
    t.equal(answer.status, status)
    if (Object.values(body).some(value => value instanceof RegExp)) t.match(answer.json, body)
    else t.strictSame(answer.json, body)
    t.equal((await client.send('OPTIONS', '/uploads/')).status, 204, 'the next request on the connection is answered')
    t.equal(await countUploads(server), count, 'nothing new is stored')
    t.match(await shown(), withoutVersion(before), 'the upload is as it was')
    if (id === undefined) return
    t.equal((await client.send('PUT', path, range('bytes 10-19/20'))).status, 200, 'and goes on with the right chunk')
  })
}

function withoutVersion (upload: unknown): unknown {
  if (typeof upload !== 'object' || upload === null) return upload
  const { version, updatedAt, storageState, ...rest } = { version: 0, updatedAt: 0, storageState: null, ...upload }
  return rest
}
