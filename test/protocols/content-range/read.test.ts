import t from 'tap'
import { requestPath } from '../../../src/http/routing/request-path.js'
import { contentRange } from '../../../src/index.js'
import { TEN, UNKNOWN, begin, countUploads, detail, finish, range, serve } from '../../support/content-range.js'
import { RawHttp } from '../../support/raw-http.js'
import { field } from '../../support/server.js'

t.test('GET on an upload gives its record in each state, never from a cache, and HEAD the same without a body', async t => {
  const server = await serve(t)
  const [begun, expired, complete] = [await begin(server), await begin(server), await finish(server)]
  await server.expire(expired)
  for (const [id, status] of [[begun, 1], [expired, 1], [complete, 2]] as const) {
    for (const path of [`/uploads/${id}`, `/uploads/${id}/`, `/uploads/${id.toUpperCase()}?a=b`]) {
      const got = await server.send('GET', path)
      t.equal(got.status, 200)
      t.match(got.json, { id, upload_id: id, status, offset: 10, url: /\/uploads\/[^/?]+$/ })
      t.equal(got.headers['cache-control'], 'no-store')
      t.equal(got.headers['upload-offset'], '10')
      const head = await server.send('HEAD', path)
      t.equal(head.status, 200)
      t.equal(head.text, '')
      t.match(head.headers, { 'cache-control': 'no-store', 'upload-offset': '10', 'content-length': got.headers['content-length'] })
    }
  }
})

t.test('GET on the collection gives all uploads in every state', async t => {
  const server = await serve(t)
  t.strictSame((await server.send('GET', '/uploads/', { headers: { 'x-user': 'ann' } })).json, [])
  const headers = { 'x-user': 'ann' }
  const ids = [await begin(server, headers), await finish(server, headers), await begin(server, headers)]
  await server.expire(ids[2] ?? '')
  for (const path of ['/uploads', '/uploads/']) {
    const list = await server.send('GET', path, { headers })
    t.equal(list.status, 200)
    t.match(list.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
    t.match(list.json, [{ id: ids[0], status: 1 }, { id: ids[1], status: 2 }, { id: ids[2], status: 1 }])
    t.match(list.json, [{ url: `${server.url}/uploads/${ids[0]}` }, {}, {}])
    const head = await server.send('HEAD', path, { headers })
    t.equal(head.status, 200)
    t.equal(head.text, '')
  }
})

t.test('a list of many uploads is whole JSON', async t => {
  const server = await serve(t)
  const headers = { 'x-user': 'ann' }
  for (let made = 0; made < 300; made++) await begin(server, headers)
  const { json } = await server.send('GET', '/uploads/', { headers })
  t.equal(Array.isArray(json) ? json.length : 0, 300)
})

t.test('unknown and malformed ids answer 404 to every method', async t => {
  const server = await serve(t, {}, { downloads: true })
  for (const path of [`/uploads/${UNKNOWN}`, '/uploads/x', `/uploads/${UNKNOWN}0/`, `/uploads/${'-'.repeat(32)}`, '/uploads/%2e%2e']) {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const answer = await server.send(method, path)
      t.equal(answer.status, 404, `${method} ${path}`)
      if (method !== 'HEAD') t.strictSame(answer.json, detail('Not found.'))
    }
  }
  t.strictSame((await server.send('GET', `/uploads/${UNKNOWN}/file`)).json, detail('Not found.'))
})

t.test('wrong methods answer 405 with Allow, and OPTIONS lists the same', async t => {
  const drf = await serve(t)
  const id = await begin(drf)
  const chunky = await serve(t, { dialect: 'chunky' })
  const parent = await serve(t, { dialect: 'parent' })
  const strict = await serve(t, { allowDelete: false })
  for (const [server, path, wrong, allow] of [
    [drf, '/uploads/', ['PATCH', 'DELETE'], 'GET, POST, PUT, HEAD, OPTIONS'],
    [drf, `/uploads/${id}/`, ['PATCH'], 'GET, POST, PUT, DELETE, HEAD, OPTIONS'],
    [strict, `/uploads/${id}`, ['PATCH', 'DELETE'], 'GET, POST, PUT, HEAD, OPTIONS'],
    [chunky, '/uploads', ['GET', 'PATCH', 'DELETE'], 'POST, PUT, OPTIONS'],
    [chunky, `/uploads/${id}/`, ['GET', 'PATCH', 'DELETE'], 'POST, PUT, OPTIONS'],
    [parent, '/uploads/upload/', ['GET', 'PUT', 'PATCH', 'DELETE'], 'POST, OPTIONS'],
    [parent, '/uploads/complete', ['GET', 'PUT', 'PATCH', 'DELETE'], 'POST, OPTIONS']
  ] as const) {
    for (const method of wrong) {
      for (const message of [{}, range('bytes 0-9/20')]) {
        const answer = await server.send(method, path, message)
        t.equal(answer.status, 405)
        t.equal(answer.headers.allow, allow)
        t.strictSame(answer.json, detail(`Method "${method}" not allowed.`))
      }
    }
    const options = await server.send('OPTIONS', path)
    t.equal(options.status, 204)
    t.equal(options.headers.allow, allow)
  }
})

