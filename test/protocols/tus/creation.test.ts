import t from 'tap'
import { connectSocket, once } from '../../support/deadline.js'
import { RawHttp } from '../../support/raw-http.js'
import { download, startTus, TYPE, VERSION, watchedStorage } from '../../support/tus.js'
import { until } from '../../support/engine.js'

t.test('X1, X2: a length or its deferral is needed, not both', async t => {
  const { ask } = await startTus(t)
  const cases = [
    [{}, 400], [{ 'upload-length': 3, 'upload-defer-length': 1 }, 400], [{ 'upload-defer-length': 0 }, 400],
    [{ 'upload-defer-length': 'true' }, 400], [{ 'upload-length': 3 }, 201], [{ 'upload-defer-length': 1 }, 201]
  ] as const
  for (const [headers, status] of cases) t.equal((await ask('POST', '/uploads', headers)).status, status, JSON.stringify(headers))
})

t.test('X3, X4: a deferred length is told once, by a later PATCH; the same again is fine', async t => {
  const server = await startTus(t)
  const { ask, create, patch } = server
  const path = await create(null)
  t.equal((await patch(path, 0, 'abc')).status, 204)
  const before = (await ask('HEAD', path)).headers
  t.equal(before['upload-defer-length'], '1')
  t.notOk('upload-length' in before)
  t.equal((await patch(path, 3, '', { 'upload-length': '6' })).status, 204)
  const after = (await ask('HEAD', path)).headers
  t.equal(after['upload-length'], '6')
  t.notOk('upload-defer-length' in after)
  t.equal((await patch(path, 3, 'de', { 'upload-length': '7' })).status, 400)
  t.equal((await patch(path, 3, 'de', { 'upload-length': '6' })).status, 204)
  t.equal((await patch(path, 5, 'f', { 'upload-length': '6' })).status, 204)
  t.equal((await patch(path, 6, '', { 'upload-length': '6' })).status, 204, 'complete')
  t.equal((await patch(path, 6, '', { 'upload-length': '7' })).status, 400, 'complete')
  t.equal(await download(server, path), 'abcdef')
})

t.test('X10: a length on PATCH beyond the maximum is a 413, below the offset a 400', async t => {
  const { create, patch, offset } = await startTus(t, { maxBytes: 10 })
  const path = await create(null)
  await patch(path, 0, 'abcde')
  t.equal((await patch(path, 5, 'f', { 'upload-length': '11' })).status, 413)
  t.equal((await patch(path, 5, '', { 'upload-length': '4' })).status, 400)
  t.equal((await patch(path, 5, 'fghijkl', { 'transfer-encoding': 'chunked' })).status, 413, 'counted bytes')
  t.equal(await offset(path), 10)
  t.equal((await patch(path, 10, '', { 'upload-length': '10' })).status, 204)
})

t.test('X5: a length of 0 is complete at once, and the host is asked during POST', async t => {
  const completed: string[] = []
  const server = await startTus(t, { onComplete: upload => { completed.push(upload.id) } })
  const path = await server.create(0)
  t.equal(completed.length, 1)
  t.equal(await download(server, path), '')
  const typed = await server.ask('POST', '/uploads', { ...TYPE, 'upload-length': 0 })
  t.match([typed.status, typed.headers['upload-offset']], [201, '0'])
  t.equal(completed.length, 2)
})

t.test('X6, D10: Upload-Metadata comes back byte for byte; texts of it are in the record', async t => {
  const { ask, create, app } = await startTus(t)
  const raws = [
    'filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential', 'bin //4AgA==,toString YQ==,__proto__ Yg==,constructor Yw==',
    'empty ,filename w6QucG5n,filetype aW1hZ2UvcG5n', 'a YQ==, b Yg==', 'name eA=='
  ]
  for (const raw of raws) {
    const path = await create(3, { 'upload-metadata': raw })
    t.equal((await ask('HEAD', path)).headers['upload-metadata'], raw)
  }
  const records = []
  for await (const { filename, contentType, metadata } of app.chunkedUpload.list()) records.push({ filename, contentType, metadata })
  t.equal(records[0]?.filename, 'world_domination_plan.pdf')
  t.same(records[0]?.metadata, { filename: 'world_domination_plan.pdf', is_confidential: '' })
  t.same(Object.keys(records[1]?.metadata ?? {}), ['toString', '__proto__', 'constructor'], 'what is no text is left out')
  t.match(records[2], { filename: 'ä.png', contentType: 'image/png' })
  t.equal(records[4]?.filename, 'x')
  const bare = await create(3)
  t.notOk('upload-metadata' in (await ask('HEAD', bare)).headers)
})

