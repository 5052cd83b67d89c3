import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type http2 from 'node:http2'
import multipart from '@fastify/multipart'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t from 'tap'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import { chunkedUpload } from '../../../src/plugin.js'
import { resumableHttp } from '../../../src/protocols/resumable-http/index.js'
import { connectHttp2, once } from '../../support/deadline.js'
import { bytesOf, gate } from '../../support/engine.js'
import { faults, inMemory } from '../../support/host.js'
import { RawHttp } from '../../support/raw-http.js'
import { appending, creation, type Fields, interopVersions, locationOf, send, versionField } from '../../support/resumable-client.js'
import { resumableServer, sha256 } from '../../support/resumable-server.js'

const file = randomBytes(400_000)
const passThrough = (app: FastifyInstance): unknown => {
  return app.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })
}

/** What a handler sees of a request. */
async function seen (request: FastifyRequest): Promise<Record<string, unknown>> {
  const hash = createHash('sha256')
  let size = 0
  if (request.body instanceof Readable) {
    for await (const bytes of request.body) {
      hash.update(bytes)
      size += bytes.length
    }
  }
  const { 'content-type': type, 'content-length': length, 'transfer-encoding': coding, 'x-album': album } = request.headers
  const { method, url, upload } = request
  return { method, url, size, sha256: hash.digest('hex'), type, length, coding, album, upload: upload?.size ?? null }
}

const wanted = {
  method: 'POST', url: '/photos?album=1', size: file.length, sha256: sha256(file), type: 'image/jpeg', length: String(file.length)
}
const photos = (app: FastifyInstance): unknown => {
  passThrough(app)
  return app.post('/photos', { config: { resumable: true } }, async (request, reply) => {
    return await reply.code(202).header('x-handler', 'ran').send(await seen(request))
  })
}

for (const version of interopVersions) {
  t.test(`interop version ${version ?? 'unnamed'}: a route of the host gets the file in one piece, however it came`, async t => {
    const server = await resumableServer(t, { after: photos })
    const url = `${server.origin}/photos?album=1`
    const fields = { 'content-type': 'image/jpeg' }

    t.test('in one request', async t => {
      const reply = await send(url, { method: 'POST', headers: creation(version, true, fields), body: file })
      t.equal(reply.status, 202)
      t.match(JSON.parse(reply.text), { ...wanted, upload: file.length })
      t.equal(reply.headers['x-handler'], 'ran')
      t.match(reply.headers, version === 3 ? { 'upload-incomplete': '?0' } : { 'upload-complete': '?1' })
      t.equal(reply.headers['upload-offset'], String(file.length))
      t.equal(reply.headers['upload-draft-interop-version'], version === undefined ? undefined : String(version))
      t.equal(reply.headers.location, undefined)
      t.equal(reply.interims.length, version === undefined ? 0 : 1)
    })

    t.test('in several requests', async t => {
      const begun = await send(url, { method: 'POST', headers: creation(version, false, fields), body: file.subarray(0, 100_000) })
      t.equal(begun.status, 201)
      const location = locationOf(server.url, begun)
      t.match(location, /\/files\/[\w-]+$/)
      const more = await send(location, {
        method: 'PATCH', headers: appending(version, 100_000, false), body: file.subarray(100_000, 200_000)
      })
      t.equal(more.headers['x-handler'], undefined)
      const state = await send(location, { method: 'HEAD', headers: versionField(version) })
      t.equal(state.headers['upload-offset'], '200000')
      const last = await send(location, {
        method: 'PATCH', headers: appending(version, 200_000, true, { 'x-album': 'summer' }), body: file.subarray(200_000)
      })
      t.equal(last.status, 202)
      t.match(JSON.parse(last.text), { ...wanted, upload: file.length, album: 'summer' })
      t.match(last.headers, version === 3 ? { 'upload-incomplete': '?0' } : { 'upload-complete': '?1' })
      t.equal(last.headers['upload-draft-interop-version'], version === undefined ? undefined : String(version))
      t.equal((await server.upload(location))?.status, 'complete')
    })

    t.test('after a cut', async t => {
      if (version === undefined) return
      const client = await RawHttp.connect(server.port)
      client.request('POST', '/photos?album=1', { ...creation(version, true, fields), 'content-length': file.length })
      client.send(file.subarray(0, 150_000))
      const location = new URL((await client.next()).headers['location'] ?? '', server.url).href
      client.socket.end()
      await client.closed
      const { headers } = await send(location, { method: 'HEAD', headers: versionField(version) })
      const offset = Number(headers['upload-offset'])
      const last = await send(location, { method: 'PATCH', headers: appending(version, offset, true), body: file.subarray(offset) })
      t.equal(last.status, 202)
      t.match(JSON.parse(last.text), wanted)
    })
    t.strictSame(faults(server.log), [])
  })
}

