import t from 'tap'
import { RawHttp } from '../../support/raw-http.js'
import { download, startTus, TYPE, VERSION } from '../../support/tus.js'

t.test('C1: every reply carries Tus-Resumable, errors and those of the host too', async t => {
  const { ask, create } = await startTus(t, {}, {
    before: app => {
      app.addHook('onRequest', async (request, reply) => {
        if (request.headers['x-refused'] !== undefined) return await reply.code(401).send('no')
      })
    }
  })
  const path = await create(3)
  const replies = await Promise.all([
    ask('OPTIONS', '/uploads'), ask('HEAD', path), ask('HEAD', '/uploads/unknown'), ask('PUT', path), ask('POST', '/uploads'),
    ask('HEAD', path, { 'tus-resumable': undefined }), ask('HEAD', path, { 'x-refused': '1' }), ask('GET', path)
  ])
  for (const { status, headers } of replies) t.equal(headers['tus-resumable'], '1.0.0', String(status))
})

t.test('C2, D6: another version, or none, is a 412 with Tus-Version, and nothing happens', async t => {
  const { ask, create, offset, app } = await startTus(t)
  const path = await create(3)
  for (const version of ['0.2.2', '1.0', undefined]) {
    const answers = [
      await ask('POST', '/uploads', { 'tus-resumable': version, 'upload-length': 3 }),
      await ask('HEAD', path, { 'tus-resumable': version }),
      await ask('PATCH', path, { ...TYPE, 'tus-resumable': version, 'upload-offset': 0 }, 'abc'),
      await ask('DELETE', path, { 'tus-resumable': version })
    ]
    for (const { status, headers } of answers) t.match([status, headers['tus-version']], [412, '1.0.0'])
  }
  t.equal(await offset(path), 0)
  let count = 0
  for await (const upload of app.chunkedUpload.list()) count += upload.status === 'uploading' ? 1 : 0
  t.equal(count, 1)
})

t.test('C3, C4, C5, C15, K5: OPTIONS tells what the server can do, whatever version it is asked with', async t => {
  const all = 'creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,' +
    'concatenation,concatenation-unfinished'
  const { ask } = await startTus(t, { maxBytes: 1000 })
  for (const [path, version] of [['/uploads', '1.0.0'], ['/uploads/', undefined], ['/uploads/some-id', '0.1']] as const) {
    const { status, headers } = await ask('OPTIONS', path, { 'tus-resumable': version })
    t.equal(status, 200)
    t.match(headers, {
      'tus-resumable': '1.0.0',
      'tus-version': '1.0.0',
      'tus-extension': all,
      'tus-max-size': '1000',
      'tus-checksum-algorithm': 'sha1,md5,sha256,sha512,crc32'
    })
  }
  const bare = await startTus(t, {
    maxBytes: () => 1000, expirationDelta: null, tus: { disable: ['creation', 'checksum', 'termination'] }
  })
  const { headers } = await bare.ask('OPTIONS', '/uploads')
  t.notOk('tus-extension' in headers, 'left out when it is empty')
  t.notOk('tus-max-size' in headers, 'left out when it depends on the request')
  t.notOk('tus-checksum-algorithm' in headers)
})

t.test('extensions that are switched off are refused', async t => {
  const server = await startTus(t, {
    tus: { disable: ['creation-with-upload', 'creation-defer-length', 'checksum', 'termination', 'concatenation', 'expiration'] }
  })
  const { ask, create, patch } = server
  const path = await create(3)
  t.equal((await ask('POST', '/uploads', { 'upload-defer-length': 1 })).status, 400)
  t.equal((await ask('POST', '/uploads', { ...TYPE, 'upload-length': 3 }, 'abc')).status, 415)
  t.equal((await ask('POST', '/uploads', { 'upload-concat': 'partial', 'upload-length': 3 })).status, 400)
  t.equal((await patch(path, 0, 'abc', { 'upload-checksum': 'sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=' })).status, 400)
  t.equal((await ask('DELETE', path)).status, 405)
  t.notOk('upload-expires' in (await ask('HEAD', path)).headers)
  const none = await startTus(t, { tus: { disable: ['creation'] } })
  t.equal((await none.ask('POST', '/uploads', { 'upload-length': 3 })).status, 405)
})

