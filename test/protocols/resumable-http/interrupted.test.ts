import { randomBytes } from 'node:crypto'
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import Fastify from 'fastify'
import t from 'tap'
import { chunkedUpload } from '../../../src/plugin.js'
import { resumableHttp } from '../../../src/protocols/resumable-http/index.js'
import { connectHttp2, once } from '../../support/deadline.js'
import { until } from '../../support/engine.js'
import { faults, inMemory } from '../../support/host.js'
import { RawHttp } from '../../support/raw-http.js'
import { appending, completeField, creation, interopVersions, locationOf, send, versionField } from '../../support/resumable-client.js'
import { type ResumableServer, resumableServer, sha256 } from '../../support/resumable-server.js'

const file = randomBytes(3_000_000)

/** Bytes of the only upload that storage has confirmed and the record says. */
async function storedBytes ({ app }: Pick<ResumableServer, 'app'>): Promise<number> {
  let bytes = 0
  for await (const { received } of app.chunkedUpload.list()) bytes += received[0]?.[1] ?? 0
  return bytes
}

for (const version of interopVersions) {
  if (version === undefined) continue
  t.test(`interop version ${version}: one POST of the whole file, cut after the interim reply, is resumed as URLSession does`, async t => {
    const server = await resumableServer(t)
    const client = await RawHttp.connect(server.port)
    client.request('POST', '/files', { ...creation(version, true), 'content-length': file.length, 'content-type': 'image/heic' })
    const interim = await client.next()
    t.equal(interim.status, 104)
    t.equal(interim.headers['upload-draft-interop-version'], String(version))
    const location = new URL(interim.headers['location'] ?? '', server.url).href
    client.send(file.subarray(0, 1_700_000))
    client.socket.end()
    await client.closed

    const state = await send(location, { method: 'HEAD', headers: versionField(version) })
    t.equal(state.status, 204)
    const offset = Number(state.headers['upload-offset'])
    t.ok(offset > 0 && offset <= 1_700_000, `${offset} bytes are kept`)
    t.match(state.headers, version === 3 ? { 'upload-incomplete': '?1' } : { 'upload-complete': '?0' })
    t.equal(state.headers['upload-length'], String(file.length))

    const last = await send(location, { method: 'PATCH', headers: appending(version, offset, true), body: file.subarray(offset) })
    t.equal(last.status, version <= 6 ? 201 : 200)
    t.match(last.headers, version === 3 ? { 'upload-incomplete': '?0' } : { 'upload-complete': '?1' })
    t.equal(await server.sha256(location), sha256(file))
    t.equal((await server.upload(location))?.contentType, 'image/heic')
    t.strictSame(faults(server.log), [])
  })
}

t.test('without a version nothing but the final reply is sent', async t => {
  const server = await resumableServer(t)
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/files', { ...creation(undefined, true), 'content-length': 4 }, 'file')
  t.equal((await client.next()).status, 201)
  client.socket.destroy()
})

t.test('HTTP/1.0 gets no interim reply', async t => {
  const server = await resumableServer(t)
  const client = await RawHttp.connect(server.port)
  client.send('POST /files HTTP/1.0\r\nhost: a\r\nupload-complete: ?1\r\nupload-draft-interop-version: 9\r\ncontent-length: 4\r\n\r\nfile')
  t.equal((await client.next()).status, 201)
  client.socket.destroy()
})

t.test('where Node can send an interim reply by itself, it does', async t => {
  const told: unknown[] = []
  const server = await resumableServer(t, {
    before: app => app.addHook('onRequest', async (_request, reply) => {
      Object.assign(reply.raw, { writeInformation: (...given: unknown[]) => { told.push(given) } })
    })
  })
  const reply = await send(server.url, { method: 'POST', headers: creation(9, true), body: 'file' })
  t.equal(reply.status, 201)
  const { location, 'upload-limit': limit } = reply.headers
  t.strictSame(told, [[104, { 'Upload-Draft-Interop-Version': '9', Location: location, 'Upload-Limit': limit }]])
  t.same(reply.interims, [])
})

t.test('100 (Continue) is still sent when it is expected, and 104 as well', async t => {
  const server = await resumableServer(t)
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/files', { ...creation(9, true), 'content-length': 4, expect: '100-continue' })
  const interims = [(await client.next()).status, (await client.next()).status].sort()
  t.strictSame(interims, [100, 104])
  client.send('file')
  t.equal((await client.next()).status, 201)
  client.socket.destroy()
})