t.test('X6: lists that are none, repeated keys and bad base64 are a 400', async t => {
  const { ask } = await startTus(t)
  for (const raw of ['a YQ==,a Yg==', 'a YQ', 'a Y', 'a Y$==', ',a YQ==', 'a YQ==,,b Yg==', 'a  YQ==', 'a YQ== x', 'a YQ==,', 'a _-8=']) {
    t.equal((await ask('POST', '/uploads', { 'upload-length': 3, 'upload-metadata': raw })).status, 400, raw)
  }
})

t.test('X7, D9: names of clients reach Content-Disposition only in encoded form', async t => {
  const { create, send, patch } = await startTus(t)
  const name = Buffer.from('../Ünï"\r\nx: y😀.txt').toString('base64')
  const path = await create(3, { 'upload-metadata': `filename ${name},filetype ${Buffer.from('text/plain\r\nx: y').toString('base64')}` })
  await patch(path, 0, 'abc')
  const { status, headers } = await send('GET', path)
  t.equal(status, 200)
  t.match(headers, { 'content-type': 'application/octet-stream', 'content-disposition': /^attachment;.*filename\*=UTF-8''/ })
  t.notOk('x' in headers)
  t.match((await send('GET', path, { headers: { range: 'bytes=1-1' } })), { status: 206, text: 'b' })
  t.equal((await send('GET', path, { headers: { 'if-none-match': String(headers.etag) } })).status, 304)
})

t.test('X8: a length beyond the maximum is a 413, and nothing is made', async t => {
  const { ask, app } = await startTus(t, { maxBytes: 10 })
  t.equal((await ask('POST', '/uploads', { 'upload-length': 11 })).status, 413)
  t.equal((await ask('POST', '/uploads', { 'upload-length': 10 })).status, 201)
  let count = 0
  for await (const { size } of app.chunkedUpload.list()) count += size ?? 0
  t.equal(count, 10)
})

t.test('X9: Location is a path, with every prefix', async t => {
  const { ask } = await startTus(t, { tus: { prefix: '/files' } }, { server: { routerOptions: { ignoreDuplicateSlashes: true } } })
  for (const path of ['/uploads/files', '/uploads/files/', '/uploads/files/?x=1', '//uploads/files']) {
    t.match((await ask('POST', path, { 'upload-length': 3 })).headers.location, /^\/uploads\/files\/\w+$/, path)
  }
})

t.test('X9: Location is absolute by option, and believes trusted proxies only', async t => {
  const forwarded = { 'x-forwarded-host': 'files.example', 'x-forwarded-proto': 'https', host: 'own.example:81' }
  const cases = [
    [{}, {}, /^http:\/\/own\.example:81\/uploads\/\w+$/],
    [{}, { trustProxy: true }, /^https:\/\/files\.example\/uploads\/\w+$/],
    [{ baseUrl: 'https://cdn.example/api/up/' }, {}, /^https:\/\/cdn\.example\/api\/up\/\w+$/]
  ] as const
  for (const [options, host, expected] of cases) {
    const { ask } = await startTus(t, { tus: { relativeLocation: false, ...options } }, { directory: t.testdir(), server: host })
    t.match((await ask('POST', '/uploads', { 'upload-length': 3, ...forwarded })).headers.location, expected)
  }
  const { ask } = await startTus(t, { tus: { baseUrl: 'https://cdn.example/api/up' } }, { directory: t.testdir() })
  t.match((await ask('POST', '/uploads', { 'upload-length': 3 })).headers.location, /^\/api\/up\/\w+$/)
})

t.test('W1: a body of another type is a 415 and makes nothing; without a body any type will do', async t => {
  const { ask, app } = await startTus(t)
  for (const type of ['text/plain', undefined]) {
    for (const chunked of [{}, { 'transfer-encoding': 'chunked' }]) {
      t.equal((await ask('POST', '/uploads', { 'upload-length': 3, 'content-type': type, ...chunked }, 'abc')).status, 415, String(type))
    }
  }
  for await (const upload of app.chunkedUpload.list()) t.fail(upload.id)
  for (const chunked of [{ 'content-length': '0' }, { 'transfer-encoding': 'chunked' }]) {
    t.equal((await ask('POST', '/uploads', { 'upload-length': 3, 'content-type': 'text/plain', ...chunked }, '')).status, 201)
  }
})

