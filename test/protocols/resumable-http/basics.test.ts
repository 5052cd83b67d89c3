import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import cors from '@fastify/cors'
import fc from 'fast-check'
import t from 'tap'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import { resumableHttp, type ResumableHttpOptions } from '../../../src/protocols/resumable-http/index.js'
import { allowedHeaders, allowedMethods, exposedHeaders } from '../../../src/protocols/cors.js'
import { faults } from '../../support/host.js'
import { RawHttp } from '../../support/raw-http.js'
import { type Answer, appending, creation, type Fields, locationOf, send, versionField } from '../../support/resumable-client.js'
import { type ResumableServer, resumableServer, sha256 } from '../../support/resumable-server.js'

const file = randomBytes(200_000)
const TYPES = 'https://iana.org/assignments/http-problem-types#'
const digest = (algorithm: string, bytes: Uint8Array): string => `:${createHash(algorithm).update(bytes).digest('base64')}:`

const post = async ({ url }: ResumableServer, headers: Fields, body?: Uint8Array): Promise<Answer> => {
  return await send(url, { method: 'POST', headers, body })
}
const patch = async (location: string, offset: number, last: boolean, body?: Uint8Array, more: Fields = {}): Promise<Answer> => {
  return await send(location, { method: 'PATCH', headers: appending(9, offset, last, more), body })
}
const begin = async (server: ResumableServer, more: Fields = {}): Promise<string> => {
  return locationOf(server.url, await post(server, creation(9, false, more)))
}

t.test('options are checked', async t => {
  const wrong: ReadonlyArray<readonly [ResumableHttpOptions, string]> = [
    [{ minSize: -1 }, 'minSize'],
    [{ minAppendSize: 0.5 }, 'minAppendSize'],
    [{ maxAppendSize: 0 }, 'maxAppendSize'],
    [{ maxAppendSize: 5, minAppendSize: 6 }, 'maxAppendSize'],
    [{ progress: { bytes: 0 } }, 'progress'],
    [{ progress: { ms: NaN } }, 'progress'],
    [{ checksum: 'sha' }, 'checksum'],
    [{ expirationDelta: -1 }, 'expirationDelta'],
    [{ baseUrl: '/files' }, 'baseUrl']
  ]
  for (const [options, name] of wrong) {
    t.throws(() => resumableHttp(options), { code: 'FST_CHUNKED_UPLOAD_INVALID_OPTION', message: new RegExp(name) })
  }
})

t.test('OPTIONS tells the limits, of the mount and of an upload', async t => {
  const protocol = { minSize: 5, minAppendSize: 6, maxAppendSize: 700 }
  for (const [setting, limit] of [
    [{ plugin: { expirationDelta: null } }, 'min-size=0'],
    [{ plugin: { maxBytes: 9, expirationDelta: '1h' } }, 'max-size=9, max-age=3600'],
    [{ plugin: { maxBytes: () => 9 }, protocol: { expirationDelta: null } }, 'max-size=9'],
    [{ plugin: { expirationDelta: null }, protocol }, 'min-size=5, max-append-size=700, min-append-size=6']
  ] as const) {
    const server = await resumableServer(t, setting)
    for (const url of [server.url, `${server.url}/`, `${server.url}/some`]) {
      const reply = await send(url, { method: 'OPTIONS' })
      t.equal(reply.status, 200)
      t.equal(reply.headers['upload-limit'], limit)
      t.equal(reply.headers['accept-patch'], 'application/partial-upload')
      t.match(reply.headers.allow, /PATCH/)
    }
  }
})

t.test('other methods hear 405', async t => {
  const server = await resumableServer(t)
  for (const [method, path] of [['GET', ''], ['DELETE', ''], ['POST', '/x'], ['PUT', '/x']] as const) {
    const url = server.url + path
    const reply = await send(url, { method })
    t.equal(reply.status, 405)
    t.match(reply.headers.allow, /OPTIONS/)
  }
})