t.test('interim replies keep their place among pipelined requests', async t => {
  const server = await resumableServer(t, {
    before: app => {
      app.get('/slow', async () => {
        await until(async () => await storedBytes(server) > 0)
        return 'slow'
      })
    }
  })
  const client = await RawHttp.connect(server.port)
  client.request('GET', '/slow').request('POST', '/files', { ...creation(9, true), 'content-length': 4 }, 'file')
  t.strictSame([await client.next(), await client.next(), await client.next()].map(({ status }) => status), [200, 104, 201])
  client.socket.destroy()
})

t.test('injected requests, which have no connection, are served without interim replies', async t => {
  const { app } = await resumableServer(t)
  const reply = await app.inject({ method: 'POST', url: '/files', headers: creation(9, true), payload: 'file' })
  t.equal(reply.statusCode, 201)
  t.equal(reply.headers['upload-complete'], '?1')
})

for (const version of interopVersions) {
  t.test(`interop version ${version ?? 'unnamed'}: interim replies of progress`, async t => {
    const server = await resumableServer(t, { protocol: { progress: { bytes: 1000 } } })
    const begun = await send(server.url, { method: 'POST', headers: creation(version, false) })
    const client = await RawHttp.connect(server.port)
    client.request('PATCH', begun.headers.location ?? '', { ...appending(version, 0, true), 'content-length': 500_000 })
    let sent = 0
    const seen: number[] = []
    while (sent < 500_000) {
      client.send(file.subarray(sent, sent + 100_000))
      sent += 100_000
      if (version !== undefined && version >= 5) await until(async () => await storedBytes(server) === sent)
    }
    while (true) {
      const reply = await client.next()
      if (reply.status !== 104) {
        t.ok(reply.status === 200 || reply.status === 201)
        break
      }
      t.equal(reply.headers['upload-draft-interop-version'], String(version))
      t.equal(reply.headers['location'], undefined)
      seen.push(Number(reply.headers['upload-offset']))
    }
    if (version === undefined || version < 5) t.strictSame(seen, [])
    else {
      t.ok(seen.length > 0)
      t.strictSame(seen, [...new Set(seen)].sort((a, b) => a - b), 'offsets only grow')
      t.ok(seen.every(offset => offset < 500_000))
    }
    t.equal(await server.sha256(begun.headers.location ?? ''), sha256(file.subarray(0, 500_000)))
    client.socket.destroy()
  })
}

t.test('interim replies can be switched off, all of them', async t => {
  for (const protocol of [{ interim: false }, { progress: false }, { interim: false, progress: { bytes: 1 } }] as const) {
    const server = await resumableServer(t, { protocol })
    const reply = await send(server.url, { method: 'POST', headers: creation(9, true), body: file })
    t.strictSame([reply.status, reply.interims], [201, []])
  }
})

t.test('over HTTP/2 an interim reply names the upload, and a cancelled stream is resumed', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(chunkedUpload, { ...inMemory({ protocols: [resumableHttp({ progress: { bytes: 1000 } })] }), prefix: '/files' })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  t.teardown(() => { session.destroy() })
  const fields = { ':path': '/files', ':method': 'POST', 'content-length': String(file.length), ...creation(9, true) }
  const stream = session.request(fields)
  stream.on('error', () => {})
  const [interim] = await once(stream, 'headers')
  t.equal(interim[':status'], 104)
  t.match(interim['location'], /^\/files\/[\w-]+$/)
  t.equal(interim['upload-draft-interop-version'], '9')
  stream.write(file.subarray(0, 400_000))
  const [progress] = await once(stream, 'headers')
  t.equal(progress[':status'], 104)
  t.ok(Number(progress['upload-offset']) > 0)
  stream.close(constants.NGHTTP2_CANCEL)

  const request = async (method: string, headers: OutgoingHttpHeaders, body?: Buffer): Promise<IncomingHttpHeaders> => {
    const asked = session.request({ ':path': String(interim['location']), ':method': method, ...headers })
    asked.end(body)
    const [answer] = await once(asked, 'response')
    asked.resume()
    return answer
  }
  const state = await request('HEAD', versionField(9))
  t.equal(state[':status'], 204)
  const offset = Number(state['upload-offset'])
  t.ok(offset > 0)
  const last = await request('PATCH', appending(9, offset, true), file.subarray(offset))
  t.equal(last[':status'], 200)
  t.equal(last['upload-complete'], '?1')
})

