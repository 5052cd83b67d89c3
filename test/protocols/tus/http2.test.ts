import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { chunkedUpload, tus } from '../../../src/index.js'
import { connectHttp2, once } from '../../support/deadline.js'
import { until } from '../../support/engine.js'
import { TYPE, VERSION, watchedStorage } from '../../support/tus.js'

async function session (t: Test, watched = watchedStorage()): Promise<ClientHttp2Session> {
  const app = Fastify({ http2: true })
  await app.register(chunkedUpload, { prefix: '/uploads', protocols: [tus()], storage: watched.storage, downloads: true })
  const client = connectHttp2(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(async () => {
    client.destroy()
    await app.close()
  })
  return client
}

interface Sent {
  readonly headers: IncomingHttpHeaders
  readonly interim: readonly number[]
}

type Headers = Readonly<Record<string, string>>

async function ask (
  client: ClientHttp2Session, method: string, path: string, headers: Headers, body = '', trailers?: Headers
): Promise<Sent> {
  const options = { endStream: body === '', waitForTrailers: trailers !== undefined }
  const stream = client.request({ ':method': method, ':path': path, ...VERSION, ...headers }, options)
  const interim: number[] = []
  stream.on('headers', ({ ':status': status }) => { interim.push(Number(status)) })
  if (trailers !== undefined) stream.on('wantTrailers', () => { stream.sendTrailers(trailers) })
  const response = once(stream, 'response')
  if (headers.expect === undefined && body !== '') stream.end(body)
  if (headers.expect !== undefined) stream.once('continue', () => { stream.end(body) })
  const [answer] = await response
  stream.resume().close()
  return { headers: answer, interim }
}

t.test('tus works over HTTP/2: creation, chunks, offsets, downloads', async t => {
  const client = await session(t)
  const { headers: { ':status': created, location } } = await ask(client, 'POST', '/uploads', { 'upload-length': '6', ...TYPE }, 'abc')
  t.equal(created, 201)
  const path = String(location)
  t.equal((await ask(client, 'HEAD', path, {})).headers['upload-offset'], '3')
  const patched = await ask(client, 'POST', path, { ...TYPE, 'upload-offset': '3', 'x-http-method-override': 'PATCH' }, 'def')
  t.match(patched.headers, { ':status': 204, 'upload-offset': '6' })
  t.equal((await ask(client, 'GET', path, {})).headers['content-length'], '6')
})

t.test('K6: a checksum in the trailers of HTTP/2', async t => {
  const client = await session(t)
  const { headers: { location } } = await ask(client, 'POST', '/uploads', { 'upload-length': '3' })
  const headers = { ...TYPE, 'upload-offset': '0', trailer: 'upload-checksum' }
  const sha1 = (text: string): string => createHash('sha1').update(text).digest('base64')
  const checksum = (text: string): Headers => ({ 'upload-checksum': `sha1 ${sha1(text)}` })
  t.equal((await ask(client, 'PATCH', String(location), headers, 'abc', checksum('abC'))).headers[':status'], 460)
  t.equal((await ask(client, 'PATCH', String(location), headers, 'abc', checksum('abc'))).headers[':status'], 204)
})

t.test('W3: 100 over HTTP/2 comes after all checks too', async t => {
  const client = await session(t)
  const { headers: { location } } = await ask(client, 'POST', '/uploads', { 'upload-length': '3' })
  const send = async (offset: string): Promise<Sent> => {
    return await ask(client, 'PATCH', String(location), { ...TYPE, 'upload-offset': offset, expect: '100-continue' }, 'abc')
  }
  t.match(await send('1'), { headers: { ':status': 409 }, interim: [] })
  t.match(await send('0'), { headers: { ':status': 204 } })
})

t.test('invariant 3: a HEAD takes over from a stream that hangs, on the same connection', async t => {
  const watched = watchedStorage()
  const client = await session(t, watched)
  const { headers: { location } } = await ask(client, 'POST', '/uploads', { 'upload-length': '6' })
  const hanging = client.request({ ':method': 'PATCH', ':path': String(location), ...VERSION, ...TYPE, 'upload-offset': '0' })
  hanging.write('abc')
  const old = once(hanging, 'response')
  await until(() => watched.bytes === 3)
  t.equal((await ask(client, 'HEAD', String(location), {})).headers['upload-offset'], '3')
  const [{ ':status': status }] = await old
  t.equal(status, 423)
})