t.test('what the creation says of the file is kept', async t => {
  const server = await resumableServer(t)
  for (const [disposition, filename] of [
    ['attachment; filename="a b.txt"', 'a b.txt'],
    ["inline; filename=plain.txt; filename*=UTF-8''na%C3%AFve.txt", 'naïve.txt'],
    ["inline; filename*=iso-8859-1'en'%A3.txt", '£.txt'],
    ['attachment; filename="../../etc/passwd"', 'passwd'],
    ['attachment', 'upload'],
    ['nonsense;;;', 'upload']
  ] as const) {
    const location = await begin(server, {
      'content-disposition': disposition,
      'content-type': 'text/plain; charset=utf-8',
      'content-encoding': 'gzip',
      'content-language': 'de'
    })
    t.match(await server.upload(location), {
      filename,
      contentType: 'text/plain; charset=utf-8',
      metadata: { contentDisposition: disposition, contentEncoding: 'gzip', contentLanguage: 'de' }
    })
  }
  const typed = await post(server, creation(6, false, { 'content-type': 'application/partial-upload' }), file)
  t.equal((await server.upload(locationOf(server.url, typed)))?.contentType, null, 'the type of an append, from tus-js-client')
})

t.test('a request without a valid Upload-Complete is an ordinary upload: all, or nothing', async t => {
  const server = await resumableServer(t)
  for (const headers of [
    {},
    { 'upload-complete': 'true' },
    { 'upload-complete': '1' },
    { 'upload-incomplete': '?0' },
    { ...versionField(3), 'upload-complete': '?0' }
  ]) {
    const reply = await post(server, headers, file)
    t.equal(reply.status, 201)
    t.strictSame(reply.interims, [])
    t.equal(await server.sha256(locationOf(server.url, reply)), sha256(file))
  }
  t.equal((await post(server, {})).status, 400, 'nothing is no file')
  t.equal((await post(server, { 'tus-resumable': '1.0.0', 'upload-length': '5' }, file)).status, 400, 'tus is another protocol')

  const { app } = server
  const removed = new Promise<void>(resolve => { app.chunkedUpload.events.once('remove', () => { resolve() }) })
  const client = await RawHttp.connect(server.port)
  client.request('POST', '/files', { 'content-length': 1000 }, file.subarray(0, 500))
  await new Promise<void>(resolve => { app.chunkedUpload.events.once('create', () => { resolve() }) })
  client.reset()
  await removed
})

t.test('numbers that cannot be are refused, fields of another type count as absent', async t => {
  const server = await resumableServer(t)
  for (const length of ['-1', '9007199254740992', '99999999999999999999999']) {
    t.equal((await post(server, creation(9, false, { 'upload-length': length }))).status, 400, length)
  }
  for (const length of ['1.5', '"5"', '?1', 'five', '5, 6', '5;', ':NQ==:', '@5', '']) {
    const location = await begin(server, { 'upload-length': length })
    t.equal((await server.upload(location))?.size, null, length)
  }
  t.equal((await server.upload(await begin(server, { 'upload-length': ' 5;a=1 ' })))?.size, 5)
  const location = await begin(server)
  for (const offset of ['', '0.0', '?0', 'none', '-5', '0, 0', '99999999999999999']) {
    const reply = await send(location, { method: 'PATCH', headers: { ...appending(9, 0, true), 'upload-offset': offset }, body: file })
    t.equal(reply.status, 400, offset)
    t.equal(reply.headers['content-type'], 'application/problem+json')
  }
})

t.test('invariant 11: the largest file, by its announced length and by its bytes', async t => {
  const server = await resumableServer(t, { plugin: { maxBytes: 1000 } })
  const location = await begin(server)
  for (const reply of [
    await post(server, creation(9, false, { 'upload-length': '1001' })),
    await post(server, creation(9, true), file.subarray(0, 1001)),
    await post(server, creation(9, true, { 'transfer-encoding': 'chunked' }), file.subarray(0, 1001)),
    await post(server, {}, file.subarray(0, 1001)),
    await patch(location, 0, true, file.subarray(0, 1001)),
    await patch(location, 0, false, undefined, { 'upload-length': '1001' })
  ]) {
    t.equal(reply.status, 413)
    t.match(reply.headers['upload-limit'], /^max-size=1000, max-age=\d+$/)
    t.equal(JSON.parse(reply.text).status, 413)
  }
  t.equal((await patch(location, 0, true, file.subarray(0, 1000))).status, 200)
})

