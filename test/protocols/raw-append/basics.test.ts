import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, memoryMetadata, memoryStorage, rawAppend, type RawAppendOptions, type Upload
} from '../../../src/index.js'
import { StorageLost } from '../../../src/adapter.js'
import { RawHttp } from '../../support/raw-http.js'
import { type Answer, form, type Message, startServer, type TestServer, usersByHeader } from '../../support/server.js'

const ADDED = '{"message":"Video added successfully"}'
const APPENDED = '{"message":"Video appended and joined successfully"}'

async function serve (
  t: Test, options: RawAppendOptions = {}, settings: ChunkedUploadOptions = {}, mayFail = false
): Promise<TestServer> {
  const registration = { prefix: '/', protocols: [rawAppend(options)], ...settings }
  return await startServer(t, registration, { before: usersByHeader, mayFail })
}

async function create (server: TestServer, headers: Record<string, string> = {}): Promise<number> {
  const answer = await server.send('POST', '/create_video/', { headers })
  return Number(Object(answer.json).video_id)
}

async function append (
  server: TestServer, id: number | string, body: string | Uint8Array, headers: Record<string, string> = {}
): Promise<Answer> {
  return await server.send('POST', `/append_video/${id}/`, { headers, body })
}

t.test('a video is created, appended to and read, as the document says', async t => {
  const server = await serve(t)
  const created = await server.send('POST', '/create_video/')
  t.equal(`${created.status} ${created.text}`, '201 {"video_id":1}')
  const ignored = await server.send('POST', '/create_video/', { headers: { 'content-type': 'application/json' }, body: '{"video_id":7' })
  t.equal(`${ignored.status} ${ignored.text}`, '201 {"video_id":2}', 'the body is ignored')

  const first = await append(server, 1, 'first ')
  t.equal(`${first.status} ${first.text}`, `200 ${ADDED}`)
  for (const body of ['second ', 'third']) {
    const answer = await append(server, 1, body)
    t.equal(`${answer.status} ${answer.text}`, `200 ${APPENDED}`)
  }
  const read = await server.send('GET', '/get_video/1/')
  t.equal(`${read.status} ${read.text}`, '200 first second third')
  t.match(read.headers, {
    'content-type': 'video/mp4',
    'content-disposition': 'attachment; filename="video_1.mp4"',
    'content-length': '18',
    'accept-ranges': 'bytes',
    etag: /^"[\w-]+"$/
  })
  const part = await server.send('GET', '/get_video/1/', { headers: { range: 'bytes=6-11' } })
  t.match([part.status, part.text, part.headers['content-range']], [206, 'second', 'bytes 6-11/18'])
  const head = await server.send('HEAD', '/get_video/1/')
  t.match([head.status, head.text, head.headers['content-length']], [200, '', '18'])
})

const NOT_FOUND = { error: 'Video not found' }
const EMPTY = { error: 'No video data provided' }
const refusals: ReadonlyArray<readonly [name: string, send: (server: TestServer) => Promise<Answer>, status: number, body: unknown]> = [
  ['append to an unknown video', server => append(server, 99, 'x'), 404, NOT_FOUND],
  ['get of an unknown video', server => server.send('GET', '/get_video/99/'), 404, NOT_FOUND],
  ['append to an id that is no integer', server => append(server, 'abc', 'x'), 404, NOT_FOUND],
  ['get of an id that is no integer', server => server.send('GET', '/get_video/1.5/'), 404, NOT_FOUND],
  ['get of a negative id', server => server.send('GET', '/get_video/-1/'), 404, NOT_FOUND],
  ['get of an id beyond all integers', server => server.send('GET', `/get_video/${'9'.repeat(40)}/`), 404, NOT_FOUND],
  ['an empty body to an unknown video', server => append(server, 99, ''), 404, NOT_FOUND],
  ['an empty body', server => append(server, 1, ''), 400, EMPTY],
  ['no body', server => server.send('POST', '/append_video/1/'), 400, EMPTY],
  ['an empty body of unknown length',
    server => server.send('POST', '/append_video/1/', { headers: { 'transfer-encoding': 'chunked' } }), 400, EMPTY],
  ['a form without a file', server => server.send('POST', '/append_video/1/', form([{ name: 'a', content: 'b' }])), 400, EMPTY],
  ['a form with an empty file',
    server => server.send('POST', '/append_video/1/', form([{ name: 'a', filename: 'b', content: '' }])), 400, EMPTY],
  ['get before any chunk', server => server.send('GET', '/get_video/1/'), 400, { error: 'No video data associated with this video ID' }],
  ['GET of create_video', server => server.send('GET', '/create_video/'), 405, { detail: 'Method "GET" not allowed.' }],
  ['PUT of append_video', server => server.send('PUT', '/append_video/1/'), 405, { detail: 'Method "PUT" not allowed.' }],
  ['POST of get_video', server => server.send('POST', '/get_video/1/'), 405, { detail: 'Method "POST" not allowed.' }]
]

