import t from 'tap'
import { LengthMismatch, SizeLimitExceeded } from '../../../src/errors.js'
import { withFormFile } from '../../../src/http/body/form-file.js'
import { readBody } from '../../../src/http/body/read-body.js'
import { paceOf } from '../../../src/http/body/stream-scope.js'
import { tellingLength } from '../../../src/http/body/telling-length.js'
import type { Protocol } from '../../../src/protocols/contract.js'
import { once } from '../../support/deadline.js'
import { startServer, type TestServer } from '../../support/server.js'

const multipart = { 'content-type': 'multipart/form-data; boundary=x' }
const field = (name: string, value: string): string => `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = (name: string, value: string): string =>
  `--x\r\nContent-Disposition: form-data; name="${name}"; filename="${name}.txt"\r\n\r\n${value}\r\n`
const end = '--x--\r\n'

const missing = (): Error => new SizeLimitExceeded(7)

/** Says what it has read of the file of a form. */
const reader: Protocol = {
  name: 'reader',
  prefix: '',
  register: scope => {
    scope.post('/file', async request => await withFormFile(request, {
      names: ['a', 'b'], missing
    }, async ({ body, filename, fields, finish }) => {
      const before = [...fields.keys()]
      let bytes = 0
      await readBody(body, paceOf(request), data => (bytes += data.length) > 0)
      await finish()
      return { filename, bytes, before, after: [...fields.keys()] }
    }))
    scope.post('/unread', async request => await withFormFile(request, { missing }, async ({ filename }) => ({ filename })))
    scope.post('/length', async request => await withFormFile(request, { missing }, async ({ body }) => {
      return await tellingLength(body, { pace: paceOf(request), most: () => 100_000 }, async () => {
        await once(body.resume(), 'data')
        throw new LengthMismatch(0, 5)
      })
    }))
  }
}

async function post (server: TestServer, path: string, body: string, headers = multipart): Promise<{ status: number, json: unknown }> {
  const { status, json } = await server.send('POST', `/uploads${path}`, { headers, body })
  return { status, json }
}

t.test('the first file of a wanted name is given, with the fields before it, and after it once the form is read', async t => {
  const server = await startServer(t, { protocols: [reader] })
  const form = field('one', '1') + file('other', 'skipped') + file('b', 'x'.repeat(300_000)) + field('two', '2') + end
  t.strictSame(await post(server, '/file', form), {
    status: 200, json: { filename: 'b.txt', bytes: 300_000, before: ['one'], after: ['one', 'two'] }
  })
  t.match(await post(server, '/unread', form), { status: 200, json: { filename: 'other.txt' } }, 'without names any will do')
})

t.test('a request without the file has the error that the protocol gives', async t => {
  const server = await startServer(t, { protocols: [reader] })
  for (const [body, headers] of [
    [field('one', '1') + end, multipart],
    [file('other', 'x') + end, multipart],
    ['', multipart],
    ['{}', { 'content-type': 'application/json' }]
  ] as const) t.match(await post(server, '/file', body, headers), { status: 413, json: { message: /7/ } }, body)
})

t.test('a form that breaks off within the file is an invalid form, as its body came whole', async t => {
  const server = await startServer(t, { protocols: [reader] })
  for (const size of [3, 300_000]) {
    t.match(await post(server, '/file', file('a', 'x'.repeat(size))), { status: 400, json: { code: 'FST_CHUNKED_UPLOAD_FORM' } })
  }
})

t.test('a second file is refused once the form is read', async t => {
  const server = await startServer(t, { protocols: [reader] })
  const refused = await post(server, '/file', file('a', 'x') + file('b', 'y') + end)
  t.match(refused, { status: 400, json: { message: /second file in "b"/ } })
})

t.test('of a body that is not as long as announced the rest is read, up to a limit, to say how long it is', async t => {
  const server = await startServer(t, { protocols: [reader] })
  t.match((await post(server, '/length', file('a', 'x'.repeat(90_000)) + end)).json, { message: /90000/ })
  const { message } = Object((await post(server, '/length', file('a', 'x'.repeat(500_000)) + end)).json)
  const [, told] = /(\d{5,})/.exec(String(message)) ?? []
  t.ok(Number(told) > 100_000 && Number(told) < 500_000, String(message))
})