t.test('invariant 11: what one request may and must bring', async t => {
  const server = await resumableServer(t, { protocol: { maxAppendSize: 1000, minAppendSize: 10 } })
  const location = await begin(server)
  for (const [reply, status] of [
    [await patch(location, 0, false, file.subarray(0, 1001)), 413],
    [await patch(location, 0, false, file.subarray(0, 1001), { 'transfer-encoding': 'chunked' }), 413],
    [await post(server, creation(9, true), file.subarray(0, 1001)), 413],
    [await post(server, creation(9, true, { 'transfer-encoding': 'chunked' }), file.subarray(0, 1001)), 413],
    [await patch(location, 0, false, file.subarray(0, 9)), 400],
    [await post(server, creation(9, false), file.subarray(0, 9)), 400],
    [await post(server, creation(9, true), file.subarray(0, 9)), 201]
  ] as const) {
    t.equal(reply.status, status)
    t.match(reply.headers['upload-limit'], /max-append-size=1000, min-append-size=10/)
  }
  const { headers } = await send(location, { method: 'HEAD' })
  const offset = Number(headers['upload-offset'])
  t.equal((await patch(location, offset, false, file.subarray(offset, offset + 10))).status, 204)
  t.equal((await patch(location, offset + 10, true, file.subarray(offset + 10, offset + 11))).status, 200)
})

t.test('a file below the smallest size is taken in one request, without resumption', async t => {
  const server = await resumableServer(t, { protocol: { minSize: 1000 } })
  const small = await post(server, creation(9, true), file.subarray(0, 999))
  t.equal(small.status, 201)
  t.strictSame(small.interims, [])
  t.equal((await post(server, creation(9, false, { 'upload-length': '999' }))).status, 400)
  t.equal((await post(server, creation(9, true), file.subarray(0, 1000))).interims.length, 1)
})

t.test('Content-Digest: a body that is not what it says is refused and discarded', async t => {
  const server = await resumableServer(t)
  const location = await begin(server)
  const half = file.subarray(0, 100_000)
  for (const wrong of [
    `sha-256=${digest('sha256', file)}`,
    `sha-512=${digest('sha512', file)}`,
    'sha-256=:AAAA:',
    `sha-256=${digest('sha256', half)}, sha-512=:AA==:`
  ]) {
    const reply = await patch(location, 0, false, half, { 'content-digest': wrong })
    t.equal(reply.status, 400)
    t.equal((await send(location, { method: 'HEAD' })).headers['upload-offset'], '0')
  }
  for (const ignored of ['md5=:AAAA:', 'sha-256="AAAA"', 'sha-256=5', 'nonsense(', 'sha-256=(:AA==:)']) {
    t.equal((await patch(await begin(server), 0, false, half, { 'content-digest': ignored })).status, 204, ignored)
  }
  t.equal((await patch(location, 0, false, half, { 'content-digest': `sha-256=${digest('sha256', half)}` })).status, 204)
  const rest = file.subarray(100_000)
  t.equal((await patch(location, 100_000, true, rest, { 'content-digest': `sha-512=${digest('sha512', half)}` })).status, 400)
  t.equal((await patch(location, 100_000, true, rest, { 'content-digest': `sha-512=${digest('sha512', rest)}` })).status, 200)
  t.equal(await server.sha256(location), sha256(file))
})