t.test('requests without Upload-Complete, or with one of the wrong type, reach the handler untouched', async t => {
  const server = await resumableServer(t, { after: photos })
  const url = `${server.origin}/photos?album=1`
  for (const more of [
    {}, { 'upload-complete': 'true' }, { 'upload-complete': '1' }, { 'tus-resumable': '1.0.0', 'upload-complete': '?1' }
  ]) {
    const reply = await send(url, { method: 'POST', headers: { 'content-type': 'image/jpeg', ...more }, body: file })
    t.equal(reply.status, 202)
    t.match(JSON.parse(reply.text), { ...wanted, upload: null })
    t.equal(reply.headers['upload-complete'], undefined)
  }
  let uploads = 0
  for await (const upload of server.app.chunkedUpload.list()) uploads += upload.id.length
  t.equal(uploads, 0)
})

t.test('the parsers of the host see the whole body: JSON, and a form of @fastify/multipart', async t => {
  const server = await resumableServer(t, {
    before: app => app.register(multipart),
    after: app => {
      app.post('/json', { config: { resumable: true } }, async request => ({ body: request.body }))
      app.post('/form', { config: { resumable: true } }, async request => {
        const part = await request.file()
        return { name: part?.filename, sha256: sha256(await part?.toBuffer() ?? Buffer.alloc(0)) }
      })
    }
  })
  const json = Buffer.from(JSON.stringify({ title: 'a'.repeat(1000) }))
  const form = Buffer.concat([
    Buffer.from('--x\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'), file, Buffer.from('\r\n--x--\r\n')
  ])
  for (const [path, type, body, answer] of [
    ['/json', 'application/json', json, { body: { title: 'a'.repeat(1000) } }],
    ['/form', 'multipart/form-data; boundary=x', form, { name: 'a.bin', sha256: sha256(file) }]
  ] as const) {
    const half = Math.floor(body.length / 2)
    const whole = await send(server.origin + path, { method: 'POST', headers: creation(9, true, { 'content-type': type }), body })
    t.strictSame(JSON.parse(whole.text), answer, `${path} at once`)
    const begun = await send(server.origin + path, {
      method: 'POST', headers: creation(9, false, { 'content-type': type }), body: body.subarray(0, half)
    })
    const location = locationOf(server.url, begun)
    const last = await send(location, { method: 'PATCH', headers: appending(9, half, true), body: body.subarray(half) })
    t.strictSame(JSON.parse(last.text), answer, `${path} in two requests`)
    t.equal(last.status, 200)
  }
})

t.test('hooks of the host guard the creation before a byte is stored, and the handler once more with the last request', async t => {
  const server = await resumableServer(t, {
    after: app => {
      passThrough(app)
      return app.register(async scope => {
        scope.addHook('onRequest', async (request, reply) => {
          if (request.headers.authorization !== 'good') return await reply.code(401).send({ no: 'entry' })
        })
        scope.post('/secret', { config: { resumable: true } }, async request => await seen(request))
      })
    }
  })
  const url = `${server.origin}/secret`
  const refused = await send(url, { method: 'POST', headers: creation(9, true), body: file })
  t.equal(refused.status, 401)
  t.strictSame(refused.interims, [])

  const begun = await send(url, { method: 'POST', headers: creation(9, false, { authorization: 'good' }), body: file.subarray(0, 1000) })
  const location = locationOf(server.url, begun)
  const upload = await server.upload(location)
  t.notMatch(JSON.stringify(upload), /good/, 'credentials are not stored')
  const without = await send(location, { method: 'PATCH', headers: appending(9, 1000, true), body: file.subarray(1000) })
  t.equal(without.status, 401)
  t.equal((await server.upload(location))?.status, 'uploading', 'all bytes are there, and may be handled later')
  const last = await send(location, { method: 'PATCH', headers: appending(9, file.length, true, { authorization: 'good' }) })
  t.equal(last.status, 200)
  t.equal(JSON.parse(last.text).sha256, sha256(file))
})