t.test('each mistake has its answer, and the connection stays usable', async t => {
  const server = await serve(t)
  await create(server)
  for (const [name, send, status, body] of refusals) {
    const answer = await send(server)
    t.equal(`${answer.status} ${answer.text}`, `${status} ${JSON.stringify(body)}`, name)
    if (status === 405) t.equal(answer.headers.allow, answer.text.includes('POST') ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS', name)
  }
  t.equal((await append(server, 1, 'x')).text, ADDED, 'the first chunk that has bytes is the first')
})

t.test('bytes are taken as they are, whatever the content type; of a multipart form its file', async t => {
  const server = await serve(t)
  const id = await create(server)
  const bodies: ReadonlyArray<readonly [type: string | undefined, body: string]> = [
    [undefined, 'a=1&b=%20'],
    ['application/x-www-form-urlencoded', 'a=1&b=%20'],
    ['application/json', '{"a":'],
    ['video/webm', '\0\x01'],
    ['text/plain; charset=utf-16', 'text']
  ]
  for (const [type, body] of bodies) {
    t.equal((await append(server, id, body, type === undefined ? {} : { 'content-type': type })).status, 200, String(type))
  }
  const parts = [
    { name: 'text', content: 'not this' },
    { name: 'clip', filename: 'c.mp4', content: 'the file' },
    { name: 'next', filename: '', content: '' }
  ]
  t.equal((await server.send('POST', `/append_video/${id}/`, form(parts))).status, 200)
  t.equal((await server.send('GET', `/get_video/${id}`)).text, [...bodies.map(([, body]) => body), 'the file'].join(''))
})

t.test('both forms of every URL are served directly', async t => {
  const server = await serve(t)
  t.equal((await server.send('POST', '/create_video')).status, 201)
  t.equal((await server.send('POST', '/append_video/1', { body: 'x' })).status, 200)
  t.equal((await server.send('GET', '/get_video/1')).status, 200)
})

t.test('a chunk of many megabytes is appended, and the limit counts the sum, to the byte', async t => {
  const MiB = 1024 * 1024
  const server = await serve(t, {}, { maxBytes: 12 * MiB })
  const id = await create(server)
  t.equal((await append(server, id, Buffer.alloc(10 * MiB, 1))).status, 200)
  const tooMuch: readonly Message[] = [
    { body: Buffer.alloc(2 * MiB + 1) },
    { body: Buffer.alloc(2 * MiB + 1), headers: { 'transfer-encoding': 'chunked' } }
  ]
  for (const message of tooMuch) {
    const answer = await server.send('POST', `/append_video/${id}/`, message)
    t.equal(`${answer.status} ${answer.text}`, `413 {"error":"Size exceeds the limit of ${12 * MiB} bytes"}`)
  }
  t.equal((await append(server, id, Buffer.alloc(2 * MiB, 2))).status, 200, 'equal is allowed')
  t.equal((await server.send('HEAD', `/get_video/${id}/`)).headers['content-length'], String(12 * MiB))
})

t.test('invariant 3: chunks sent at once are all appended, each in one piece', async t => {
  const server = await serve(t)
  const id = await create(server)
  const answers = await Promise.all(Array.from({ length: 8 }, async (_, index) =>
    await server.client().send('POST', `/append_video/${id}/`, { body: Buffer.alloc(200_000, String(index)) })))
  t.strictSame(answers.map(({ text }) => text).sort(), [ADDED, ...Array(7).fill(APPENDED)].sort())
  const { text } = await server.send('GET', `/get_video/${id}/`)
  t.equal(text.length, 1_600_000)
  t.strictSame((text.match(/(.)\1{199999}/g) ?? []).map(piece => piece[0]).sort(), ['0', '1', '2', '3', '4', '5', '6', '7'])
})

t.test('invariant 1: a chunk whose connection breaks adds nothing, and can be sent again', async t => {
  const server = await serve(t)
  const id = await create(server)
  await append(server, id, 'whole ')
  const connection = await RawHttp.connect(server.port)
  const begun = new Promise<void>(resolve => { server.app.server.once('request', () => { resolve() }) })
  connection.request('POST', `/append_video/${id}/`, { 'content-length': 1_000_000 }, Buffer.alloc(500_000, 'x'))
  await begun
  connection.reset()
  t.equal((await append(server, id, 'again')).status, 200)
  t.equal((await server.send('GET', `/get_video/${id}/`)).text, 'whole again')
})

t.test('a video grows while it is read, and its ETag with it', async t => {
  const server = await serve(t)
  const id = await create(server)
  await append(server, id, 'abc')
  const before = await server.send('GET', `/get_video/${id}/`)
  t.equal((await server.send('GET', `/get_video/${id}/`, { headers: { 'if-none-match': String(before.headers.etag) } })).status, 304)
  await append(server, id, 'def')
  const range = { range: 'bytes=1-1', 'if-range': String(before.headers.etag) }
  const after = await server.send('GET', `/get_video/${id}/`, { headers: range })
  t.match([after.status, after.text], [200, 'abcdef'], 'a part of the old bytes is not taken for one of the new')
})

t.test('invariant 10: a user\'s video is unknown to others, on every route', async t => {
  const server = await serve(t)
  const ann = { 'x-user': 'ann' }
  const id = await create(server, ann)
  await append(server, id, 'hers', ann)
  for (const headers of [{ 'x-user': 'bob' }, {}]) {
    t.equal((await append(server, id, 'x', headers)).text, '{"error":"Video not found"}')
    t.equal((await server.send('GET', `/get_video/${id}/`, { headers })).text, '{"error":"Video not found"}')
  }
  t.equal((await server.send('GET', `/get_video/${id}/`, { headers: ann })).text, 'hers')
})

t.test('a user can be asked for, and the name, the type and the place are the host\'s to choose', async t => {
  const strict = await serve(t, {}, { requireUser: true })
  const create = await strict.send('POST', '/create_video/')
  for (const answer of [create, await append(strict, 1, 'x'), await strict.send('GET', '/get_video/1/')]) {
    t.equal(`${answer.status} ${answer.text}`, '401 {"error":"Authentication is required"}')
  }
  const server = await serve(t, { prefix: '/v', contentType: 'video/webm', filename: id => `clip-${id}.webm` })
  await server.send('POST', '/v/create_video/')
  await server.send('POST', '/v/append_video/1/', { body: 'x' })
  t.match((await server.send('GET', '/v/get_video/1/')).headers, {
    'content-type': 'video/webm', 'content-disposition': 'attachment; filename="clip-1.webm"'
  })
})

t.test('the sweeper leaves videos alone, unless the host wants them to expire', async t => {
  const metadata = memoryMetadata()
  const server = await serve(t, {}, { metadata, expirationDelta: 1 })
  const id = await create(server)
  await append(server, id, 'x')
  await sleep(5)
  t.match(await server.app.chunkedUpload.deleteExpired(), { files: 0 })
  t.equal((await append(server, id, 'y')).status, 200)

  const expiring = await serve(t, { expirationDelta: 1000 })
  await create(expiring)
  const uploads: Upload[] = []
  for await (const upload of expiring.app.chunkedUpload.list()) uploads.push(upload)
  t.match(uploads, [{ status: 'uploading', expiresAt: Number }])
})

t.test('invariant 13: storage trouble is 503 with Retry-After, lost bytes are 410, and what was acknowledged stays', async t => {
  const storage = memoryStorage()
  let trouble: Error | undefined
  const server = await serve(t, {}, {
    storage: {
      ...storage,
      write: async (...args) => {
        if (trouble !== undefined) throw trouble
        await storage.write(...args)
      },
      read: (...args) => {
        const bytes = storage.read(...args)
        return trouble === undefined ? bytes : bytes.destroy(trouble)
      }
    }
  }, true)
  const id = await create(server)
  await append(server, id, 'kept')
  trouble = new Error('no')
  for (const answer of [await append(server, id, 'x'), await server.send('GET', `/get_video/${id}/`)]) {
    t.match([answer.status, answer.headers['retry-after'], answer.text], [503, '1', '{"error":"Storage is not available"}'])
  }
  trouble = new StorageLost('gone')
  const lost = await server.send('GET', `/get_video/${id}/`)
  t.equal(`${lost.status} ${lost.text}`, '410 {"error":"Upload is gone"}')
  trouble = Object.assign(new Error('full'), { code: 'ENOSPC' })
  const full = await append(server, id, 'x')
  t.match([full.status, full.headers['retry-after']], [507, '1'])
  trouble = undefined
  t.equal((await server.send('GET', `/get_video/${id}/`)).text, 'kept')
})
