import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { once } from 'node:events'

export const MIB = 2 ** 20
const block = Buffer.alloc(MIB, 'fastify-chunked-upload')

export interface Sent {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface SendOptions {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string | number>>
  /** Bytes of body. */
  readonly size?: number
  /** Text around the bytes, for forms. */
  readonly before?: string
  readonly after?: string
  readonly agent?: Agent
}

export const keepAlive = new Agent({ keepAlive: true, maxSockets: 64 })

/** Sends one request with `size` bytes of body; throws unless it is answered with 2xx. */
export async function send (port: number, options: SendOptions): Promise<Sent> {
  const { method, path, headers = {}, size = 0, before = '', after = '', agent = keepAlive } = options
  const length = size + before.length + after.length
  const request = httpRequest({ host: '127.0.0.1', port, method, path, agent, headers: { ...headers, 'content-length': length } })
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  if (before !== '') request.write(before)
  for (let left = size; left > 0;) {
    const bytes = left >= block.length ? block : block.subarray(0, left)
    left -= bytes.length
    if (!request.write(bytes) && left > 0) await Promise.race([once(request, 'drain'), answered])
  }
  request.end(after)
  const [response] = await answered
  const parts: Buffer[] = []
  for await (const data of response) parts.push(data as Buffer)
  const sent = { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString() }
  if (sent.status < 200 || sent.status > 299) throw new Error(`${method} ${path}: ${sent.status} ${sent.body}`)
  return sent
}

export interface Upload {
  /** Stores `size` bytes as one new file. */
  (port: number, size: number): Promise<{ readonly seconds: number, remove (): Promise<void> }>
}

async function timed (work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

const raw = { 'content-type': 'application/octet-stream' }
let files = 0

export const plainPut: Upload = async (port, size) => {
  const path = `/file-${++files}`
  const seconds = await timed(() => send(port, { method: 'PUT', path, headers: raw, size }))
  // The same few bytes again empty the file: the disk does not fill up.
  return { seconds, remove: async () => { await send(port, { method: 'PUT', path, headers: raw, size: 1 }) } }
}

export const davPut: Upload = async (port, size) => {
  const path = `/file-${++files}`
  const seconds = await timed(() => send(port, { method: 'PUT', path, headers: raw, size }))
  return { seconds, remove: async () => { await send(port, { method: 'DELETE', path }) } }
}

const boundary = 'benchmark-boundary'
const form = {
  headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  before: `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="bench.bin"\r\n` +
    'Content-Type: application/octet-stream\r\n\r\n',
  after: `\r\n--${boundary}--\r\n`
}

export const plainForm: Upload = async (port, size) => {
  const path = `/file-${++files}`
  const seconds = await timed(() => send(port, { method: 'PUT', path, size, ...form }))
  return { seconds, remove: async () => { await send(port, { method: 'PUT', path, size: 1, ...form }) } }
}

function contentRangePut (extra: Partial<SendOptions>): Upload {
  return async (port, size) => {
    let id = ''
    const seconds = await timed(async () => {
      const headers = { ...raw, ...extra.headers, 'content-range': `bytes 0-${size - 1}/${size}` }
      const { body } = await send(port, { method: 'PUT', path: '/uploads/', size, ...extra, headers })
      id = (JSON.parse(body) as { id: string }).id
    })
    return { seconds, remove: async () => { await send(port, { method: 'DELETE', path: `/uploads/${id}` }) } }
  }
}

export const oursPut = contentRangePut({})
export const oursForm = contentRangePut(form)

export const tusPatch: Upload = async (port, size) => {
  const tus = { 'tus-resumable': '1.0.0' }
  const created = await send(port, { method: 'POST', path: '/files', headers: { ...tus, 'upload-length': size } })
  const path = new URL(created.headers.location ?? '', `http://127.0.0.1:${port}/`).pathname
  const headers = { ...tus, 'upload-offset': 0, 'content-type': 'application/offset+octet-stream' }
  const seconds = await timed(() => send(port, { method: 'PATCH', path, headers, size }))
  return { seconds, remove: async () => { await send(port, { method: 'DELETE', path, headers: tus }) } }
}

/** One chunk of a task of the chunkTasks protocol. */
export async function taskChunk (port: number, task: string, index: number, size: number, agent: Agent): Promise<void> {
  const { headers, after } = form
  const before = form.before.replace('name="file"', 'name="chunk"')
  await send(port, { method: 'POST', path: `/tasks/chunk/${task}/${index}`, headers, before, after, size, agent })
}