t.test('invariant 5, Repr-Digest: a file that is not what the client announced never becomes complete', async t => {
  const server = await resumableServer(t)
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const field = `sha-${algorithm.slice(3)}`
    for (const when of ['creation', 'last append', 'last append, another algorithm kept'] as const) {
      for (const right of [true, false]) {
        const value = { 'repr-digest': `${field}=${digest(algorithm, right ? file : file.subarray(1))}` }
        const want: Fields = when.endsWith('kept') ? { 'want-repr-digest': algorithm === 'sha256' ? 'sha-512=1' : 'sha-256=1' } : {}
        const location = await begin(server, { ...want, ...when === 'creation' && value })
        t.equal((await patch(location, 0, false, file.subarray(0, 5000))).status, 204)
        const last = await patch(location, 5000, true, file.subarray(5000), when === 'creation' ? {} : value)
        t.equal(last.status, right ? 200 : 400, `${algorithm} with the ${when}`)
        t.equal((await send(location, { method: 'HEAD' })).status, right ? 204 : 410)
      }
    }
    const whole = await post(server, creation(9, true, { 'repr-digest': `${field}=${digest(algorithm, file)}` }), file)
    t.equal(whole.status, 201)
    t.match((await server.upload(locationOf(server.url, whole)))?.checksum, { algorithm })
  }
})

t.test('Want-Repr-Digest is answered with the final reply', async t => {
  const server = await resumableServer(t)
  for (const [want, field] of [
    ['sha-256=1', `sha-256=${digest('sha256', file)}`],
    ['sha-256=1, sha-512=5', `sha-512=${digest('sha512', file)}`],
    ['sha-256=0, md5=9', undefined],
    ['nonsense(', undefined]
  ] as const) {
    const reply = await post(server, creation(9, true, { 'want-repr-digest': want }), file)
    t.equal(reply.headers['repr-digest'], field)
  }
})

t.test('a finished file can be had by GET where downloads are on; otherwise GET is HEAD', async t => {
  for (const downloads of [true, false]) {
    const server = await resumableServer(t, { plugin: { downloads } })
    const location = locationOf(server.url, await post(server, creation(9, true, { 'content-type': 'text/plain' }), Buffer.from('hello')))
    const reply = await send(location, { method: 'GET' })
    t.equal(reply.status, downloads ? 200 : 204)
    t.equal(reply.text, downloads ? 'hello' : '')
    t.match(reply.headers, { 'upload-offset': '5', 'upload-complete': '?1', 'upload-length': '5' })
    t.equal((await send(location, { method: 'HEAD' })).status, 204)
    const unfinished = await send(await begin(server), { method: 'GET' })
    t.equal(unfinished.status, 204)
    t.match(unfinished.headers, { 'upload-offset': '0', 'upload-complete': '?0', 'cache-control': 'no-store' })
  }
})

t.test('Location is a path, an absolute URL, or the public one', async t => {
  for (const [protocol, location] of [
    [{}, /^\/files\/[\w-]+$/],
    [{ relativeLocation: false }, /^http:\/\/127\.0\.0\.1:\d+\/files\/[\w-]+$/],
    [{ baseUrl: 'https://example.com/api/' }, /^\/api\/[\w-]+$/],
    [{ baseUrl: 'https://example.com/api', relativeLocation: false }, /^https:\/\/example\.com\/api\/[\w-]+$/]
  ] as const) {
    const reply = await post(await resumableServer(t, { protocol }), creation(9, true), file)
    t.match(reply.headers.location, location)
    t.equal(reply.interims[0]?.headers.location, reply.headers.location)
  }
})

