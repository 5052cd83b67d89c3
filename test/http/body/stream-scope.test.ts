import { createGunzip, gzipSync } from 'node:zlib'
import t from 'tap'
import type { ChunkedUploadOptions } from '../../../src/options.js'
import { chunkedUpload } from '../../../src/plugin.js'
import { until } from '../../support/engine.js'
import { countedStorage, faults, hostOf, inMemory, plainHost } from '../../support/host.js'
import { RawHttp } from '../../support/raw-http.js'

const octets = 'application/octet-stream'

type Headers = Readonly<Record<string, string | number>>

const types: ReadonlyArray<readonly [title: string, headers: Headers, body: string, status: number, found?: unknown]> = [
  ['octets', { 'content-type': octets, 'content-length': 3 }, 'abc', 200, { bytes: 3, hasBody: true, contentLength: 3 }],
  ['JSON, unparsed', { 'content-type': 'application/json', 'content-length': 3 }, '{"a', 200, { bytes: 3, hasBody: true }],
  ['text', { 'content-type': 'text/plain', 'content-length': 3 }, 'abc', 200, { bytes: 3 }],
  ['any type there may be', { 'content-type': 'video/x-strange+thing; a="b"', 'content-length': 3 }, 'abc', 200, { bytes: 3 }],
  ['a form', { 'content-type': 'multipart/form-data; boundary=x', 'content-length': 3 }, 'abc', 200, { bytes: 3 }],
  ['no type', { 'content-length': 3 }, 'abc', 200, { bytes: 3, hasBody: true, contentLength: 3 }],
  ['no type, chunked', { 'transfer-encoding': 'chunked' }, '3\r\nabc\r\n0\r\n\r\n', 200, { bytes: 3, hasBody: true, contentLength: null }],
  ['no body', {}, '', 200, { bytes: 0, hasBody: false, contentLength: null }],
  ['no body, but a type', { 'content-type': octets, 'content-length': 0 }, '', 200, { bytes: 0, hasBody: false, contentLength: 0 }],
  ['no body, and length 0', { 'content-length': 0 }, '', 200, { bytes: 0, hasBody: false, contentLength: 0 }],
  ['an empty type', { 'content-type': '', 'content-length': 3 }, 'abc', 415],
  ['a type that is none', { 'content-type': 'nonsense', 'content-length': 3 }, 'abc', 415],
  ['a type of control characters', { 'content-type': 'a/b\tc', 'content-length': 3 }, 'abc', 415]
]
for (const [title, headers, body, status, found] of types) {
  t.test(`invariant 13: a body with ${title} gets ${status}, and the connection goes on`, async t => {
    const { listen, log } = await plainHost(t)
    const http = await RawHttp.connect((await listen()).port)
    t.teardown(() => { http.socket.destroy() })
    const reply = await http.request('PUT', '/u/body', headers, body).reply()
    t.equal(reply.status, status)
    if (found !== undefined) t.match(JSON.parse(reply.body), found)
    t.equal((await http.request('GET', '/u').reply()).status, 200)
    t.strictSame(faults(log), [])
  })
}

t.test('a body larger than bodyLimit is a stream all the same', async t => {
  const { app } = await plainHost(t, {}, { bodyLimit: 10 })
  const reply = await app.inject({ method: 'PUT', url: '/u/body', headers: { 'content-type': octets }, payload: Buffer.alloc(5_000_000) })
  t.match(reply.json(), { bytes: 5_000_000 })
})

for (const url of ['/u/body', '/u/refuse?read=all']) {
  t.test(`a client that asks before it sends is told to go on when ${url} reads`, async t => {
    const { listen } = await plainHost(t)
    const http = await RawHttp.connect((await listen()).port)
    t.teardown(() => { http.socket.destroy() })
    http.request('PUT', url, { 'content-type': octets, 'content-length': 3, expect: '100-continue' })
    http.socket.once('data', data => {
      t.match(data.toString(), 'HTTP/1.1 100 Continue')
      http.send('abc')
    })
    t.equal((await http.reply()).status, url === '/u/body' ? 200 : 418)
  })
}

t.test('what preParsing hooks of the host make of a body is what arrives', async t => {
  const inflating = (options: ChunkedUploadOptions = {}) => hostOf(t, async app => {
    app.addHook('preParsing', async (request, _reply, payload) => {
      return request.headers['content-encoding'] === 'gzip' ? payload.pipe(createGunzip()) : payload
    })
    await app.register(chunkedUpload, inMemory(options))
  })

  t.test('its length is not taken for that of the body', async t => {
    const { app } = await inflating()
    const payload = gzipSync(Buffer.alloc(1_000_000))
    const headers = { 'content-type': octets, 'content-encoding': 'gzip' }
    t.match((await app.inject({ method: 'PUT', url: '/u/body', headers, payload })).json(), { bytes: 1_000_000, contentLength: null })
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    t.match((await app.inject({ method: 'PATCH', url: `/u/${id}`, headers, payload })).json(), { offset: 1_000_000 })
  })

  t.test('and one that cannot be decoded is the client\'s fault', async t => {
    const { app, listen, log } = await inflating()
    const http = await RawHttp.connect((await listen()).port)
    t.teardown(() => { http.socket.destroy() })
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    const headers = { 'content-type': octets, 'content-encoding': 'gzip', 'content-length': 100_000 }
    http.request('PATCH', `/u/${id}`, headers, 'x'.repeat(100_000))
    t.equal((await http.reply()).status, 400)
    t.equal((await http.request('GET', '/u').reply()).status, 200)
    t.strictSame(faults(log), [])
  })

  t.test('a connection that breaks ends it', async t => {
    const confirmed: number[] = []
    const { app, listen } = await inflating({ storage: countedStorage(confirmed) })
    const http = await RawHttp.connect((await listen()).port)
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    const payload = gzipSync(Buffer.alloc(1_000_000))
    const headers = { 'content-type': octets, 'content-encoding': 'gzip', 'content-length': 10_000 }
    http.request('PATCH', `/u/${id}`, headers, payload.subarray(0, 500))
    await until(() => confirmed.length > 0)
    http.reset()
    await until(async () => (await app.inject(`/u/${id}`)).json().offset > 0)
    t.equal((await app.inject({ method: 'DELETE', url: `/u/${id}` })).statusCode, 204, 'nobody holds the upload any more')
  })

  t.test('a rest that is not read is dropped undecoded', async t => {
    const { listen } = await inflating()
    const http = await RawHttp.connect((await listen()).port)
    t.teardown(() => { http.socket.destroy() })
    const payload = gzipSync(Buffer.alloc(50_000_000))
    for (const read of ['nothing', 'some']) {
      const headers = { 'content-type': octets, 'content-encoding': 'gzip', 'content-length': payload.length }
      http.request('PUT', `/u/refuse?read=${read}`, headers, payload)
      t.equal((await http.reply()).status, 418)
    }
    t.equal((await http.request('GET', '/u').reply()).status, 200)
  })
})

t.test('parameters and queries are checked and coerced, whatever the host does', async t => {
  const { app } = await plainHost(t, {}, { ajv: { customOptions: { coerceTypes: false, removeAdditional: 'all' } } })
  t.equal((await app.inject({ method: 'PUT', url: '/u/refuse?status=409' })).statusCode, 409)
  t.equal((await app.inject({ method: 'PUT', url: '/u/refuse?status=x' })).statusCode, 400)
  t.equal((await app.inject({ method: 'PUT', url: '/u/refuse?read=much' })).statusCode, 400)
})
