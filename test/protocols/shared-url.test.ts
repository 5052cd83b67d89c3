import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { Upload as TusUpload } from 'tus-js-client'
import Fastify from 'fastify'
import { chunkedUpload, contentRange, memoryStorage, resumableHttp, tus } from '../../src/index.js'
import { type PluginOptions, startServer, type TestServer } from '../support/server.js'
import { within } from '../support/deadline.js'
import { tiny } from '../support/tiny-protocol.js'

const user = ({ headers }: { headers: Record<string, unknown> }): string | null => {
  return typeof headers.authorization === 'string' ? headers.authorization : null
}

async function start (t: Test, options: PluginOptions = {}): Promise<TestServer> {
  return await startServer(t, { protocols: [tus(), resumableHttp()], downloads: true, user: request => user(request), ...options })
}

const PROTOCOLS = ['tus-v1', 'ietf-draft-03', 'ietf-draft-05']

/** Uploads with tus-js-client, which cuts its own connection once and goes on. @returns the URL */
async function upload (url: string, file: Buffer<ArrayBuffer>, protocol: string): Promise<string> {
  let cut = false
  return await within(new Promise<string>((resolve, reject) => {
    // Its types do not know `protocol`.
    const options = {
      endpoint: url,
      protocol,
      chunkSize: 400_000,
      retryDelays: [0, 50, 100],
      metadata: { filename: 'film.bin' },
      headers: { authorization: 'ann' },
      onError: reject,
      onSuccess: () => { resolve(client.url ?? '') },
      onProgress: (sent: number) => {
        if (cut || sent < 500_000) return
        cut = true
        client.abort().then(() => { client.start() }, reject)
      }
    }
    const client = new TusUpload(file, options)
    client.start()
  }), `an upload in ${protocol}`)
}

const tusHeaders = { 'tus-resumable': '1.0.0', authorization: 'ann' }
const draftHeaders = { 'upload-draft-interop-version': '6', authorization: 'ann' }

t.test('tus-js-client uploads to one endpoint in each of its protocols', async t => {
  for (const order of [[tus(), resumableHttp()], [resumableHttp(), tus()]]) {
    const server = await start(t, { protocols: order })
    for (const protocol of PROTOCOLS) {
      const file = randomBytes(1_500_000)
      const path = new URL(await upload(`${server.url}/uploads`, file, protocol)).pathname
      const stored = server.app.chunkedUpload.list({ status: 'complete' })
      const names: string[] = []
      for await (const { protocol } of stored) names.push(protocol)
      t.ok(names.includes(protocol === 'tus-v1' ? 'tus' : 'resumableHttp'), protocol)
      const plain = await server.send('GET', path, { headers: { authorization: 'ann' } })
      t.equal(plain.status, 200, `${protocol}: a plain GET serves the file`)
      t.equal(Number(plain.headers['content-length']), file.length)
    }
  }
})