t.test('C6, D7: X-HTTP-Method-Override replaces the method, whatever the real one is', async t => {
  const server = await startTus(t)
  const { ask, create, patch } = server
  for (const real of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const path = await create(3)
    const override = (method: string): Record<string, string> => ({ 'x-http-method-override': method })
    t.equal((await ask(real, path, { ...TYPE, ...override('PATCH'), 'upload-offset': '0' }, 'ab')).status, 204, `${real} as PATCH`)
    t.equal((await ask(real, path, override('head'))).headers['upload-offset'], '2', `${real} as HEAD, in lower case`)
    t.match((await ask(real, path, override('OPTIONS'))).headers, { 'tus-version': '1.0.0' }, `${real} as OPTIONS`)
    t.equal((await ask(real, '/uploads/', { ...override('POST'), 'upload-length': '1' })).status, 201, `${real} as POST`)
    t.equal((await ask(real, path, override('BREW'))).status, 405, `${real} as something unknown`)
    t.equal((await patch(path, 2, 'c', override('PATCH'))).status, 204, 'the same method again')
    t.equal((await ask(real, path, override('DELETE'))).status, 204, `${real} as DELETE`)
    t.equal((await ask('HEAD', path)).status, 404)
  }
})

t.test('C6: an overridden request passes the hooks that the host gave the route it reaches, and other routes never notice', async t => {
  const { ask, create } = await startTus(t, {
    routeOptions: ({ name }) => name === 'remove'
      ? { onRequest: async (_request, reply) => await reply.code(403).send('not you') }
      : undefined
  }, { before: app => { app.post('/other', async () => 'posted') } })
  const path = await create(3)
  t.equal((await ask('POST', path, { 'x-http-method-override': 'DELETE' })).status, 403)
  t.equal((await ask('HEAD', path)).status, 200)
  t.equal((await ask('POST', '/other', { 'x-http-method-override': 'DELETE' })).text, 'posted')
})

t.test('C7: offsets and lengths are digits, at most 2^53-1; everything else is a 400', async t => {
  const { ask, create, patch } = await startTus(t)
  const path = await create(3)
  for (const wrong of ['+5', '-1', '1e3', '0x1', '1.0', '', '1 0', '0, 0', '9007199254740992', '99999999999999999999']) {
    t.equal((await ask('POST', '/uploads', { 'upload-length': wrong })).status, 400, `length ${wrong}`)
    t.equal((await ask('PATCH', path, { ...TYPE, 'upload-offset': wrong }, 'abc')).status, 400, `offset ${wrong}`)
    t.equal((await patch(path, 0, 'abc', { 'upload-length': wrong })).status, 400, `length ${wrong} of a PATCH`)
  }
  t.equal((await ask('POST', '/uploads', { 'upload-length': '9007199254740991' })).status, 201)
})

t.test('repeated and folded headers are a 400', async t => {
  const { create, port, offset } = await startTus(t)
  const path = await create(3)
  const head = `PATCH ${path} HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\ncontent-length: 3\r\ncontent-type: ${TYPE['content-type']}\r\n`
  for (const second of ['upload-offset: 0', 'Upload-Offset: 3', ' 0']) {
    const headers = `upload-offset: 0\r\n${second}\r\n`
    const client = await RawHttp.connect(port)
    client.send(`${head}${headers}\r\nabc`)
    t.equal((await client.reply()).status, 400)
    client.reset()
  }
  t.equal(await offset(path), 0)
})

t.test('C8: HEAD tells offset and length, and must not be stored', async t => {
  const { ask, create, patch } = await startTus(t)
  const path = await create(5)
  await patch(path, 0, 'ab')
  const { status, headers } = await ask('HEAD', path)
  t.equal(status, 200)
  t.match(headers, { 'upload-offset': '2', 'upload-length': '5', 'cache-control': 'no-store' })
})

t.test('C9, C13: an unknown upload, or one with a strange id, is a 404 without an offset', async t => {
  const { ask, patch } = await startTus(t)
  for (const id of ['0'.repeat(32), 'x', '..%2f..%2fetc%2fpasswd', '%00', 'a%20b', '%F0%9F%92%A9', '__proto__', '-']) {
    const path = `/uploads/${id}`
    for (const answer of [await ask('HEAD', path), await patch(path, 0, 'abc'), await ask('DELETE', path), await ask('GET', path)]) {
      t.equal(answer.status, 404, `${id}: ${answer.text}`)
      t.notOk('upload-offset' in answer.headers)
    }
  }
})

t.test('C10, D8: PATCH needs its content type, else 415; and an offset, else 400', async t => {
  const { ask, create, offset, patch } = await startTus(t)
  const path = await create(3)
  for (const type of ['application/octet-stream', 'text/plain', 'application/offset+octet-stream2', 'nonsense', undefined]) {
    const { status } = await patch(path, 0, 'abc', { 'content-type': type })
    t.equal(status, 415, String(type))
  }
  t.equal((await ask('PATCH', path, TYPE, 'abc')).status, 400)
  t.equal(await offset(path), 0)
  t.equal((await patch(path, 0, 'abc', { 'content-type': 'Application/Offset+Octet-Stream; charset=x' })).status, 204)
})