t.test('W2, W4: the first bytes come with POST, also of a deferred length', async t => {
  const server = await startTus(t)
  const { ask, patch } = server
  const post = async (headers: Record<string, string | number>, body: string): Promise<[number, string, string]> => {
    const { status, headers: { 'upload-offset': offset, location } } = await ask('POST', '/uploads', { ...TYPE, ...headers }, body)
    return [status, String(offset), String(location)]
  }
  const whole = await post({ 'upload-length': 3 }, 'abc')
  t.match(whole, [201, '3'])
  t.equal(await download(server, whole[2]), 'abc')
  const part = await post({ 'upload-length': 3, 'transfer-encoding': 'chunked' }, 'ab')
  t.match(part, [201, '2'])
  await patch(part[2], 2, 'c')
  t.equal(await download(server, part[2]), 'abc')
  const deferred = await post({ 'upload-defer-length': 1 }, 'ab')
  t.match(deferred, [201, '2'])
  t.equal((await patch(deferred[2], 2, 'c', { 'upload-length': '3' })).status, 204)
  t.equal(await download(server, deferred[2]), 'abc')
  t.match(await post({ 'upload-length': 3 }, 'abcd'), [413, 'undefined', 'undefined'])
  const over = await post({ 'upload-length': 3, 'transfer-encoding': 'chunked' }, 'abcd')
  t.match(over, [413, 'undefined', /\w+/], 'the upload is there')
  t.equal(await server.offset(over[2]), 3)
})

t.test('W3: 100 comes only after all checks of the headers, and other routes of the host hear it as they read', async t => {
  const { create, port } = await startTus(t, {}, {
    before: app => {
      app.post('/other', async request => request.body)
      app.post('/unread', async (_request, reply) => await reply.code(403).send('no'))
    }
  })
  const path = await create(3)
  const exchange = async (request: string, headers: Readonly<Record<string, string | number>>, body: string): Promise<string[]> => {
    const socket = connectSocket(port)
    const statuses: string[] = []
    let text = ''
    const lines = Object.entries({ host: 'x', expect: '100-continue', 'content-length': body.length, ...headers })
    socket.write(`${request} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
    socket.on('data', data => {
      text += data.toString('latin1')
      const heard = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status ?? '')
      if (heard.length === statuses.length) return
      statuses.splice(0, Infinity, ...heard)
      if (heard.at(-1) === '100') socket.write(body)
      else socket.end()
    })
    await once(socket, 'close')
    return statuses
  }
  const tus = { ...VERSION, ...TYPE }
  t.same(await exchange(`PATCH ${path}`, { ...tus, 'upload-offset': 1 }, 'abc'), ['409'])
  t.same(await exchange(`PATCH ${path}`, { ...tus, 'upload-offset': 0 }, 'abcd'), ['413'])
  t.same(await exchange('PATCH /uploads/unknown', { ...tus, 'upload-offset': 0 }, 'abc'), ['404'])
  t.same(await exchange('POST /uploads', { ...tus, 'upload-length': 'x' }, 'abc'), ['400'])
  t.same(await exchange('POST /uploads', { ...tus, 'upload-length': 3 }, 'abc'), ['100', '201'])
  t.same(await exchange(`PATCH ${path}`, { ...tus, 'upload-offset': 0 }, 'abc'), ['100', '204'])
  t.same(await exchange('POST /other', { 'content-type': 'application/json' }, '{"a":1}'), ['100', '200'])
})

t.test('W3: a host that answers 100 itself goes on doing so', async t => {
  let asked = 0
  const { port } = await startTus(t, {}, {
    before: app => {
      app.post('/other', async request => request.body)
      app.server.on('checkContinue', (request, response) => {
        asked++
        response.writeContinue()
        app.server.emit('request', request, response)
      })
    }
  })
  const client = await RawHttp.connect(port)
  client.request('POST', '/other', { expect: '100-continue', 'content-type': 'application/json', 'content-length': 2 }, '{}')
  t.equal((await client.reply()).status, 200)
  t.equal(asked, 1)
  client.reset()
})

t.test('W6: what came before the connection was lost is there', async t => {
  const watched = watchedStorage()
  const { port, app, ask } = await startTus(t, { storage: watched.storage })
  const client = await RawHttp.connect(port)
  client.request('POST', '/uploads', { ...VERSION, ...TYPE, 'upload-length': 100, 'content-length': 100 }, 'abc')
  await until(() => watched.bytes === 3)
  client.reset()
  let id = ''
  for await (const upload of app.chunkedUpload.list()) id = upload.id
  const { headers } = await ask('HEAD', `/uploads/${id}`)
  t.match(headers, { 'upload-offset': '3', 'upload-length': '100' })
})