for (const [what, method, status] of [['HEAD', 'HEAD', 204], ['PATCH', 'PATCH', 200], ['DELETE', 'DELETE', 204]] as const) {
  t.test(`invariant 3: ${what} takes over from a request that hangs, which ends without claiming success`, async t => {
    const server = await resumableServer(t, { protocol: { progress: { bytes: 1 } } })
    const hanging = await RawHttp.connect(server.port)
    hanging.request('POST', '/files', { ...creation(9, true), 'content-length': 2000 }, file.subarray(0, 1000))
    const location = new URL((await hanging.next()).headers['location'] ?? '', server.url).href
    await until(async () => await storedBytes(server) === 1000)
    const old = hanging.reply()
    // How much has arrived is not known to a client: a PATCH begins with what a HEAD told.
    const offset = method === 'PATCH' ? Number((await send(location, { method: 'HEAD' })).headers['upload-offset']) : 0
    const answer = await send(location, {
      method, ...method === 'PATCH' && { headers: appending(9, offset, true), body: file.subarray(offset, 2000) }
    })
    t.equal(answer.status, status)
    const ended = await old
    // After a DELETE there is nothing to come back for.
    t.strictSame([ended.status, ended.headers['retry-after']], method === 'DELETE' ? [410, undefined] : [423, '1'])
    t.notOk(ended.headers['upload-complete'] === '?1')
    if (method === 'PATCH') t.equal(await server.sha256(location), sha256(file.subarray(0, 2000)))
    t.strictSame(faults(server.log), [])
    hanging.socket.destroy()
  })
}

t.test('the host can stop a running upload: remove() ends the request in flight', async t => {
  const server = await resumableServer(t, { protocol: { progress: { bytes: 1 } } })
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/files', { ...creation(9, true), 'content-length': 2000 }, file.subarray(0, 1000))
  const location = (await client.next()).headers['location'] ?? ''
  await until(async () => await storedBytes(server) === 1000)
  await server.app.chunkedUpload.remove(location.split('/').at(-1) ?? '')
  const { status } = await client.reply()
  t.ok(status === 410 || status === 423, `${status}: gone, or taken away`)
  t.equal((await send(new URL(location, server.url).href, { method: 'HEAD' })).status, 404)
  client.socket.destroy()
})

t.test('invariant 1: a server that stops keeps what storage confirmed, and says so with 503', async t => {
  const server = await resumableServer(t)
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/files', { ...creation(9, true), 'content-length': 2000 }, file.subarray(0, 1000))
  t.equal((await client.next()).status, 104)
  const closed = server.app.close()
  t.equal((await client.reply()).status, 503)
  await closed
})

t.test('a body that says nothing for too long ends with 503, and its bytes are kept', async t => {
  const server = await resumableServer(t, { plugin: { stallTimeout: 50 } })
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/files', { ...creation(9, true), 'content-length': 2000 }, file.subarray(0, 1000))
  const location = new URL((await client.next()).headers['location'] ?? '', server.url).href
  const reply = await client.reply()
  t.equal(reply.status, 503)
  t.equal(reply.headers['retry-after'], '1')
  const state = await send(location, { method: 'HEAD' })
  t.equal(state.headers['upload-offset'], '1000')
  t.match(state.headers, completeField(9, false))
  client.socket.destroy()
})

t.test('a lost final reply is sent again to who repeats the last request', async t => {
  const server = await resumableServer(t, {
    plugin: { onComplete: upload => ({ statusCode: 202, headers: { 'x-name': upload.filename }, body: { size: upload.size } }) }
  })
  const begun = await send(server.url, {
    method: 'POST', headers: creation(9, false, { 'content-disposition': 'attachment; filename="a.bin"' }), body: file.subarray(0, 1000)
  })
  const location = locationOf(server.url, begun)
  for (const [offset, body] of [[1000, file.subarray(1000)], [1000, file.subarray(1000)], [file.length, Buffer.alloc(0)]] as const) {
    const reply = await send(location, { method: 'PATCH', headers: appending(9, offset, true), body })
    t.equal(reply.status, 202)
    t.equal(reply.headers['x-name'], 'a.bin')
    t.match(reply.headers['content-type'], /^application\/json/)
    t.strictSame(JSON.parse(reply.text), { size: file.length })
    t.equal(reply.headers['upload-complete'], '?1')
  }
})