t.test('Location is the path that the client used, also where the host rewrites it', async t => {
  const server = await resumableServer(t, {
    server: { rewriteUrl: ({ url = '/' }) => url.replace(/^\/api\/v1/, '') },
    after: app => app.post('/photos', { config: { resumable: true } }, async () => 'ok')
  })
  for (const [path, location] of [
    ['/api/v1/files', /^\/api\/v1\/files\/[\w-]+$/],
    ['/api/v1/files/?a=/b', /^\/api\/v1\/files\/[\w-]+$/],
    ['/files', /^\/files\/[\w-]+$/],
    ['/api/v1/photos?album=1', /^\/api\/v1\/files\/[\w-]+$/],
    ['/photos', /^\/files\/[\w-]+$/]
  ] as const) {
    const headers = creation(9, false, { 'content-type': 'text/plain' })
    const begun = await send(server.origin + path, { method: 'POST', headers, body: file.subarray(0, 10) })
    t.match(begun.headers.location, location)
    t.equal(begun.interims[0]?.headers.location, begun.headers.location)
    const url = locationOf(server.origin, begun)
    t.equal((await send(url, { method: 'HEAD' })).headers['upload-offset'], '10', 'the client can use it')
    t.equal((await patch(url, 10, true, file.subarray(10))).status, 200)
  }
})

t.test('hooks: creation refused, completion refused and worded', async t => {
  const server = await resumableServer(t, {
    plugin: {
      onCreate: draft => {
        if (draft.contentType === 'text/evil') throw Object.assign(new Error('no'), { statusCode: 403 })
        return { ...draft, filename: 'renamed' }
      },
      onComplete: upload => {
        if (upload.size === 666) throw Object.assign(new Error('infected'), { statusCode: 422 })
        return upload.size === 7 ? { statusCode: 202, headers: { 'x-seven': 'yes' }, body: ['seven'] } : undefined
      }
    }
  })
  t.equal((await post(server, creation(9, true, { 'content-type': 'text/evil' }), file)).status, 403)
  const infected = await post(server, creation(9, true), file.subarray(0, 666))
  t.equal(infected.status, 422)
  t.equal(infected.headers['upload-complete'], '?1', 'the target has answered: there is nothing to resume')
  const seven = await post(server, creation(9, true), file.subarray(0, 7))
  t.equal(seven.status, 202)
  t.equal(seven.headers['x-seven'], 'yes')
  t.strictSame(JSON.parse(seven.text), ['seven'])
  const other = await post(server, creation(9, true), file)
  t.equal(other.status, 201)
  t.equal((await server.upload(locationOf(server.url, other)))?.filename, 'renamed')
})

t.test('DELETE of a finished upload forgets it and keeps its file, after the host has been asked', async t => {
  const asked: string[] = []
  const server = await resumableServer(t, {
    plugin: {
      storage: diskStorage({ directory: t.testdir() }),
      onRemove: ({ status, filename }) => {
        asked.push(status)
        if (filename === 'keep') throw Object.assign(new Error('no'), { statusCode: 423 })
      }
    }
  })
  const location = locationOf(server.url, await post(server, creation(9, true), file))
  const upload = await server.upload(location)
  const path = join(t.testdirName, upload?.status === 'complete' ? upload.location : '')
  t.equal((await send(location, { method: 'DELETE' })).status, 204)
  t.strictSame(asked, ['complete'])
  t.equal(await server.upload(location), undefined)
  t.equal(sha256(await readFile(path)), sha256(file), 'the file is where it was')
  for (const method of ['HEAD', 'GET', 'DELETE']) t.equal((await send(location, { method })).status, 404)

  const kept = locationOf(server.url, await post(server, creation(9, true, { 'content-disposition': 'inline; filename="keep"' }), file))
  t.equal((await send(kept, { method: 'DELETE' })).status, 423)
  t.equal((await send(kept, { method: 'HEAD' })).status, 204)
})

t.test('finished files are removed by DELETE where the host says so', async t => {
  const server = await resumableServer(t, { protocol: { removeFinished: true } })
  const location = locationOf(server.url, await post(server, creation(9, true), file))
  t.equal((await send(location, { method: 'DELETE' })).status, 204)
  t.equal((await send(location, { method: 'HEAD' })).status, 404)
})

