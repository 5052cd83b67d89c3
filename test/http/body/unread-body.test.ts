import type { ClientHttp2Stream, ServerHttp2Stream } from 'node:http2'
import Fastify from 'fastify'
import t from 'tap'
import { chunkedUpload } from '../../../src/plugin.js'
import { connectHttp2, once } from '../../support/deadline.js'
import { until } from '../../support/engine.js'
import { countedStorage, faults, inMemory, plainHost } from '../../support/host.js'
import { RawHttp } from '../../support/raw-http.js'

const MIB = 1024 * 1024
const octets = 'application/octet-stream'
const form = 'multipart/form-data; boundary=x'
const formHead = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
const formTail = '\r\n--x--\r\n'

for (const [kind, type] of [['raw', octets], ['multipart', form]] as const) {
  const bodyOf = (bytes: number): Buffer => {
    const zeros = Buffer.alloc(bytes)
    return kind === 'raw' ? zeros : Buffer.concat([Buffer.from(formHead), zeros, Buffer.from(formTail)])
  }
  for (const read of ['nothing', 'some', 'all']) {
    for (const [size, bytes] of [['small', 200_000], ['large', 10 * MIB]] as const) {
      for (const coding of ['length', 'chunked'] as const) {
        t.test(`invariant 8: an error that read ${read} of a ${size} ${kind} body (${coding}) leaves the connection usable`, async t => {
          const { listen, log } = await plainHost(t)
          const { port } = await listen()
          const http = await RawHttp.connect(port)
          t.teardown(() => { http.socket.destroy() })
          for (let round = 0; round < 3; round++) {
            const body = bodyOf(bytes)
            const url = `/u/refuse?read=${read}`
            if (coding === 'length') http.request('PUT', url, { 'content-type': type, 'content-length': body.length }, body)
            else {
              http.request('PUT', url, { 'content-type': type, 'transfer-encoding': 'chunked' })
              http.send(`${body.length.toString(16)}\r\n`).send(body).send('\r\n0\r\n\r\n')
            }
            const reply = await http.reply()
            t.equal(reply.status, 418)
            t.match(JSON.parse(reply.body), { message: 'refused' })
            t.equal((await http.request('GET', '/u').reply()).status, 200, 'the next request')
          }
          t.strictSame(faults(log), [])
        })
      }
    }
  }
}

for (const status of [400, 401, 403, 404, 409, 410, 413, 415, 416, 423, 429, 460, 500, 503, 507]) {
  t.test(`invariant 8: the connection serves the next request after a ${status} in the midst of a body`, async t => {
    const { listen } = await plainHost(t)
    const { port } = await listen()
    const http = await RawHttp.connect(port)
    t.teardown(() => { http.socket.destroy() })
    const headers = { 'content-type': octets, 'content-length': 200_000 }
    http.request('PUT', `/u/refuse?read=some&status=${status}`, headers, Buffer.alloc(100_000))
    t.equal((await http.reply()).status, status, 'replies before all of it was sent')
    http.send(Buffer.alloc(100_000))
    t.equal((await http.request('GET', '/u').reply()).status, 200)
  })
}

t.test('invariant 8: a client that goes on sending sees the reply, and is cut when it does not stop', async t => {
  for (const read of ['nothing', 'some']) {
    const { listen, app } = await plainHost(t)
    const { port } = await listen()
    const http = await RawHttp.connect(port)
    http.request('PUT', `/u/refuse?read=${read}`, { 'content-type': octets, 'content-length': 1000 * MIB })
    const sent = await http.flood(1000 * MIB)
    t.equal((await http.reply()).status, 418)
    await http.closed
    t.ok(sent < 1000 * MIB, `${sent} bytes were sent after an error that read ${read}`)
    t.equal((await app.inject('/u')).statusCode, 200)
  }
})

t.test('invariant 8: a client that closes after the reply gets it, though it sends all of its body first', async t => {
  const { listen } = await plainHost(t)
  const { port } = await listen()
  for (const size of [8 * MIB, 50 * MIB]) {
    for (const read of ['nothing', 'some']) {
      for (const head of [{ connection: 'close' }, { connection: 'keep-alive' }]) {
        const http = await RawHttp.connect(port)
        http.socket.pause()
        http.request('PUT', `/u/refuse?read=${read}`, { 'content-type': octets, 'content-length': size, ...head })
        t.equal(await http.flood(size), size)
        http.socket.resume()
        t.equal((await http.reply()).status, 418, `${size} bytes, ${head.connection}, ${read}`)
        if (size > 16 * MIB) await http.closed
        http.socket.destroy()
      }
    }
  }
})