t.test('C11, C12: a wrong offset is a 409 that tells the right one; a right one is a 204 with the new one', async t => {
  const server = await startTus(t)
  const { create, patch } = server
  const path = await create(6)
  for (const [offset, body, status, told] of [
    [1, 'x', 409, '0'], [0, 'abc', 204, '3'], [0, 'abc', 409, '3'], [4, 'x', 409, '3'], [3, 'def', 204, '6'], [3, 'def', 409, '6'],
    [7, 'x', 409, '6']
  ] as const) {
    const answer = await patch(path, offset, body)
    t.match([answer.status, answer.headers['upload-offset']], [status, told])
  }
  t.equal(await download(server, path), 'abcdef')
})

t.test('corners: what does not fit is a 413, and the connection goes on or ends, but never hangs', async t => {
  const server = await startTus(t)
  const { create, offset, patch, port } = server
  const path = await create(5)
  await patch(path, 0, 'ab')

  const client = await RawHttp.connect(port)
  client.request('PATCH', path, { ...VERSION, ...TYPE, 'upload-offset': 2, 'content-length': 4 })
  t.equal((await client.reply()).status, 413, 'before a byte of the body')
  client.reset()
  t.equal(await offset(path), 2)

  const chunked = await patch(path, 2, 'cdefgh', { 'transfer-encoding': 'chunked' })
  t.equal(chunked.status, 413)
  t.equal(await offset(path), 5, 'what fits is kept')
  t.equal(await download(server, path), 'abcde')
  t.equal((await patch(path, 5, 'f')).status, 413, 'complete')
  t.equal((await patch(path, 5, 'f', { 'transfer-encoding': 'chunked' })).status, 413, 'complete')
})

t.test('corners: empty PATCH requests', async t => {
  const { create, patch } = await startTus(t)
  const path = await create(3)
  const first = await patch(path, 0, '')
  t.match([first.status, first.headers['upload-offset']], [204, '0'])
  await patch(path, 0, 'abc')
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    const again = await patch(path, 3, '', headers)
    t.match([again.status, again.headers['upload-offset']], [204, '3'], 'the last answer was lost')
  }
})

t.test('errors are a short code in a text, or JSON by option', async t => {
  const text = await startTus(t)
  const answer = await text.ask('HEAD', '/uploads/x', { 'x-http-method-override': 'PATCH', ...TYPE, 'upload-offset': 0 })
  t.equal(answer.status, 404)
  const plain = await text.ask('DELETE', '/uploads/x')
  t.equal(plain.text, 'NOT_FOUND: Upload not found\n')
  t.match(plain.headers['content-type'], 'text/plain')
  const json = await startTus(t, { tus: { errorFormat: 'json' } })
  t.same((await json.ask('DELETE', '/uploads/x')).json, { code: 'NOT_FOUND', message: 'Upload not found' })
})

t.test('section 8: the earlier check answers', async t => {
  const { ask, create, patch } = await startTus(t, { requireUser: true, maxBytes: 10 }, {
    before: app => {
      app.decorateRequest('user', null)
      app.addHook('onRequest', async request => {
        if (request.headers['x-user'] !== undefined) Object.assign(request, { user: { id: request.headers['x-user'] } })
      })
    }
  })
  const me = { 'x-user': 'me' }
  const path = await create(5, me)
  await patch(path, 0, 'abc', me)
  const cases: Array<readonly [string, number, Promise<{ status: number, headers: unknown }>]> = [
    ['version before method', 412, ask('PUT', path, { 'tus-resumable': '0' })],
    ['method before headers', 405, ask('PUT', path, { 'upload-offset': 'x' })],
    ['headers before user', 400, patch(path, 0, 'x', { 'upload-length': 'x' })],
    ['content type before user', 415, patch(path, 0, 'x', { 'content-type': 'x/y' })],
    ['user before upload', 401, patch('/uploads/unknown', 0, 'x')],
    ['upload before offset', 404, patch('/uploads/unknown', 9, 'x', me)],
    ['offset before length', 409, patch(path, 0, 'abcdef', { ...me, 'upload-length': '7' })],
    ['length before body', 400, patch(path, 3, 'de', { ...me, 'upload-length': '7' })],
    ['size before checksum', 413, patch(path, 3, 'def', { ...me, 'upload-checksum': 'crc32 AAAAAA==' })],
    ['checksum last', 460, patch(path, 3, 'de', { ...me, 'upload-checksum': 'crc32 AAAAAA==' })]
  ]
  for (const [name, status, answer] of cases) t.equal((await answer).status, status, name)
  t.match((await ask('PUT', path)).headers, { allow: 'OPTIONS, HEAD, PATCH, DELETE, GET' })
})