t.test('invariant 10: uploads of others are unknown, and anonymous requests are refused where a user is needed', async t => {
  const server = await resumableServer(t, {
    protocol: { requireUser: true },
    plugin: { user: request => typeof request.headers['x-user'] === 'string' ? request.headers['x-user'] : null }
  })
  t.equal((await post(server, creation(9, true), file)).status, 401)
  const location = await begin(server, { 'x-user': 'ann' })
  for (const method of ['HEAD', 'GET', 'DELETE']) {
    t.equal((await send(location, { method, headers: { 'x-user': 'bob' } })).status, 404, method)
    t.equal((await send(location, { method })).status, 401, method)
  }
  t.equal((await patch(location, 0, true, file, { 'x-user': 'bob' })).status, 404)
  t.equal((await patch(location, 0, true, file, { 'x-user': 'ann' })).status, 200)
})

t.test('an upload whose time is over is gone', async t => {
  const server = await resumableServer(t, { protocol: { expirationDelta: 0 } })
  const location = await begin(server)
  t.equal((await send(location, { method: 'HEAD' })).status, 410)
  t.equal((await patch(location, 0, true, file)).status, 410)
  t.equal((await send(location, { method: 'HEAD', headers: versionField(6) })).status, 404)
})

t.test('invariant 13: storage trouble is 503 with Retry-After, a full disk 507, and what was acknowledged stays', async t => {
  const storage = memoryStorage()
  let code = ''
  const server = await resumableServer(t, {
    plugin: {
      storage: {
        ...storage,
        write: async (...args) => {
          if (code !== '') throw Object.assign(new Error('broken'), { code })
          await storage.write(...args)
        }
      }
    }
  })
  const location = await begin(server)
  await patch(location, 0, false, file.subarray(0, 1000))
  for (const [failure, status] of [['EIO', 503], ['ENOSPC', 507]] as const) {
    code = failure
    const reply = await patch(location, 1000, true, file.subarray(1000))
    t.equal(reply.status, status)
    if (status === 503) t.equal(reply.headers['retry-after'], '1')
  }
  code = ''
  t.equal((await send(location, { method: 'HEAD' })).headers['upload-offset'], '1000')
  t.equal((await patch(location, 1000, true, file.subarray(1000))).status, 200)
})

t.test('invariant 8: after each error the connection takes the next request', async t => {
  const server = await resumableServer(t, { plugin: { maxBytes: 150_000 }, protocol: { minAppendSize: 2 } })
  const location = new URL(await begin(server, { 'upload-length': '100000' })).pathname
  const done = new URL(locationOf(server.url, await post(server, creation(9, true), Buffer.from('hi')))).pathname
  const client = await RawHttp.connect(server.port)
  const body = file.subarray(0, 120_000)
  const cases: ReadonlyArray<readonly [number, string, string, Fields]> = [
    [413, 'POST', '/files', creation(9, false, { 'upload-length': '200000' })],
    [400, 'POST', '/files', creation(9, true, { 'upload-length': '5' })],
    [400, 'POST', '/files', creation(9, false, { 'upload-length': '-5' })],
    [405, 'POST', location, creation(9, false)],
    [404, 'PATCH', '/files/unknown', appending(9, 0, true)],
    [409, 'PATCH', location, appending(9, 5, true)],
    [415, 'PATCH', location, appending(9, 0, true, { 'content-type': 'text/plain' })],
    [400, 'PATCH', location, { 'content-type': 'application/partial-upload' }],
    [400, 'PATCH', location, appending(9, 0, false, { 'upload-length': '7' })],
    [400, 'PATCH', done, appending(9, 2, true)],
    [400, 'PATCH', location, appending(9, 0, false, { 'content-digest': 'sha-256=:AA==:' })],
    [410, 'PATCH', location, appending(9, 0, false)]
  ]
  for (const [status, method, url, headers] of cases) {
    client.request(method, url, { ...headers, 'content-length': body.length }, body)
    t.equal((await client.reply()).status, status, `${method} ${status}`)
  }
  client.request('POST', '/files', { ...creation(9, true), 'content-length': 2 }, 'ok')
  t.equal((await client.reply()).status, 201)
  client.socket.destroy()
  t.strictSame(faults(server.log), [])
})