t.test('a handler that refuses or fails is the final reply, and may be asked again', async t => {
  const answers = [500, 422, 201]
  const server = await resumableServer(t, {
    after: app => {
      passThrough(app)
      app.post('/moody', { config: { resumable: true } }, async (_request, reply) => {
        const status = answers.shift() ?? 418
        if (status === 500) throw new Error('out of order')
        return await reply.code(status).send({ status })
      })
    }
  })
  const begun = await send(`${server.origin}/moody`, { method: 'POST', headers: creation(9, true), body: file })
  t.equal(begun.status, 500)
  t.equal(begun.headers['upload-complete'], '?1')
  const location = locationOf(server.url, begun)
  for (const status of [422, 201, 201, 201]) {
    const reply = await send(location, { method: 'PATCH', headers: appending(9, file.length, true) })
    t.equal(reply.status, status)
    t.equal(reply.headers['upload-complete'], '?1')
    t.strictSame(JSON.parse(reply.text), { status })
  }
  t.strictSame(answers, [], 'the handler that has succeeded does not run again: its reply is kept')
})

t.test('the client hears of success only when the record says so', async t => {
  const metadata = memoryMetadata()
  let broken = false
  const server = await resumableServer(t, {
    plugin: {
      storage: memoryStorage(),
      metadata: {
        ...metadata,
        update: async upload => {
          if (broken && upload.status === 'complete') throw new Error('no database')
          return await metadata.update(upload)
        }
      }
    },
    after: photos
  })
  broken = true
  const reply = await send(`${server.origin}/photos`, { method: 'POST', headers: creation(9, true), body: file })
  t.equal(reply.status, 503)
  const location = locationOf(server.url, reply)
  broken = false
  const again = await send(location, { method: 'PATCH', headers: appending(9, file.length, true) })
  t.equal(again.status, 202)
})

t.test('errors of the protocol on a route are worded by the protocol, and leave the connection usable', async t => {
  const server = await resumableServer(t, { after: photos, plugin: { maxBytes: 100_000 } })
  const client = await RawHttp.connect(server.port)
  for (const [headers, status] of [
    [{ 'upload-length': '200000', 'upload-complete': '?0' }, 413],
    [{ 'upload-length': '-1', 'upload-complete': '?0' }, 400],
    [{ 'upload-length': '1', 'upload-complete': '?1' }, 400],
    [{ 'upload-length': '60000', 'upload-complete': '?0' }, 400]
  ] as const) {
    client.request('POST', '/photos', { ...headers, 'content-length': 90_000 }, file.subarray(0, 90_000))
    const reply = await client.reply()
    t.equal(reply.status, status)
    t.equal(reply.headers['content-type'], 'application/problem+json')
    t.match(reply.headers['upload-limit'] ?? 'max-size=100000', /max-size=100000/)
  }
  client.request('POST', '/photos', { 'upload-complete': '?0', 'transfer-encoding': 'chunked' })
  for (let i = 0; i < 4; i++) client.send(`${(30_000).toString(16)}\r\n`).send(file.subarray(0, 30_000)).send('\r\n')
  client.send('0\r\n\r\n')
  t.equal((await client.reply()).status, 413)
  client.request('POST', '/photos', { ...creation(9, true), 'content-length': 4 }, 'file')
  t.equal((await client.reply()).status, 202)
  client.request('POST', '/photos', { ...creation(9, false), 'content-length': 4 }, 'more')
  const { headers } = await client.reply()
  client.request('PATCH', headers['location'] ?? '', { ...appending(9, 4, true), 'content-length': 4 }, 'last')
  t.equal((await client.reply()).status, 202)
  client.request('POST', '/photos', { 'content-length': 3, 'content-type': 'text/x' }, 'end')
  t.equal((await client.reply()).status, 202)
  client.socket.destroy()
  t.strictSame(faults(server.log), [])
})

t.test('a handler that answers past Fastify, or is not there any more, does not hold the upload', async t => {
  const server = await resumableServer(t, {
    after: app => {
      passThrough(app)
      app.post('/raw', { config: { resumable: true } }, (_request, reply) => {
        reply.hijack()
        reply.raw.end('raw')
      })
    }
  })
  const reply = await send(`${server.origin}/raw`, { method: 'POST', headers: creation(9, true), body: file })
  t.equal(reply.text, 'raw')
  for await (const { id } of server.app.chunkedUpload.list()) {
    const state = await send(`${server.url}/${id}`, { method: 'HEAD' })
    t.equal(state.headers['upload-complete'], '?1')
  }
})

