import cors from '@fastify/cors'
import swagger from '@fastify/swagger'
import t from 'tap'
import { allowedHeaders, allowedMethods, contentRange, exposedHeaders, tus, type Upload } from '../../../src/index.js'
import { until } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { form } from '../../support/server.js'
import { download, startTus, TYPE, VERSION } from '../../support/tus.js'

const idOf = (path: string): string => path.split('/').at(-1) ?? ''
const refusal = (statusCode: number, message: string): Error => Object.assign(new Error(message), { statusCode })

t.test('hooks: before creation the host may refuse, rename, change metadata and set limits', async t => {
  const { ask, app } = await startTus(t, {
    maxBytes: request => request.headers['x-vip'] === undefined ? 5 : 10,
    onCreate: draft => {
      if (draft.filename === 'virus.exe') throw refusal(422, 'not this one')
      return { ...draft, filename: draft.filename.toUpperCase(), metadata: { ...draft.metadata, seen: true }, expiresIn: 1000 }
    }
  })
  const name = (text: string): Record<string, string> => ({ 'upload-metadata': `filename ${Buffer.from(text).toString('base64')}` })
  const refused = await ask('POST', '/uploads', { 'upload-length': 3, ...name('virus.exe') })
  t.equal(refused.status, 422)
  t.match(refused.json, { message: 'not this one' }, 'in the words of the host')
  t.equal((await ask('POST', '/uploads', { 'upload-length': 10 })).status, 413)
  t.equal((await ask('POST', '/uploads', { 'upload-length': 10, 'x-vip': 1 })).status, 201)
  const { headers } = await ask('POST', '/uploads', { 'upload-length': 3, ...name('a.txt') })
  const upload = await app.chunkedUpload.get(idOf(String(headers.location)))
  t.match(upload, { filename: 'A.TXT', metadata: { filename: 'a.txt', seen: true } })
  const told = await ask('HEAD', String(headers.location))
  t.equal(told.headers['upload-metadata'], name('a.txt')['upload-metadata'], 'as the client gave it')
})

t.test('hooks: before the end the host may refuse, or word the reply; events tell what has happened', async t => {
  const log: string[] = []
  const { create, patch, ask, app } = await startTus(t, {
    onCreate: ({ filename }) => { log.push(`onCreate ${filename}`) },
    onComplete: (upload, { request }) => {
      log.push('onComplete')
      if (request.headers['x-bad'] !== undefined) throw refusal(422, 'virus found')
      return request.headers['x-worded'] === undefined ? undefined : { headers: { 'x-file': upload.id }, body: { url: '/files/1' } }
    },
    onRemove: (_upload, { request }) => {
      log.push('onRemove')
      if (request.headers['x-bad'] !== undefined) throw refusal(423, 'in use')
    }
  })
  const { events } = app.chunkedUpload
  events.on('create', () => { log.push('create') })
  events.on('progress', upload => { log.push(`progress ${upload.received[0]?.[1] ?? 0}`) })
  events.on('complete', () => { log.push('complete') })
  events.on('remove', (_upload, reason) => { log.push(`remove ${reason}`) })

  const path = await create(6)
  await patch(path, 0, 'abc')
  const refused = await patch(path, 3, 'def', { 'x-bad': '1' })
  t.match([refused.status, refused.json], [422, { message: 'virus found' }])
  const worded = await patch(path, 6, '', { 'x-worded': '1' })
  t.match([worded.status, worded.json], [200, { url: '/files/1' }])
  t.match(worded.headers, { 'upload-offset': '6', 'x-file': idOf(path) })
  t.equal((await ask('DELETE', path, { 'x-bad': 1 })).status, 423)
  t.equal((await ask('HEAD', path)).status, 200)
  t.equal((await ask('DELETE', path)).status, 204)
  t.same(log, [
    'onCreate ', 'create', 'progress 3', 'progress 6', 'onComplete', 'onComplete', 'complete', 'onRemove', 'onRemove', 'remove removed'
  ])

  const posted = await ask('POST', '/uploads', { ...TYPE, 'upload-length': 3, 'x-worded': 1 }, 'abc')
  t.match([posted.status, posted.json], [201, { url: '/files/1' }])
})