t.test('invariant 8: a reply that closes its connection does not wait for the rest of the body, and the rest does no harm', async t => {
  const { listen } = await plainHost(t)
  const { port } = await listen()
  for (const read of ['nothing', 'some']) {
    const http = await RawHttp.connect(port)
    const headers = { 'content-type': octets, 'content-length': MIB, connection: 'close' }
    http.request('PUT', `/u/refuse?read=${read}`, headers, Buffer.alloc(1000))
    t.equal((await http.reply()).status, 418)
    // A close would be here as soon as the reply on another connection.
    const other = await RawHttp.connect(port)
    t.equal((await other.request('GET', '/u').reply()).status, 200)
    other.socket.destroy()
    t.notOk(http.socket.readableEnded, 'the server does not close while the body comes')
    http.send(Buffer.alloc(MIB - 1000))
    await http.closed
  }
})

t.test('invariant 8: a client that never sends the rest delays no other, and gets the reply at once', async t => {
  const { listen, app } = await plainHost(t)
  const { port } = await listen()
  const http = await RawHttp.connect(port)
  http.request('PUT', '/u/refuse?read=some', { 'content-type': octets, 'content-length': MIB }, Buffer.alloc(1000))
  t.equal((await http.reply()).status, 418)
  t.equal((await app.inject('/u')).statusCode, 200)
  http.reset()
})

t.test('a client that never reads its replies leaves others alone', async t => {
  const { listen, app } = await plainHost(t)
  const { port } = await listen()
  const http = await RawHttp.connect(port)
  http.socket.pause()
  for (let request = 0; request < 20; request++) {
    http.request('PUT', '/u/refuse?read=some', { 'content-type': octets, 'content-length': 200_000 }, Buffer.alloc(200_000))
  }
  t.equal((await app.inject('/u')).statusCode, 200)
  http.socket.resume()
  for (let request = 0; request < 20; request++) t.equal((await http.reply()).status, 418)
  http.reset()
})

t.test('invariant 1: what came of a body that was cut is kept, wherever it was cut', async t => {
  const confirmed: number[] = []
  const { listen, app, log } = await plainHost(t, { storage: countedStorage(confirmed) })
  const { port } = await listen()
  for (const [kind, type, head] of [['raw', octets, ''], ['multipart', form, formHead]] as const) {
    for (const bytes of [0, 100_000, 200_000]) {
      const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
      confirmed.length = 0
      const http = await RawHttp.connect(port)
      const arrived = once(app.server, 'request')
      const length = head.length + 200_000 + (kind === 'raw' ? 0 : formTail.length)
      http.request('PATCH', `/u/${id}`, { 'content-type': type, 'content-length': length }, head + 'x'.repeat(bytes))
      await arrived
      await until(() => bytes === 0 || confirmed.at(-1) === bytes)
      http.reset()
      await http.closed
      await until(async () => (await app.inject(`/u/${id}`)).json().offset === bytes)
      const rest = { method: 'PATCH', url: `/u/${id}`, headers: { 'content-type': octets }, payload: Buffer.alloc(10) } as const
      t.match((await app.inject(rest)).json(), { offset: bytes + 10 }, `${kind}: goes on behind ${bytes} bytes`)
    }
  }
  t.strictSame(faults(log), [])
})

t.test('many refused requests on one connection leave no listeners behind', async t => {
  const { listen, app } = await plainHost(t)
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => { process.off('warning', onWarning) })
  const { port } = await listen()
  const counts: number[] = []
  app.server.on('request', ({ socket }) => {
    counts.push(socket.eventNames().reduce<number>((sum, name) => sum + socket.listenerCount(name), 0))
  })
  const http = await RawHttp.connect(port)
  t.teardown(() => { http.socket.destroy() })
  for (let round = 0; round < 40; round++) {
    http.request('PUT', '/u/refuse?read=some', { 'content-type': octets, 'content-length': 200_000 }, Buffer.alloc(200_000))
    t.equal((await http.reply()).status, 418)
  }
  t.equal(counts.length, 40)
  t.equal(counts.at(-1), counts[1])
  t.strictSame(warnings, [])
})