t.test('browsers of other origins are served through @fastify/cors, with the exported lists', async t => {
  const server = await resumableServer(t, {
    before: app => app.register(cors, {
      origin: 'https://page.example', exposedHeaders: [...exposedHeaders], allowedHeaders: [...allowedHeaders], methods: [...allowedMethods]
    })
  })
  const preflight = await send(`${server.url}/some`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://page.example',
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'upload-complete,upload-offset,upload-draft-interop-version,content-type'
    }
  })
  for (const headers of [{}, { origin: 'https://page.example' }, { origin: 'https://other.example' }]) {
    const limits = await send(server.url, { method: 'OPTIONS', headers })
    t.match([limits.status, limits.headers['upload-limit']], [200, /^max-age=\d+$/], 'apps ask for the limits without an origin')
  }
  t.notOk('upload-limit' in preflight.headers)
  t.match(preflight.headers, {
    'access-control-allow-origin': 'https://page.example',
    'access-control-allow-methods': /PATCH/,
    'access-control-allow-headers': /Upload-Complete.*Upload-Draft-Interop-Version/
  })
  const reply = await post(server, creation(9, false, { origin: 'https://page.example' }), file)
  t.equal(reply.headers['access-control-allow-origin'], 'https://page.example')
  for (const name of ['location', 'upload-offset', 'upload-complete', 'upload-limit', 'upload-draft-interop-version']) {
    t.ok(reply.headers[name] !== undefined && String(reply.headers['access-control-expose-headers']).toLowerCase().includes(name), name)
  }
})

t.test('problem documents (RFC 9457)', async t => {
  const server = await resumableServer(t)
  const location = await begin(server, { 'upload-length': '10' })
  t.match(JSON.parse((await patch(location, 3, true)).text), {
    type: `${TYPES}mismatching-upload-offset`, title: String, status: 409, detail: String, 'expected-offset': 0, 'provided-offset': 3
  })
  t.match(JSON.parse((await patch(location, 0, true, file.subarray(0, 5))).text), {
    type: `${TYPES}inconsistent-upload-length`, title: String, status: 400, detail: String
  })
  const unknown = JSON.parse((await send(`${server.url}/unknown`, { method: 'PATCH', headers: appending(9, 0, true) })).text)
  t.match(unknown, { title: 'Upload not found', status: 404 })
  t.notOk('type' in unknown)
})

t.test('invariant 13: whatever the fields say, the answer is never 500', async t => {
  const server = await resumableServer(t, { plugin: { maxBytes: 1000 } })
  const location = new URL(await begin(server)).pathname
  const text = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code)), maxLength: 30 })
  const structured = fc.oneof(
    fc.constantFrom('?0', '?1', '0', '5', '-1', '1.0', '99999999999999999999', ':AA==:', '"x"', '(1 2)', 'sha-256=:AA==:'),
    fc.constantFrom('@1', '%"a"', '?1;q=1', '*'),
    fc.integer().map(String),
    text
  )
  const names = [
    'upload-complete', 'upload-incomplete', 'upload-offset', 'upload-length', 'upload-draft-interop-version', 'content-digest',
    'repr-digest', 'want-repr-digest', 'content-disposition', 'content-type', 'content-encoding', 'tus-resumable'
  ]
  const fields = fc.dictionary(fc.constantFrom(...names), structured)
  const methods = fc.constantFrom('POST', 'PUT', 'PATCH', 'HEAD', 'GET', 'OPTIONS')
  await fc.assert(fc.asyncProperty(methods, fc.boolean(), fields, fc.boolean(), async (method, onUpload, headers, withBody) => {
    const { statusCode } = await server.app.inject({
      method, url: onUpload ? location : '/files', headers, ...withBody && method.startsWith('P') && { payload: Buffer.from('some bytes') }
    })
    return statusCode < 500
  }), { numRuns: 500 })
  t.strictSame(faults(server.log), [])
})
