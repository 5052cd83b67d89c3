import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { chunkedUpload } from '../../../src/plugin.js'
import { once } from '../../support/deadline.js'
import { faults, hostOf, inMemory, plainHost } from '../../support/host.js'
import { RawHttp } from '../../support/raw-http.js'

const json = 'application/json'
const urlencoded = 'application/x-www-form-urlencoded'
const multipart = 'multipart/form-data; boundary=x'
const field = (name: string, value: string): string => `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = '--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + 'x'.repeat(100_000) + '\r\n'

const cases: ReadonlyArray<readonly [title: string, type: string, body: string, status: number, found: unknown]> = [
  ['JSON', json, '{"a":1,"b":{"c":[2]}}', 200, { a: 1, b: { c: [2] } }],
  ['JSON with parameters', json + '; charset=utf-8', '{"a":"ü"}', 200, { a: 'ü' }],
  ['JSON of another kind', 'application/vnd.x+json', '{"a":1}', 200, { a: 1 }],
  ['JSON with a name of Object.prototype', json, '{"__proto__":{"x":1},"constructor":2}', 200, { constructor: 2 }],
  ['empty JSON', json, '', 200, {}],
  ['JSON that is cut off', json, '{"a":', 400, { code: 'FST_CHUNKED_UPLOAD_JSON' }],
  ['JSON that is a list', json, '[1]', 400, { message: /an object is expected/ }],
  ['JSON that is null', json, 'null', 400, { message: /an object is expected/ }],
  ['JSON that is a text', json, '"a"', 400, { message: /an object is expected/ }],
  ['JSON of 5 MB', json, JSON.stringify({ a: 'x'.repeat(5_000_000) }), 413, { code: 'FST_CHUNKED_UPLOAD_FORM_TOO_LARGE' }],
  ['JSON nested 100 000 deep', json, '['.repeat(100_000), 400, { code: 'FST_CHUNKED_UPLOAD_JSON' }],
  ['a URL-encoded form', urlencoded, 'a=1&b=%C3%BC+x&b=2', 200, { a: '1', b: ['ü x', '2'] }],
  ['a URL-encoded form with broken escapes', urlencoded, 'a=%zz&b=%', 200, { a: '%zz' }],
  ['a URL-encoded form with a name of Object.prototype', urlencoded, '__proto__=1&toString=2', 200, { toString: '2' }],
  ['a multipart form', multipart, field('a', '1') + file + field('b', '2') + '--x--\r\n', 200, { a: '1', b: '2' }],
  ['a multipart form that is cut off', multipart, field('a', '1'), 400, { code: 'FST_CHUNKED_UPLOAD_FORM' }],
  ['another type, which has no fields', 'text/plain', 'a=1', 200, {}]
]
for (const method of ['POST', 'DELETE']) {
  for (const [title, type, body, status, found] of cases) {
    t.test(`invariant 13: ${method} with ${title} gets ${status}, and the connection goes on`, async t => {
      const { listen, log } = await plainHost(t)
      const http = await RawHttp.connect((await listen()).port)
      t.teardown(() => { http.socket.destroy() })
      const reply = await http.request(method, '/u/form', { 'content-type': type, 'content-length': Buffer.byteLength(body) }, body).reply()
      t.equal(reply.status, status)
      t.match(JSON.parse(reply.body), found)
      if (status === 200) t.equal(Object.getPrototypeOf(JSON.parse(reply.body)), Object.prototype)
      t.equal((await http.request('GET', '/u').reply()).status, 200)
      t.strictSame(faults(log), [])
    })
  }
}

t.test('a body that the host has read already, or broken, has no fields or is cut', async t => {
  const { app } = await hostOf(t, async app => {
    app.addHook('preParsing', async (_request, _reply, payload) => payload.pipe(new PassThrough()))
    app.addHook('preHandler', async ({ headers, body }) => {
      if (!(body instanceof Readable) || headers['x-body'] === 'whole') return
      if (headers['x-body'] === 'read') await once(body.resume(), 'end')
      else await once(body.destroy(), 'close')
    })
    await app.register(chunkedUpload, inMemory())
  })
  const send = async (body: string): Promise<{ statusCode: number, body: string }> => {
    return await app.inject({ method: 'POST', url: '/u/form', headers: { 'content-type': json, 'x-body': body }, payload: '{"a":1}' })
  }
  t.match(await send('whole'), { statusCode: 200, body: '{"a":1}' })
  t.match(await send('read'), { statusCode: 200, body: '{}' })
  t.match(await send('broken'), { statusCode: 400, body: /BODY_CUT/ })
})