t.test('over HTTP/2', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(chunkedUpload, { ...inMemory({ protocols: [resumableHttp()] }), prefix: '/files' })
  app.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })
  app.post('/photos', { config: { resumable: true } }, async ({ body, url, host, ip }) => {
    const bytes = await bytesOf(body instanceof Readable ? body : Readable.from([]))
    return { url, size: bytes.length, sha256: sha256(bytes), host, ip }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  const authority = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const session = connectHttp2(`http://${authority}`)
  t.teardown(() => { session.destroy() })
  const request = async (method: string, path: string, headers: Fields, body: Buffer): Promise<[http2.IncomingHttpHeaders, string]> => {
    const stream = session.request({ ':path': path, ':method': method, ...headers })
    stream.end(body)
    const [answer] = await once(stream, 'response')
    return [answer, (await bytesOf(stream)).toString()]
  }
  const [whole, text] = await request('POST', '/photos', creation(9, true), file)
  t.equal(whole['upload-complete'], '?1')
  t.match(JSON.parse(text), { size: file.length, sha256: sha256(file), host: authority, ip: '127.0.0.1' })

  const [begun] = await request('POST', '/photos', creation(9, false), file.subarray(0, 1000))
  const [last, seenLast] = await request('PATCH', String(begun['location']), appending(9, 1000, true), file.subarray(1000))
  t.equal(last['upload-complete'], '?1')
  t.match(JSON.parse(seenLast), { url: '/photos', size: file.length, sha256: sha256(file), host: authority, ip: '127.0.0.1' })
})

t.test('a client that goes away while the handler works loses nothing: the reply is kept', async t => {
  const { passed, open } = gate()
  const running = gate()
  let runs = 0
  const server = await resumableServer(t, {
    after: app => {
      passThrough(app)
      app.post('/slow', { config: { resumable: true } }, async (_request, reply) => {
        runs++
        running.open()
        await passed
        return await reply.code(203).send('worked')
      })
    }
  })
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/slow', { ...creation(9, true), 'content-length': 4 }, 'file')
  const location = new URL((await client.next()).headers['location'] ?? '', server.url).href
  await running.passed
  client.reset()
  await client.closed
  const completed = new Promise<void>(resolve => { server.app.chunkedUpload.events.once('complete', () => { resolve() }) })
  open()
  await completed
  const again = await send(location, { method: 'PATCH', headers: appending(9, 4, true) })
  t.equal(again.status, 203)
  t.equal(again.text, 'worked')
  t.equal(runs, 1)
})

t.test('a handler that never answers does not keep the server from stopping once its client is gone', async t => {
  const running = gate()
  const server = await resumableServer(t, {
    after: app => {
      passThrough(app)
      app.post('/stuck', { config: { resumable: true } }, async () => {
        running.open()
        return await new Promise(() => {})
      })
    }
  })
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/stuck', { ...creation(9, true), 'content-length': 4 }, 'file')
  await running.passed
  client.reset()
  await client.closed
  await server.app.close()
  t.pass('it stops')
})

t.test('with several mounts a route names the one that keeps its uploads', async t => {
  const server = await resumableServer(t, {
    plugin: { protocols: [resumableHttp({ prefix: '/one' }), resumableHttp({ name: 'two', prefix: '/two' })] },
    after: app => {
      app.put('/a', { config: { resumable: 'two' } }, async () => 'a')
      app.put('/b', { config: { resumable: true } }, async () => 'b')
      app.put('/c', { config: { resumable: 'three' } }, async () => 'c')
    }
  })
  const put = async (path: string) => await send(server.origin + path, { method: 'PUT', headers: creation(9, false) })
  t.match((await put('/a')).headers.location, /^\/files\/two\//)
  t.match((await put('/b')).headers.location, /^\/files\/one\//)
  const ordinary = await put('/c')
  t.equal(ordinary.text, 'c')
})

t.test('invariant 10: an upload for a route belongs to its user', async t => {
  const server = await resumableServer(t, {
    plugin: { user: request => typeof request.headers['x-user'] === 'string' ? request.headers['x-user'] : null }, after: photos
  })
  const begun = await send(`${server.origin}/photos`, { method: 'POST', headers: creation(9, false, { 'x-user': 'ann' }) })
  const location = locationOf(server.url, begun)
  t.equal((await send(location, { method: 'HEAD', headers: { 'x-user': 'bob' } })).status, 404)
  t.equal((await send(location, { method: 'PATCH', headers: appending(9, 0, true, { 'x-user': 'bob' }), body: file })).status, 404)
  t.equal((await send(location, { method: 'PATCH', headers: appending(9, 0, true, { 'x-user': 'ann' }), body: file })).status, 202)
})