t.test('DELETE aborts an unfinished upload, also an expired one; a finished file stays', async t => {
  const server = await serve(t)
  const [begun, expired, complete] = [await begin(server), await begin(server), await finish(server)]
  await server.expire(expired)
  for (const id of [begun, expired]) {
    const answer = await server.send('DELETE', `/uploads/${id}/`)
    t.equal(answer.status, 204)
    t.equal(answer.text, '')
    t.equal((await server.send('GET', `/uploads/${id}`)).status, 404)
    t.equal((await server.send('DELETE', `/uploads/${id}`)).status, 404)
    t.equal((await server.send('PUT', `/uploads/${id}`, range('bytes 10-19/20'))).status, 404)
  }
  const refused = await server.send('DELETE', `/uploads/${complete}`)
  t.equal(refused.status, 400)
  t.strictSame(refused.json, detail('Upload has already been marked as "complete"'))
  t.equal(await countUploads(server), 1)
})

t.test('idFormat dashes sends UUIDs, and hex stays understood', async t => {
  const server = await serve(t, { idFormat: 'dashes' })
  const answer = await server.send('PUT', '/uploads/', range('bytes 0-9/20'))
  const id = field(answer, 'id')
  t.match(id, /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
  t.match(answer.json, { upload_id: id, url: `${server.url}/uploads/${id}` })
  t.match((await server.send('GET', `/uploads/${id.replaceAll('-', '')}`)).json, { id })
})

t.test('url, file and record are as the host words them', async t => {
  const server = await serve(t, {
    uploadUrl: (upload, request) => `https://cdn.example/${request.method}/${upload.id}`,
    fileUrl: upload => upload.status === 'complete' ? `https://cdn.example/${upload.location}` : null,
    serialize: (record, upload) => ({ ...record, size: upload.size, offset: String(record['offset']) })
  })
  const begun = await begin(server)
  t.match((await server.send('GET', `/uploads/${begun}`)).json, {
    url: `https://cdn.example/GET/${begun}`, file: null, size: 20, offset: '10'
  })
  const id = await finish(server)
  t.match((await server.send('GET', `/uploads/${id}`)).json, { file: new RegExp(`^https://cdn.example/chunked_uploads/.*${id}.done$`) })
})

t.test('url follows the address that the client used, under any prefix', async t => {
  const server = await serve(t, {}, { prefix: '/of/:tenant/files', protocols: [contentRange({ prefix: 'inner' })] })
  const answer = await server.send('PUT', '/of/me%20too/files/inner?x=1', { ...range('bytes 0-9/20') })
  const id = field(answer, 'id')
  t.equal(field(answer, 'url'), `${server.url}/of/me%20too/files/inner/${id}`)
  t.equal(field(await server.send('GET', `/of/a/files/inner/${id}/`), 'url'), `${server.url}/of/a/files/inner/${id}`)
})

t.test('with downloads on, the record tells where a finished file is, and it is served with ranges', async t => {
  const server = await serve(t, {}, { downloads: true })
  const begun = await begin(server)
  t.match((await server.send('GET', `/uploads/${begun}`)).json, { file: null })
  t.equal((await server.send('GET', `/uploads/${begun}/file`)).status, 404)
  const id = await finish(server)
  t.match((await server.send('GET', `/uploads/${id}`)).json, { file: `${server.url}/uploads/${id}/file` })
  t.equal((await server.send('GET', `/uploads/${id}/file`)).text, TEN)
  const part = await server.send('GET', `/uploads/${id}/file/`, { headers: { range: 'bytes=2-4' } })
  t.equal(part.status, 206)
  t.equal(part.text, '234')
  t.equal(part.headers['content-disposition'], 'attachment; filename="ten.txt"')
  t.equal((await server.send('POST', `/uploads/${id}/file`)).status, 405)
})

t.test('the url of a record is that of the collection, however the client wrote its target', async t => {
  const server = await serve(t)
  const id = await begin(server)
  const targets = ['/uploads/#frag', 'http://elsewhere/uploads/', `/uploads/${id}#frag`, `/uploads/${id}/?a=b#c`, `http://elsewhere/uploads/${id}`]
  for (const target of targets) {
    const http = await RawHttp.connect(server.port)
    const [method, headers] = target.includes(id) ? ['GET', {}] : ['PUT', { 'content-range': 'bytes 0-9/20', 'content-type': 'a/b' }]
    http.request(method, target, { host: 'here:1', ...headers, 'content-length': method === 'GET' ? 0 : 10 }, method === 'GET' ? '' : TEN)
    const { status, body } = await http.reply()
    http.socket.destroy()
    t.equal(status, 200, target)
    const record = JSON.parse(body)
    t.equal(record.url, `http://here:1/uploads/${record.id}`, target)
  }
})

t.test('a target of many slashes costs no more than its length', async t => {
  const long = (length: number): string => `/uploads/#${'/'.repeat(length)}x`
  t.equal(requestPath({ originalUrl: long(1_000_000) } as never), '/uploads')
  t.equal(requestPath({ originalUrl: `${'/'.repeat(1_000_000)}x${'/'.repeat(1_000_000)}` } as never).length, 1_000_001)
})
