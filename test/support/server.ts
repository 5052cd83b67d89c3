import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { chunkedUpload, type ChunkedUploadOptions } from '../../src/index.js'
import { request as httpRequest } from './deadline.js'

export interface TestServer {
  readonly app: FastifyInstance
  /** `http://127.0.0.1:port`, without a final slash. */
  readonly url: string
  readonly port: number
  readonly directory: string
  /** Replies of 500 and more, and what the server logged as an error. */
  readonly failures: readonly string[]
  /** A client with a keep-alive connection of its own, a single one. */
  client (): TestClient
  /** Sends a request with a client that the server has for this. */
  send: TestClient['send']
}

export interface TestClient {
  send (method: string, path: string, message?: Message): Promise<Answer>
}

export interface Message {
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Uint8Array
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The text as JSON; undefined when it is none. */
  readonly json: unknown
  /** The client's port: equal ones show that a connection was used again. */
  readonly connection: number
}

export type PluginOptions = ChunkedUploadOptions & { readonly prefix?: string }

export interface StartOptions {
  /** Default: `t.testdir()`. */
  readonly directory?: string
  readonly server?: FastifyServerOptions
  /** Another version of Fastify. */
  readonly fastify?: typeof Fastify
  /** Replies of 500 and more are what the test wants; otherwise they fail it. */
  readonly mayFail?: boolean
  /** Runs before the plugin is registered. */
  readonly before?: (app: FastifyInstance) => void | Promise<void>
  readonly after?: (app: FastifyInstance) => void | Promise<void>
}

/** An app with the plugin below `/uploads` on a directory of its own, listening on a free port; closed when `t` ends. */
export async function startServer (t: Test, options: PluginOptions = {}, start: StartOptions = {}): Promise<TestServer> {
  const directory = start.directory ?? t.testdir()
  const failures: string[] = []
  const app: FastifyInstance = (start.fastify ?? Fastify)({
    logger: { level: 'error', stream: { write: (line: string) => { failures.push(line) } } },
    ...start.server
  })
  app.addHook('onResponse', async (request, reply) => {
    if (reply.statusCode >= 500) failures.push(`${reply.statusCode} ${request.method} ${request.url}`)
  })
  await start.before?.(app)
  await app.register(chunkedUpload, { prefix: '/uploads', ...keepsFiles(options) && { directory }, ...options })
  await start.after?.(app)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const agents: Agent[] = []
  t.teardown(async () => {
    for (const agent of agents) agent.destroy()
    await app.close()
    if (start.mayFail !== true && failures.length > 0) throw new Error(`the server failed:\n${failures.join('\n')}`)
  })
  const port = addressOf(app).port
  const client = (): TestClient => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    agents.push(agent)
    return { send: async (method, path, message = {}) => await send(agent, port, method, path, message) }
  }
  return { app, url, port, directory, failures, client, send: client().send }
}

/** Beside a storage in memory a directory means nothing. */
function keepsFiles ({ storage, metadata }: PluginOptions): boolean {
  return storage === undefined || (storage.volatile !== true && metadata === undefined)
}

function addressOf (app: FastifyInstance): AddressInfo {
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port')
  return address
}

async function send (agent: Agent, port: number, method: string, path: string, { headers = {}, body }: Message): Promise<Answer> {
  return await new Promise<Answer>((resolve, reject) => {
    const length = body === undefined || 'transfer-encoding' in headers ? {} : { 'content-length': Buffer.byteLength(body) }
    const request = httpRequest({ agent, host: '127.0.0.1', port, method, path, headers: { ...length, ...headers } }, response => {
      const connection = response.socket.localPort ?? 0
      const parts: Buffer[] = []
      response.on('data', (data: Buffer) => { parts.push(data) })
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text), connection })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export interface FormMessage {
  readonly headers: OutgoingHttpHeaders
  readonly body: Buffer
}

export interface FormPart {
  readonly name: string
  /** A file part has one; `null` is one without a name. */
  readonly filename?: string | null
  readonly type?: string
  readonly content: string | Uint8Array
  /** Put after `filename`, such as `; filename*=…`. */
  readonly disposition?: string
}

const BOUNDARY = 'a-boundary-of-tests'

/** A multipart/form-data body with its parts in this order. */
export function form (parts: readonly FormPart[], end = `--${BOUNDARY}--\r\n`): FormMessage {
  const chunks = parts.flatMap(({ name, filename, type, content, disposition = '' }) => {
    const file = typeof filename === 'string' ? `; filename="${filename}"` : ''
    const contentType = type ?? (filename === undefined ? undefined : 'application/octet-stream')
    return [
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}${disposition}\r\n`,
      contentType === undefined ? '\r\n' : `Content-Type: ${contentType}\r\n\r\n`,
      content,
      '\r\n'
    ]
  })
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    body: Buffer.concat([...chunks, end].map(chunk => Buffer.from(chunk)))
  }
}

/** The first or next chunk of a file as a form, with its Content-Range. */
export function chunkForm (
  content: string | Uint8Array, range: string | undefined, more: readonly FormPart[] = [], field = 'file'
): FormMessage {
  const { headers, body } = form([{ name: field, filename: 'file.bin', content }, ...more])
  return { headers: { ...headers, ...range !== undefined && { 'content-range': range } }, body }
}

/** A JSON body. */
export function json (value: unknown): Required<Message> {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}

/** A field of a JSON answer as text. */
export function field (answer: Answer, name: string): string {
  const { json: value } = answer
  const found: unknown = typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined
  if (found === undefined || found === null) throw new Error(`no ${name} in: ${answer.status} ${answer.text}`)
  return String(found)
}

/** A host whose users say who they are in the header `x-user`. */
export function usersByHeader (app: FastifyInstance): void {
  app.decorateRequest('user', null)
  app.addHook('onRequest', async request => {
    const id = request.headers['x-user']
    if (typeof id === 'string') Object.assign(request, { user: { id } })
  })
}