t.test('hooks: an error of the user function is the host\'s to word, and the error handler of the host sees it', async t => {
  const { ask } = await startTus(t, { user: () => { throw refusal(403, 'who?') } }, {
    before: app => { app.setErrorHandler(async (error, _request, reply) => await reply.code(403).send({ oops: String(error) })) }
  })
  t.match((await ask('POST', '/uploads', { 'upload-length': 3 })).json, { oops: 'Error: who?' })
})

t.test('invariant 10: another user\'s upload answers as a missing one, on every method', async t => {
  const { ask, create, patch } = await startTus(t, { user: request => String(request.headers['x-user']) })
  const path = await create(3, { 'x-user': 'me' })
  const you = { 'x-user': 'you' }
  t.equal((await patch(path, 0, 'abc', you)).status, 404)
  for (const method of ['HEAD', 'DELETE', 'GET']) t.equal((await ask(method, path, you)).status, 404, method)
  t.equal((await patch(path, 0, 'abc', { 'x-user': 'me' })).status, 204)
})

t.test('D11: replies pass @fastify/cors: exposed headers, Vary, and nothing for a refused origin', async t => {
  const { ask, create, patch } = await startTus(t, {}, {
    before: async app => {
      await app.register(cors, {
        origin: ['https://good.example'],
        exposedHeaders: [...exposedHeaders],
        allowedHeaders: [...allowedHeaders],
        methods: [...allowedMethods]
      })
    }
  })
  const good = { origin: 'https://good.example' }
  const bad = { origin: 'https://bad.example' }
  const path = await create(3)
  await patch(path, 0, 'abc')
  for (const [method, url] of [['POST', '/uploads'], ['HEAD', path], ['GET', path], ['OPTIONS', '/uploads'], ['PATCH', path]] as const) {
    const { headers } = await ask(method, url, good)
    t.equal(headers['access-control-allow-origin'], 'https://good.example', method)
    t.match(headers['access-control-expose-headers'], /Upload-Offset.*Upload-Expires.*Tus-Resumable/)
    t.match(headers.vary, /Origin/)
    t.equal((await ask(method, url, bad)).headers['access-control-allow-origin'], undefined)
  }
  for (const headers of [{}, good, bad]) {
    const discovered = await ask('OPTIONS', '/uploads', headers)
    t.match([discovered.status, discovered.headers['tus-version']], [200, '1.0.0'], 'C15: no preflight of a browser')
  }
  const preflight = await ask('OPTIONS', path, {
    ...good, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'tus-resumable,upload-offset,content-type'
  })
  t.match(preflight.headers, { 'tus-version': '1.0.0', 'tus-extension': /creation/, 'access-control-allow-methods': /PATCH/ })
  for (const name of ['Tus-Resumable', 'Upload-Offset', 'Upload-Length', 'Upload-Metadata', 'Upload-Checksum', 'Upload-Concat']) {
    t.match(preflight.headers['access-control-allow-headers'], name)
  }
})

t.test('tus lives beside other protocols, each with its own uploads, and in the OpenAPI document', async t => {
  const { ask, create, patch, send, app, ...server } = await startTus(t, {
    protocols: [contentRange({ prefix: '/drf' }), tus({ prefix: '/tus' }), tus({ name: 'more', prefix: '/more' })]
  }, { before: async app => { await app.register(swagger, { openapi: {} }) } })
  const path = String((await ask('POST', '/uploads/tus', { 'upload-length': 3 })).headers.location)
  t.equal((await ask('HEAD', path.replace('/tus/', '/more/'))).status, 404)
  const parts = form([{ name: 'file', filename: 'a', content: 'abc' }])
  const put = await send('PUT', '/uploads/drf/', { ...parts, headers: { ...parts.headers, 'content-range': 'bytes 0-2/3' } })
  t.equal(put.status, 200)
  const { id } = Object(put.json)
  t.type(id, 'string')
  t.equal((await ask('HEAD', `/uploads/tus/${id}`)).status, 404)
  t.equal((await patch(path, 0, 'abc')).status, 204)
  t.equal(await download({ ask, create, patch, send, app, ...server }, path), 'abc')
  const { paths } = app.swagger()
  t.same(Object.keys(paths?.['/uploads/tus/{id}'] ?? {}).sort(), ['delete', 'get', 'head', 'options', 'patch'])
})