t.test('an upload belongs to the protocol that made it: the other one answers as for an unknown one', async t => {
  const server = await start(t)
  const byTus = await server.send('POST', '/uploads', { headers: { ...tusHeaders, 'upload-length': '10' } })
  const byDraft = await server.send('POST', '/uploads', { headers: { ...draftHeaders, 'upload-complete': '?0' }, body: 'abc' })
  t.equal(byTus.status, 201)
  t.equal(byDraft.status, 201)
  const tusPath = String(byTus.headers.location)
  const draftPath = String(byDraft.headers.location)
  t.equal((await server.send('HEAD', tusPath, { headers: tusHeaders })).status, 200)
  t.equal((await server.send('HEAD', draftPath, { headers: draftHeaders })).status, 204)
  t.equal((await server.send('HEAD', draftPath, { headers: { authorization: 'ann' } })).headers['upload-offset'], '3', 'without a version')
  for (const [path, headers] of [[draftPath, tusHeaders], [tusPath, draftHeaders], [tusPath, { authorization: 'ann' }]] as const) {
    const unknown = path.replace(/[^/]+$/, 'f'.repeat(32))
    for (const method of ['HEAD', 'DELETE', 'PATCH']) {
      const more = method !== 'PATCH'
        ? {}
        : 'tus-resumable' in headers
          ? { 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
          : { 'upload-offset': '0', 'upload-complete': '?0', 'content-type': 'application/partial-upload' }
      const other = await server.send(method, path, { headers: { ...headers, ...more } })
      const none = await server.send(method, unknown, { headers: { ...headers, ...more } })
      t.equal(other.status, 404, `${method} ${JSON.stringify(headers)}`)
      t.strictSame([other.status, other.text], [none.status, none.text], 'as an unknown one')
    }
  }
  t.equal((await server.send('DELETE', tusPath, { headers: tusHeaders })).status, 204)
  t.equal((await server.send('DELETE', draftPath, { headers: { authorization: 'ann' } })).status, 204)
})

t.test('10: a plain GET of another user\'s upload is answered as one of an unknown upload, for each protocol', async t => {
  for (const order of [[tus(), resumableHttp()], [resumableHttp(), tus()]]) {
    const server = await start(t, { protocols: order })
    const made = [
      await server.send('POST', '/uploads', { headers: { ...tusHeaders, 'upload-length': '0' } }),
      await server.send('POST', '/uploads', { headers: { ...draftHeaders, 'upload-complete': '?1' }, body: 'abc' })
    ]
    const unknown = await server.send('GET', `/uploads/${'f'.repeat(32)}`, { headers: { authorization: 'bob' } })
    t.equal(unknown.status, 404)
    for (const { headers } of made) {
      const path = String(headers.location)
      const other = await server.send('GET', path, { headers: { authorization: 'bob' } })
      t.strictSame([other.status, other.text], [unknown.status, unknown.text])
      t.equal((await server.send('GET', path, { headers: { authorization: 'ann' } })).status, 200)
    }
  }
})

t.test('OPTIONS tells what both protocols can do', async t => {
  for (const order of [[tus(), resumableHttp()], [resumableHttp(), tus()]]) {
    const server = await start(t, { protocols: order, maxBytes: 1000 })
    const { status, headers } = await server.send('OPTIONS', '/uploads')
    t.equal(status, 200)
    t.equal(headers['tus-version'], '1.0.0')
    t.equal(headers['tus-max-size'], '1000')
    t.match(headers['upload-limit'], /max-size=1000/)
  }
})

t.test('hooks that the host has for one protocol hold for its uploads, by a plain GET as well', async t => {
  const server = await start(t, {
    protocols: [tus(), resumableHttp()],
    routeOptions: ({ protocol }) => protocol === 'resumableHttp'
      ? { onRequest: async (_request, reply) => { await reply.code(403).send({ locked: true }) } }
      : {}
  })
  const reply = await server.send('GET', `/uploads/${'f'.repeat(32)}`, { headers: { authorization: 'ann' } })
  t.equal(reply.status, 403)
  const made = await server.send('POST', '/uploads', { headers: { ...tusHeaders, 'upload-length': '0' } })
  t.equal((await server.send('GET', String(made.headers.location), { headers: { authorization: 'ann' } })).status, 200)
})

t.test('a keep-alive connection goes on after a request that both protocols had', async t => {
  const server = await start(t)
  const client = server.client()
  const first = await client.send('GET', `/uploads/${'f'.repeat(32)}`)
  const second = await client.send('GET', `/uploads/${'f'.repeat(32)}`)
  t.strictSame([first.status, second.status], [404, 404])
  t.equal(second.connection, first.connection)
})

t.test('two protocols of the same kind, or one that says nothing of its requests, cannot share a URL', async t => {
  for (const protocols of [
    [tus(), tus({ name: 'tus2' }), resumableHttp()],
    [contentRange(), tus(), resumableHttp()],
    [tus(), resumableHttp(), tiny()]
  ]) {
    const app = Fastify()
    t.teardown(() => app.close())
    const registered = app.register(chunkedUpload, { prefix: '/uploads', storage: memoryStorage(), protocols })
    await t.rejects(Promise.resolve(registered), { code: 'FST_CHUNKED_UPLOAD_ROUTE_TAKEN' })
  }
})
