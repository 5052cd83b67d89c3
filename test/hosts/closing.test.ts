import Fastify from 'fastify'
import t from 'tap'
import { memoryMetadata } from '../../src/metadata/memory.js'
import { chunkedUpload } from '../../src/plugin.js'
import { connectHttp2, once } from '../support/deadline.js'
import { until } from '../support/engine.js'
import { countedStorage, faults, hostOf, inMemory, plainHost } from '../support/host.js'
import { RawHttp } from '../support/raw-http.js'
import { tiny } from '../support/tiny-protocol.js'

const octets = 'application/octet-stream'
const form = 'multipart/form-data; boundary=x'
const formHead = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

for (const forceCloseConnections of [undefined, true, false, 'idle'] as const) {
  const server = forceCloseConnections === undefined ? {} : { forceCloseConnections }
  for (const [kind, type, head] of [['raw', octets, ''], ['multipart', form, formHead]] as const) {
    t.test(`closing amid a ${kind} upload saves what came, and closes (forceCloseConnections ${forceCloseConnections})`, async t => {
      const metadata = memoryMetadata()
      const written: number[] = []
      const { app, log, listen } = await plainHost(t, { metadata, storage: countedStorage(written) }, server)
      const { port } = await listen()
      const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
      const http = await RawHttp.connect(port)
      const idle = await RawHttp.connect(port)
      t.equal((await idle.request('GET', '/u', { connection: 'keep-alive' }).reply()).status, 200)
      http.request('PATCH', `/u/${id}`, { connection: 'keep-alive', 'content-type': type, 'content-length': 1_000_000 })
      http.send(head + 'x'.repeat(100_000))
      await until(() => written.at(-1) === 100_000)
      const reply = http.reply().catch(() => undefined)
      await app.close()
      await Promise.all([http.closed, idle.closed])
      const answer = await reply
      if (answer !== undefined) {
        t.equal(answer.status, 503)
        t.equal(answer.headers.connection, 'close')
      }
      t.strictSame((await metadata.get(id))?.received, [[0, 100_000]], 'invariant 1')
      t.notOk(log.some(({ res }) => res?.statusCode === 500))
    })
  }
}

t.test('a client that goes on sending while the server closes is cut', async t => {
  const { app, listen } = await plainHost(t)
  const { port } = await listen()
  const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
  const http = await RawHttp.connect(port)
  http.request('PATCH', `/u/${id}`, { 'content-type': octets, 'content-length': 10 ** 12 })
  const sent = http.flood(10 ** 12)
  await until(async () => (await app.inject(`/u/${id}`)).statusCode === 200)
  await app.close()
  t.ok(await sent < 10 ** 12)
})

t.test('a client in the midst of a form does not keep the server from closing', async t => {
  for (const [type, url, part] of [
    ['application/json', '/u/form', '{'], [form, '/u/form', '--x\r\nContent-'], [form, '/u/parts', formHead + 'x'], [octets, '/u/body', 'x']
  ] as const) {
    const { app, listen } = await plainHost(t)
    const { port } = await listen()
    const http = await RawHttp.connect(port)
    const arrived = once(app.server, 'request')
    http.request(url === '/u/body' ? 'PUT' : 'POST', url, { 'content-type': type, 'content-length': 1000 }, part)
    await arrived
    await app.close()
    await http.closed
    t.pass(`${type} to ${url}`)
  }
})

t.test('a rest that is being dropped does not keep the server from closing', async t => {
  const { app, listen } = await plainHost(t)
  const { port } = await listen()
  const http = await RawHttp.connect(port)
  http.request('PUT', '/u/refuse?read=some', { 'content-type': octets, 'content-length': 1_000_000 }, 'x'.repeat(1000))
  t.equal((await http.reply()).status, 418)
  await app.close()
  await http.closed
})

t.test('a request that waits for another one hears at once that the server stops', async t => {
  const { app, listen } = await plainHost(t)
  const { port } = await listen()
  const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
  const [first, second] = [await RawHttp.connect(port), await RawHttp.connect(port)]
  for (const http of [first, second]) http.request('PATCH', `/u/${id}`, { 'content-type': octets, 'content-length': 1000 }, 'x')
  await until(async () => (await app.inject(`/u/${id}`)).statusCode === 200)
  await app.close()
  await Promise.all([first.closed, second.closed])
})

t.test('a request that a slow hook of the host holds is refused once the server stops', async t => {
  let release = (): void => {}
  let held = false
  const { app, listen, log } = await hostOf(t, async app => {
    app.addHook('onRequest', async request => {
      if (request.headers['x-slow'] === undefined) return
      held = true
      await new Promise<void>(resolve => { release = resolve })
    })
    await app.register(chunkedUpload, inMemory())
  })
  const { port } = await listen()
  const http = await RawHttp.connect(port)
  http.request('POST', '/u', { 'x-slow': 1 })
  await until(() => held)
  const closing = app.close()
  await until(() => log.length > 0 && app.chunkedUpload !== undefined)
  setImmediate(release)
  const reply = await http.reply()
  t.equal(reply.status, 503)
  t.equal(reply.headers.connection, 'close')
  await closing
})

t.test('closing under HTTP/2 saves what came and closes the session', async t => {
  const metadata = memoryMetadata()
  const written: number[] = []
  const app = Fastify({ http2: true })
  await app.register(chunkedUpload, { ...inMemory({ metadata, storage: countedStorage(written), protocols: [tiny()] }) })
  const session = connectHttp2(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => { session.destroy() })
  session.on('error', () => {})
  const post = session.request({ ':method': 'POST', ':path': '/u' })
  post.end()
  let body = ''
  for await (const piece of post) body += piece
  const { id } = JSON.parse(body)
  const patch = session.request({ ':method': 'PATCH', ':path': `/u/${id}`, 'content-type': octets })
  patch.on('error', () => {}).resume()
  patch.write(Buffer.alloc(50_000))
  await until(() => written.at(-1) === 50_000)
  const [[headers]] = await Promise.all([once(patch, 'response'), once(session, 'close'), app.close()])
  t.equal(headers[':status'], 503)
  t.strictSame((await metadata.get(id))?.received, [[0, 50_000]])
})

t.test('a server that closes without uploads leaves no fault in the log', async t => {
  const { app, log, listen } = await plainHost(t)
  await listen()
  await app.close()
  t.strictSame(faults(log), [])
})
