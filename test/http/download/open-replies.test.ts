import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Protocol } from '../../../src/protocols/contract.js'
import { chunkedUpload, resumableHttp } from '../../../src/index.js'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import { connectHttp2, connectSocket, once } from '../../support/deadline.js'
import { until } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'

const MIB = 1024 * 1024
const file = randomBytes(32 * MIB)

/** Replies of other kinds. */
const others: Protocol = {
  name: 'others',
  prefix: '/others',
  register: scope => {
    scope.get('/text', async () => 'x'.repeat(32 * MIB))
    scope.get('/late', async () => Readable.from((async function * () {
      yield 'a'
      // Longer than a client may take nothing.
      await new Promise(resolve => { setTimeout(resolve, 400) })
      yield 'b'
    })()))
  }
}

interface Server {
  readonly app: FastifyInstance
  readonly port: number
  readonly url: string
  /** Path of a finished file. */
  readonly path: string
  readonly connections: ReadonlySet<Socket>
}

async function start (t: Test, http2: boolean, stallTimeout: number): Promise<Server> {
  const app: FastifyInstance = http2 ? Fastify({ http2: true }) as unknown as FastifyInstance : Fastify()
  t.teardown(() => app.close())
  await app.register(chunkedUpload, {
    storage: memoryStorage(),
    metadata: memoryMetadata(),
    downloads: true,
    stallTimeout,
    protocols: [resumableHttp({ prefix: '/files' }), others]
  })
  const connections = new Set<Socket>()
  app.server.on('connection', socket => {
    connections.add(socket)
    socket.once('close', () => { connections.delete(socket) })
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const made = await app.inject({
    method: 'POST', url: '/files', headers: { 'content-type': 'application/octet-stream', 'upload-complete': '?1' }, payload: file
  })
  return { app, port: Number(new URL(url).port), url, path: String(made.headers.location), connections }
}

t.setTimeout(60_000)

t.test('a client that does not read its reply is cut', async t => {
  const { port, path, connections } = await start(t, false, 100)
  for (const [what, headers] of [
    [path, {}],
    [path, { range: 'bytes=0-10000000,11000000-30000000' }],
    ['/others/text', {}]
  ] as const) {
    const http = await RawHttp.connect(port)
    http.socket.pause()
    http.request('GET', what, headers)
    await until(() => connections.size > 0)
    await until(() => connections.size === 0)
    http.socket.destroy()
  }
})

t.test('over HTTP/2 only its stream is', async t => {
  const { url, path } = await start(t, true, 100)
  const session = connectHttp2(url)
  t.teardown(() => { session.destroy() })
  for (const what of [path, '/others/text']) {
    const stream = session.request({ ':path': what })
    stream.on('error', () => {})
    await once(stream, 'response')
    // Not a byte is taken.
    await until(() => stream.rstCode !== undefined && stream.rstCode !== 0)
    t.equal(stream.rstCode, 8)
    stream.destroy()
  }
  const again = session.request({ ':path': path, ':method': 'HEAD' })
  const [headers] = await once(again, 'response')
  t.equal(headers[':status'], 204)
})

t.test('a reply that waits for the server, or for the one before it, is not cut', async t => {
  const { port, path } = await start(t, false, 100)
  const http = await RawHttp.connect(port)
  t.teardown(() => { http.socket.destroy() })
  http.request('GET', '/others/late').request('HEAD', path)
  await until(() => http.received.includes('204 No Content'))
  t.match(http.received, /1\r\na\r\n1\r\nb\r\n0\r\n\r\nHTTP\/1\.1 204/)
})

t.test('once the server stops a download goes on to its end, and its connection ends with it', async t => {
  const { app, port, path } = await start(t, false, 20_000)
  const client = connectSocket(port)
  client.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
  await once(client, 'readable')
  const closing = app.close()
  const parts: Buffer[] = []
  client.on('data', (data: Buffer) => { parts.push(data) })
  await Promise.all([closing, once(client, 'close')])
  const received = Buffer.concat(parts)
  const head = received.indexOf('\r\n\r\n') + 4
  t.notMatch(received.subarray(0, head).toString(), /connection: close/i, 'the head had gone before')
  t.equal(received.length - head, file.length)
})

t.test('over HTTP/2 the session ends with the download', async t => {
  const { app, url, path } = await start(t, true, 20_000)
  const session = connectHttp2(url)
  const stream = session.request({ ':path': path })
  await once(stream, 'response')
  const closing = app.close()
  let bytes = 0
  stream.on('data', (data: Buffer) => { bytes += data.length })
  await Promise.all([closing, once(session, 'close')])
  t.equal(bytes, file.length)
})

t.test('once the server stops, a client that does not read does not hold it', async t => {
  for (const http2 of [false, true]) {
    const { app, port, url, path } = await start(t, http2, 100)
    if (http2) {
      const session = connectHttp2(url)
      session.on('error', () => {})
      const stream = session.request({ ':path': path })
      stream.on('error', () => {})
      await once(stream, 'response')
      await app.close()
      session.destroy()
    } else {
      const http = await RawHttp.connect(port)
      http.socket.pause()
      http.request('GET', path)
      await new Promise(resolve => { http.socket.once('readable', resolve) })
      await app.close()
      http.socket.destroy()
    }
  }
})