t.test('D9: GET serves ranges, carries Tus-Resumable, and an unfinished upload is no download', async t => {
  const { create, patch, send } = await startTus(t)
  const path = await create(6, { 'upload-metadata': `filename ${Buffer.from('日本.bin').toString('base64')}` })
  await patch(path, 0, 'abc')
  t.equal((await send('GET', path)).status, 403)
  await patch(path, 3, 'def')
  const { status, text, headers } = await send('GET', path, { headers: { range: 'bytes=2-3' } })
  t.match([status, text], [206, 'cd'])
  t.match(headers, { 'tus-resumable': '1.0.0', etag: /"/, 'content-range': 'bytes 2-3/6', 'content-disposition': /%E6%97%A5/ })
  const off = await startTus(t, { downloads: false }, { directory: t.testdir() })
  t.equal((await off.send('GET', await off.create(3))).status, 405)
})

t.test('invariant 8: after every answer the connection is used again, or closed', async t => {
  const { create, port, patch } = await startTus(t, { maxBytes: 1000 }, { mayFail: true })
  const full = await create(3)
  await patch(full, 0, 'abc')
  const path = await create(100)
  const body = Buffer.alloc(50_000)
  const requests: Array<readonly [number, string, string, Record<string, string | number>]> = [
    [412, 'PATCH', path, { 'tus-resumable': '0' }], [415, 'PATCH', path, { 'content-type': 'x/y' }],
    [400, 'PATCH', path, { 'upload-offset': 'x' }], [404, 'PATCH', '/uploads/unknown', {}], [409, 'PATCH', path, { 'upload-offset': 7 }],
    [413, 'PATCH', path, {}], [413, 'PATCH', full, { 'upload-offset': 3 }], [405, 'PUT', path, {}],
    [413, 'POST', '/uploads', { 'upload-length': 2000 }], [400, 'POST', '/uploads', {}]
  ]
  for (const [status, method, url, headers] of requests) {
    const client = await RawHttp.connect(port)
    client.request(method, url, { ...VERSION, ...TYPE, 'upload-offset': 0, ...headers, 'content-length': body.length }, body)
    t.equal((await client.reply()).status, status, `${method} ${url}`)
    const next = client.request('OPTIONS', '/uploads').reply().then(({ status }) => status, () => 'closed')
    t.ok([200, 'closed'].includes(await next))
    client.reset()
  }
})

t.test('D2: offsets are those of contiguous bytes, whatever fails after them', async t => {
  const { memoryStorage } = await import('../../../src/index.js')
  const memory = memoryStorage()
  let failing = true
  const { create, patch, offset, ...server } = await startTus(t, {
    storage: {
      ...memory,
      write: async (upload, start, batches, progress) => {
        await memory.write(upload, start, batches, {
          confirm: (end, change) => { if (!failing || end <= 3) progress.confirm(end, change) }
        })
        if (failing && start >= 3) throw new Error('the service is away')
      }
    }
  }, { mayFail: true })
  const path = await create(9)
  t.equal((await patch(path, 0, 'abc')).status, 204)
  t.equal((await patch(path, 3, 'def')).status, 503)
  t.equal((await patch(path, 6, 'ghi')).status, 409)
  t.equal(await offset(path), 3)
  failing = false
  t.equal((await patch(path, 3, 'defghi')).status, 204)
  t.equal(await download({ create, patch, offset, ...server }, path), 'abcdefghi')
})

t.test('events tell of each upload once, although many requests make it', async t => {
  const { create, patch, app } = await startTus(t)
  const complete: Upload[] = []
  app.chunkedUpload.events.on('complete', upload => { complete.push(upload) })
  const path = await create(3)
  for (const [offset, body] of [[0, 'a'], [1, 'b'], [2, 'c'], [3, '']] as const) await patch(path, offset, body)
  await until(() => complete.length > 0)
  t.equal(complete.length, 1)
})