t.test('over HTTP/2', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  const confirmed: number[] = []
  await app.register(chunkedUpload, inMemory({ storage: countedStorage(confirmed) }))
  const open = new Set<ServerHttp2Stream>()
  app.server.on('stream', stream => {
    open.add(stream)
    stream.once('close', () => { open.delete(stream) })
  })
  // Node's client keeps the bytes that it could not send any more, and has a limit for them.
  const session = connectHttp2(await app.listen({ port: 0, host: '127.0.0.1' }), { maxSessionMemory: 1000 })
  t.teardown(() => { session.destroy() })
  const ask = (method: string, path: string, headers = {}): ClientHttp2Stream => {
    return session.request({ ':method': method, ':path': path, ...headers }, { endStream: method === 'GET' })
  }
  const replyOf = async (stream: ClientHttp2Stream): Promise<{ status: number, body: string }> => {
    const [headers] = await once(stream, 'response')
    let body = ''
    // Not by iteration, which would destroy the stream after the last byte and hide a server that leaves it open.
    stream.on('data', piece => { body += String(piece) })
    await once(stream, 'end')
    return { status: headers[':status'], body }
  }

  for (const read of ['nothing', 'some', 'all']) {
    t.test(`invariant 8: after an error that read ${read} of a body the stream ends and the connection goes on`, async t => {
      for (let round = 0; round < 5; round++) {
        const stream = ask('PUT', `/u/refuse?read=${read}`, { 'content-type': octets })
        const replied = replyOf(stream)
        stream.on('error', () => {})
        stream.end(Buffer.alloc(4 * MIB))
        const reply = await replied
        t.equal(reply.status, 418)
        t.match(JSON.parse(reply.body), { message: 'refused' })
        if (!stream.closed) await once(stream, 'close')
        t.equal(stream.rstCode, 0, 'without an error')
        await until(() => open.size === 0)
      }
      t.equal((await replyOf(ask('GET', '/u'))).status, 200)
    })
  }

  t.test('a stream that the client resets keeps what came of it', async t => {
    const post = ask('POST', '/u')
    post.end()
    const { id } = JSON.parse((await replyOf(post)).body)
    const stream = ask('PATCH', `/u/${id}`, { 'content-type': octets })
    stream.on('error', () => {})
    stream.write(Buffer.alloc(50_000))
    await until(() => confirmed.at(-1) === 50_000)
    stream.close(8)
    await until(async () => JSON.parse((await replyOf(ask('GET', `/u/${id}`))).body).offset === 50_000)
    t.pass()
  })
})

t.test('invariant 8: a form or a small body that stops coming gets 408, wherever it stops', async t => {
  const forms = ['', '--x', formHead.slice(0, 30), `${formHead}abc\r\n--x\r\nContent-Disp`]
  const cases = [...forms.map(body => ['/u/parts', form, body] as const), ['/u/form', 'application/json', '{"a"'] as const]
  for (const [url, type, body] of cases) {
    const { listen, log } = await plainHost(t, { stallTimeout: 20 })
    const http = await RawHttp.connect((await listen()).port)
    t.teardown(() => { http.socket.destroy() })
    const reply = await http.request('POST', url, { 'content-type': type, 'content-length': 1000 }, body).reply()
    t.equal(reply.status, 408, `${url} ${body}`)
    t.strictSame(faults(log), [])
  }
})

t.test('invariant 8: over HTTP/2 a form that stops coming gets 408, and the server goes on', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(chunkedUpload, inMemory({ stallTimeout: 20 }))
  const session = connectHttp2(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => { session.destroy() })
  const stream = session.request({ ':method': 'POST', ':path': '/u/parts', 'content-type': form }, { endStream: false })
  stream.on('error', () => {})
  stream.resume().write(formHead)
  const [refused] = await once(stream, 'response')
  t.equal(refused[':status'], 408)
  const again = session.request({ ':path': '/u' })
  const [headers] = await once(again, 'response')
  t.equal(headers[':status'], 200)

  const gone = session.request({ ':method': 'POST', ':path': '/u/parts', 'content-type': form }, { endStream: false })
  gone.on('error', () => {})
  gone.write(formHead)
  session.destroy()
  t.equal((await app.inject('/u')).statusCode, 200)
})

t.test('a body that is not waited for may take its time', async t => {
  // The answer takes longer than a body may stall, while the body waits to be asked for.
  const allowedTypes = async (): Promise<boolean> => await new Promise(resolve => { setTimeout(resolve, 50, true) })
  const { listen } = await plainHost(t, { stallTimeout: 5, allowedTypes })
  const http = await RawHttp.connect((await listen()).port)
  t.teardown(() => { http.socket.destroy() })
  const reply = await http.request('POST', '/u', { 'content-type': octets, 'content-length': 3 }, 'a').reply()
  t.equal(reply.status, 200)
})
