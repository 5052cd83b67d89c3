import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, diskStorage, formAppend, type FormAppendOptions, memoryMetadata, memoryStorage, type Upload
} from '../../../src/index.js'
import { FormMount } from '../../../src/protocols/form-append/mount.js'
import { settingsOf } from '../../../src/protocols/form-append/options.js'
import { inherit } from '../../../src/protocols/mount.js'
import { callerOf, engineOn } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import {
  type Answer, field, form, type FormPart, json, type Message, startServer, type TestServer, usersByHeader
} from '../../support/server.js'
import { allRecords, recordsIn } from '../../support/records.js'

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/
const UNKNOWN = '77cb1c48-b91b-46e0-9e9a-679dc80452e3'
/** More than a part may have in memory while its place is not known. */
const LARGE = 300 * 1024

async function serve (
  t: Test, options: FormAppendOptions = {}, settings: ChunkedUploadOptions = {}, mayFail = false
): Promise<TestServer> {
  const registration = { prefix: '/api', protocols: [formAppend({ listAnonymous: true, ...options })], ...settings }
  return await startServer(t, registration, { before: usersByHeader, mayFail })
}

const file = (content: string | Uint8Array, filename = 'chunk.bin'): FormPart => ({ name: 'file', filename, content })
const text = (name: string, content: string): FormPart => ({ name, content })

async function upload (server: TestServer, parts: readonly FormPart[], headers: Record<string, string> = {}): Promise<Answer> {
  const message = form(parts)
  return await server.send('POST', '/api/upload/', { ...message, headers: { ...message.headers, ...headers } })
}

async function complete (server: TestServer, uploadId: string): Promise<Answer> {
  return await server.send('POST', '/api/upload/complete/', json({ upload_id: uploadId }))
}

/** The stored bytes of an upload, unfinished ones too. */
async function bytesOf (server: TestServer, uploadId: string): Promise<Buffer> {
  const host = server.app.chunkedUpload
  const found = await host.get(uploadId.replaceAll('-', ''))
  if (found === undefined) throw new Error(`no upload ${uploadId}`)
  const parts: Buffer[] = []
  for await (const data of host.read(found)) parts.push(Buffer.from(data))
  return Buffer.concat(parts)
}

/** All records, those behind the scenes too. */
async function stored (server: TestServer): Promise<number> {
  return (await recordsIn(server.directory)).length
}

function today (): string {
  return new Date().toISOString().slice(0, 10).replaceAll('-', '/')
}

t.test('the first chunk answers 200 and the record, its fields in order', async t => {
  const server = await serve(t)
  const answer = await upload(server, [file('0123456789', 'part.mp4'), text('filename', 'my_video.mp4')])
  t.equal(answer.status, 200)
  t.match(answer.headers['content-type'], 'application/json')
  t.match(answer.json, { upload_id: UUID, created_at: TIME })
  const record = answer.json as Record<string, unknown>
  t.strictSame(Object.keys(record), ['id', 'upload_id', 'file', 'filename', 'offset', 'status', 'created_at', 'completed_at'])
  const { upload_id: uploadId, created_at: created, ...rest } = record
  t.strictSame(rest, {
    id: 1, file: `/media/chunked_uploads/${today()}/my_video.mp4`, filename: 'my_video.mp4', offset: 10, status: 1, completed_at: null
  })

  const next = await upload(server, [file('abc'), text('upload_id', String(uploadId)), text('filename', 'ignored.mp4')])
  t.equal(next.status, 200)
  t.strictSame(next.json, { ...record, offset: 13 })

  const completed = await complete(server, String(uploadId))
  t.equal(completed.status, 200)
  t.match(completed.json, { message: 'Upload complete.', upload: { completed_at: TIME } })
  const answered = completed.json as { message: string, upload: Record<string, unknown> }
  t.strictSame(Object.keys(answered), ['message', 'upload'])
  t.strictSame({ ...answered.upload, completed_at: null }, { ...record, offset: 13, status: 2 })
  t.equal((await bytesOf(server, String(uploadId))).toString(), '0123456789abc')

  const second = await upload(server, [file('x')])
  t.match(second.json, { id: 2, filename: 'chunk.bin' }, 'ids count up, and the name is that of the part where the form has none')
  t.not(field(second, 'created_at'), undefined)
  t.type(created, 'string')
})

const mp4 = `/media/chunked_uploads/${today()}/`
const refusals: ReadonlyArray<readonly [name: string, send: (server: TestServer) => Promise<Answer>, status: number, body: unknown]> = [
  ['no part `file`', server => upload(server, [text('filename', 'a.mp4')]), 400, { error: 'No file provided.' }],
  ['`file` as a text field', server => upload(server, [text('file', 'bytes')]), 400, { error: 'No file provided.' }],
  ['no file for a known upload',
    async server => upload(server, [text('upload_id', field(await upload(server, [file('a')]), 'upload_id'))]),
    400, { error: 'No file provided.' }],
  ['no body at all', server => server.send('POST', '/api/upload/'), 400, { error: 'No file provided.' }],
  ['JSON instead of a form', server => server.send('POST', '/api/upload/', json({})), 415,
    { detail: 'Unsupported media type "application/json" in request.' }],
  ['raw bytes instead of a form',
    server => server.send('POST', '/api/upload/', { headers: { 'content-type': 'application/octet-stream' }, body: 'abc' }),
    415, { detail: 'Unsupported media type "application/octet-stream" in request.' }],
  ['an unknown upload_id behind the file', server => upload(server, [file('a'), text('upload_id', UNKNOWN)]), 404,
    { error: 'Upload not found or already completed.' }],
  ['an unknown upload_id before the file', server => upload(server, [text('upload_id', UNKNOWN), file('a')]), 404,
    { error: 'Upload not found or already completed.' }],
  ['a malformed upload_id', server => upload(server, [file('a'), text('upload_id', '../../etc/passwd')]), 404,
    { error: 'Upload not found or already completed.' }],
  ['a completed upload', async server => {
    const id = field(await upload(server, [file('a')]), 'upload_id')
    await complete(server, id)
    return await upload(server, [file('b'), text('upload_id', id)])
  }, 404, { error: 'Upload not found or already completed.' }],
  ['one byte too many in a new upload', server => upload(server, [file('0123456789a')]), 400, { error: 'File size exceeds the limit.' }],
  ['an offset that is no number', server => upload(server, [file('a'), text('offset', '-1')]), 400, { error: 'Invalid offset.' }],
  ['a new upload that starts behind its beginning', server => upload(server, [file('a'), text('offset', '5')]), 400,
    { error: 'Offset does not match.', offset: 0 }],
  ['a form that is cut off', server => server.send('POST', '/api/upload/', {
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    body: '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
  }), 400, /^\{"detail":"Multipart form parse error - /],
  ['a form without a boundary',
    server => server.send('POST', '/api/upload/', { headers: { 'content-type': 'multipart/form-data' }, body: 'abc' }),
    400, /^\{"detail":"Multipart form parse error - /],
  ['completion without upload_id', server => server.send('POST', '/api/upload/complete/', json({})), 400,
    { error: 'upload_id is required.' }],
  ['completion without a body', server => server.send('POST', '/api/upload/complete/'), 400, { error: 'upload_id is required.' }],
  ['completion with upload_id null', server => server.send('POST', '/api/upload/complete/', json({ upload_id: null })), 400,
    { error: 'upload_id is required.' }],
  ['completion with an empty upload_id', server => server.send('POST', '/api/upload/complete/', json({ upload_id: '' })), 400,
    { error: 'upload_id is required.' }],
  ['completion of an unknown upload', server => complete(server, UNKNOWN), 404, { error: 'Upload not found.' }],
  ['completion of a malformed id', server => complete(server, 'nonsense'), 404, { error: 'Upload not found.' }],
  ['completion of an id that is no text', server => server.send('POST', '/api/upload/complete/', json({ upload_id: [1] })), 404,
    { error: 'Upload not found.' }],
  ['completion with broken JSON',
    server => server.send('POST', '/api/upload/complete/', { headers: { 'content-type': 'application/json' }, body: '{"upload_id"' }),
    400, /^\{"detail":"JSON parse error - /],
  ['completion with another media type',
    server => server.send('POST', '/api/upload/complete/', { headers: { 'content-type': 'text/plain' }, body: 'x' }),
    415, { detail: 'Unsupported media type "text/plain" in request.' }],
  ['a second completion', async server => {
    const id = field(await upload(server, [file('a')]), 'upload_id')
    await complete(server, id)
    return await complete(server, id)
  }, 400, { error: 'Upload already completed.' }],
  ['GET of upload/', server => server.send('GET', '/api/upload/'), 405, { detail: 'Method "GET" not allowed.' }],
  ['PUT of upload/complete/', server => server.send('PUT', '/api/upload/complete/'), 405, { detail: 'Method "PUT" not allowed.' }],
  ['POST of videos/', server => server.send('POST', '/api/videos/'), 405, { detail: 'Method "POST" not allowed.' }]
]

t.test('each mistake has its answer, keeps the connection, and stores nothing', async t => {
  const server = await serve(t, { maxBytes: 10 })
  for (const [name, send, status, body] of refusals) {
    const answer = await send(server)
    t.equal(answer.status, status, name)
    if (body instanceof RegExp) t.match(answer.text, body, name)
    else t.equal(answer.text, JSON.stringify(body), name)
    if (status === 405) t.match(answer.headers.allow, answer.text.includes('POST') ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS', name)
  }
  t.equal(await stored(server), 3, 'only the uploads that cases started are there')
  t.equal((await server.send('OPTIONS', '/api/upload/')).status, 204)
})

t.test('both forms of every URL are served directly', async t => {
  const server = await serve(t)
  const message = form([file('abc')])
  const first = await server.send('POST', '/api/upload', message)
  t.equal(first.status, 200)
  t.equal((await server.send('POST', '/api/upload/complete', json({ upload_id: field(first, 'upload_id') }))).status, 200)
  t.equal((await server.send('GET', '/api/videos')).status, 200)
})

t.test('an upload_id is accepted in every form, before or after the file; an empty one starts a new upload', async t => {
  const server = await serve(t)
  const id = field(await upload(server, [text('upload_id', ''), file('a')]), 'upload_id')
  for (const [form, at] of [[id, 2], [id.replaceAll('-', ''), 3], [id.toUpperCase(), 4]] as const) {
    t.match((await upload(server, [text('upload_id', form), file('x')])).json, { upload_id: id, offset: at })
  }
  t.match((await upload(server, [file('y'), text('upload_id', id.replaceAll('-', '').toUpperCase())])).json, { upload_id: id, offset: 5 })
  t.equal((await bytesOf(server, id)).toString(), 'axxxy')
})

t.test('completion is accepted as JSON, as a URL-encoded form, and as multipart', async t => {
  const server = await serve(t)
  const messages: ReadonlyArray<(id: string) => Message> = [
    id => json({ upload_id: id }),
    id => ({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `upload_id=${id}` }),
    id => form([text('upload_id', id)])
  ]
  for (const message of messages) {
    const id = field(await upload(server, [file('a')]), 'upload_id')
    const answer = await server.send('POST', '/api/upload/complete/', message(id))
    t.match([answer.status, answer.json], [200, { message: 'Upload complete.', upload: { upload_id: id, status: 2 } }])
  }
})

t.test('chunks of every size arrive whole, whatever the order of the parts', async t => {
  const server = await serve(t)
  const sizes = [0, 1, 4096, 256 * 1024, 256 * 1024 + 1, LARGE, 3_000_000]
  for (const early of [true, false]) {
    const chunks = sizes.map((size, index) => Buffer.alloc(size, `${index}chunk${early}`))
    let id = ''
    let offset = 0
    for (const chunk of chunks) {
      const parts = id === '' ? [file(chunk)] : early ? [text('upload_id', id), file(chunk)] : [file(chunk), text('upload_id', id)]
      const answer = await upload(server, parts)
      offset += chunk.length
      t.match([answer.status, answer.json], [200, { offset }])
      id = field(answer, 'upload_id')
    }
    t.ok((await bytesOf(server, id)).equals(Buffer.concat(chunks)), `upload_id ${early ? 'before' : 'behind'} the file`)
  }
  const large = Buffer.alloc(LARGE, 'first')
  const id = field(await upload(server, [file(large), text('filename', 'large.mp4')]), 'upload_id')
  t.ok((await bytesOf(server, id)).equals(large), 'a large first chunk')
  t.equal(await stored(server), 3, 'nothing else is left')
})

t.test('a limit is kept to the byte, and the upload stays usable', async t => {
  const server = await serve(t, {}, { maxBytes: LARGE + 10 })
  const id = field(await upload(server, [file(Buffer.alloc(LARGE))]), 'upload_id')
  for (const parts of [[file('0123456789a'), text('upload_id', id)], [text('upload_id', id), file('0123456789a')]]) {
    const answer = await upload(server, parts)
    t.equal(`${answer.status} ${answer.text}`, '400 {"error":"File size exceeds the limit."}')
  }
  t.match((await upload(server, [text('upload_id', id), file('0123456789')])).json, { offset: LARGE + 10 }, 'equal is allowed')
  t.equal((await upload(server, [file(Buffer.alloc(LARGE + 11))])).status, 400, 'a part on its way into the spool')
  t.equal(await stored(server), 1)
})

const limits: ReadonlyArray<readonly [options: FormAppendOptions, registration: number | null, limit: number | null]> = [
  [{}, null, 1_048_576_000],
  [{}, 10, 10],
  [{ maxBytes: 20 }, null, 20],
  [{ maxBytes: 20 }, 10, 10],
  [{ maxBytes: null }, null, null]
]

t.test('the limit of the original is the default, where the registration has none', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/:index', async (request, reply) => {
    const [options = {}, maxBytes = null] = limits[Number(Object(request.params).index)] ?? []
    const settings = {
      expirationDelta: null,
      checksum: false,
      fieldNames: ['file'],
      maxBytes,
      maxStored: null,
      userRestricted: true,
      requireUser: false,
      downloads: false
    } as const
    const uploads = { engine: engineOn(), settings, caller: async () => callerOf({ maxBytes }), routeOptions: () => ({}) }
    const mount = new FormMount({ name: 'formAppend', settings: inherit(settingsOf(options), settings, false), uploads, prefix: '' })
    const caller = await mount.caller(request, reply)
    return { limit: caller.maxBytes }
  })
  for (const [index, [, , limit]] of limits.entries()) t.strictSame((await app.inject(`/${index}`)).json(), { limit })
})

t.test('an offset field makes a repeat harmless: what is there already is not appended again', async t => {
  const server = await serve(t)
  const chunk = Buffer.alloc(LARGE, 'repeat')
  for (const [name, parts] of Object.entries({
    'offset and upload_id first': (id: string, at: number) => [text('offset', `${at}`), text('upload_id', id), file(chunk)],
    'offset behind the file': (id: string, at: number) => [text('upload_id', id), file(chunk), text('offset', `${at}`)],
    'the file first': (id: string, at: number) => [file(chunk), text('upload_id', id), text('offset', `${at}`)]
  })) {
    const id = field(await upload(server, [file('ab'), text('offset', '0')]), 'upload_id')
    const answers = [await upload(server, parts(id, 2)), await upload(server, parts(id, 2)), await upload(server, parts(id, 0))]
    t.match(answers.map(({ status, json }) => [status, json]), Array(3).fill([200, { offset: LARGE + 2, status: 1 }]), name)
    t.ok((await bytesOf(server, id)).equals(Buffer.concat([Buffer.from('ab'), chunk])), name)

    const gap = await upload(server, parts(id, LARGE + 3))
    t.equal(`${gap.status} ${gap.text}`, `400 {"error":"Offset does not match.","offset":${LARGE + 2}}`, name)
    const overlap = await upload(server, parts(id, 100))
    t.equal(overlap.status, 400, 'a chunk that is there in part is refused')
    t.equal((await upload(server, parts(id, LARGE + 2))).status, 200, 'and the next one goes on')
    t.equal((await bytesOf(server, id)).length, 2 * LARGE + 2, name)
  }
})

t.test('without an offset a repeat is appended again, as in the original', async t => {
  const server = await serve(t)
  const id = field(await upload(server, [file('ab')], { 'content-range': 'bytes 0-1/2' }), 'upload_id')
  const answer = await upload(server, [file('ab'), text('upload_id', id)], { 'content-range': 'bytes 0-1/2' })
  t.match(answer.json, { offset: 4 }, 'and Content-Range is ignored')
  t.match((await upload(server, [file('x'), text('upload_id', id)], { 'content-range': 'nonsense' })).json, { offset: 5 })
})

t.test('with the option, Content-Range says where the chunk starts', async t => {
  const server = await serve(t, { contentRange: true })
  const id = field(await upload(server, [file('ab')], { 'content-range': 'bytes 0-1/4' }), 'upload_id')
  for (let times = 0; times < 2; times++) {
    const answer = await upload(server, [file('cd'), text('upload_id', id)], { 'content-range': 'bytes 2-3/4' })
    t.match([answer.status, answer.json], [200, { offset: 4 }])
  }
  const gap = await upload(server, [file('x'), text('upload_id', id)], { 'content-range': 'bytes 9-9/*' })
  t.equal(`${gap.status} ${gap.text}`, '400 {"error":"Offset does not match.","offset":4}')
  const nonsense = await upload(server, [file('x'), text('upload_id', id)], { 'content-range': 'bytes=1-2' })
  t.equal(`${nonsense.status} ${nonsense.text}`, '400 {"error":"Invalid Content-Range."}')
  t.match((await upload(server, [file('e'), text('upload_id', id)])).json, { offset: 5 }, 'without the header it is appended')
  const both = await upload(server, [file('e'), text('upload_id', id), text('offset', '4')], { 'content-range': 'bytes 5-5/*' })
  t.match(both.json, { offset: 5 }, 'the field goes before the header')
})

t.test('invariant 3: equal chunks with an offset, sent at once, are stored once', async t => {
  const server = await serve(t)
  const id = field(await upload(server, [file('ab')]), 'upload_id')
  const chunk = Buffer.alloc(LARGE, 'parallel')
  const answers = await Promise.all(Array.from({ length: 6 }, async (_, index) => {
    const parts = [text('upload_id', id), text('offset', '2'), file(chunk)]
    const message = form(index % 2 === 0 ? parts : parts.reverse())
    return await server.client().send('POST', '/api/upload/', message)
  }))
  t.strictSame(answers.map(answer => [answer.status, field(answer, 'offset')]), Array(6).fill([200, String(LARGE + 2)]))
  t.ok((await bytesOf(server, id)).equals(Buffer.concat([Buffer.from('ab'), chunk])))
})

t.test('invariant 3: different chunks sent at once are all appended, each in one piece', async t => {
  const server = await serve(t)
  const id = field(await upload(server, [file('')]), 'upload_id')
  const answers = await Promise.all(Array.from({ length: 8 }, async (_, index) => {
    const parts = [text('upload_id', id), file(Buffer.alloc(100_000, String(index)))]
    return await server.client().send('POST', '/api/upload/', form(index % 2 === 0 ? parts : parts.reverse()))
  }))
  const offsets = answers.map(answer => Number(field(answer, 'offset'))).sort((a, b) => a - b)
  t.strictSame(offsets, Array.from({ length: 8 }, (_, index) => (index + 1) * 100_000))
  const bytes = await bytesOf(server, id)
  const order = Array.from({ length: 8 }, (_, index) => String.fromCharCode(bytes[index * 100_000] ?? 0))
  t.strictSame([...order].sort(), ['0', '1', '2', '3', '4', '5', '6', '7'])
  t.ok(bytes.equals(Buffer.concat(order.map(digit => Buffer.alloc(100_000, digit)))))
})

t.test('a connection that breaks within a chunk adds nothing, wherever the chunk was on its way to', async t => {
  const server = await serve(t)
  const id = field(await upload(server, [file('whole')]), 'upload_id')
  for (const parts of [
    [text('upload_id', id), file(Buffer.alloc(2_000_000))],
    [file(Buffer.alloc(2_000_000)), text('upload_id', id)],
    [file(Buffer.alloc(2_000_000))]
  ]) {
    const { headers, body } = form(parts)
    const connection = await RawHttp.connect(server.port)
    const head = { 'content-type': String(headers['content-type']), 'content-length': body.length }
    connection.request('POST', '/api/upload/', head, body.slice(0, 1_000_000))
    while (server.app.server.listening && await openBodies(server) === 0) await sleep(5)
    connection.reset()
    await connection.closed
  }
  // The lock is free as soon as the cut bodies are let go of.
  t.match((await upload(server, [text('upload_id', id), file('!')])).json, { offset: 6 })
  t.equal((await bytesOf(server, id)).toString(), 'whole!')
  for (let tries = 0; tries < 200 && await stored(server) > 1; tries++) await sleep(10)
  t.equal(await stored(server), 1, 'and leaves nothing')
})

async function openBodies (server: TestServer): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.app.server.getConnections((error, count) => { if (error === null) resolve(count - 1); else reject(error) })
  })
}

t.test('a form that breaks off after the file stores nothing either', async t => {
  const server = await serve(t)
  const id = field(await upload(server, [file('whole')]), 'upload_id')
  const { headers, body } = form([text('upload_id', id), file('chunk')])
  const answer = await server.send('POST', '/api/upload/', { headers, body: body.slice(0, -4) })
  t.equal(answer.status, 400)
  t.equal((await bytesOf(server, id)).toString(), 'whole')
})

const names: ReadonlyArray<readonly [sent: string, filename: string, path: string]> = [
  ['my video (1).mp4', 'my video (1).mp4', 'my_video_1.mp4'],
  ['../../etc/passwd', 'passwd', 'passwd'],
  ['/abs/a.mp4', 'a.mp4', 'a.mp4'],
  ['C:\\films\\b.mp4', 'b.mp4', 'b.mp4'],
  ['a/b/c.mp4', 'c.mp4', 'c.mp4'],
  ['фильм.mp4', 'фильм.mp4', '%D1%84%D0%B8%D0%BB%D1%8C%D0%BC.mp4'],
  ['..', 'part.mp4', 'part.mp4'],
  ['', 'part.mp4', 'part_SUFFIX.mp4'],
  ['???', '???', 'file'],
  [`a.${'x'.repeat(18)}𝒜𝒜`, `a.${'x'.repeat(18)}𝒜𝒜`, `a.${'x'.repeat(18)}%F0%9D%92%9C`],
  [`${'n'.repeat(300)}.mp4`, 'n'.repeat(255), 'n'.repeat(100 - 27)]
]

t.test('invariant 9: names are cleaned for the record and for the path, which no client text can lead astray', async t => {
  const server = await serve(t)
  for (const [sent, filename, path] of names) {
    const answer = await upload(server, [file('a', 'part.mp4'), text('filename', sent)])
    t.equal(field(answer, 'filename'), filename, sent)
    const found = field(answer, 'file').replace(/(part)_[\w]{7}\.mp4$/, '$1_SUFFIX.mp4')
    t.equal(found, mp4 + path, sent)
  }
  const again = field(await upload(server, [file('a', 'part.mp4'), text('filename', 'a.mp4')]), 'file')
  t.match(again, /\/a_\w{7}\.mp4$/, 'a name that the day has already gets a suffix')
  t.equal(field(await upload(server, [{ name: 'file', filename: 'blob', content: 'x' }]), 'filename'), 'blob')
  t.equal(field(await upload(server, [{ name: 'file', filename: '', content: 'x' }]), 'filename'), 'blob')
})

t.test('the URL of files is the host\'s to choose', async t => {
  const prefixed = await serve(t, { mediaUrl: 'https://cdn.example/films/' })
  const first = await upload(prefixed, [file('a', 'a.mp4')])
  t.equal(field(first, 'file'), `https://cdn.example/films/chunked_uploads/${today()}/a.mp4`)
  const computed = await serve(t, { mediaUrl: ({ serial }, path) => `/v/${serial}/${path.length}` })
  t.match(field(await upload(computed, [file('a', 'a.mp4')]), 'file'), /^\/v\/1\/\d+$/)
})

t.test('the list has completed uploads, the newest completion first, with absolute URLs', async t => {
  const server = await serve(t)
  t.equal((await server.send('GET', '/api/videos/')).text, '[]')
  const ids: string[] = []
  for (const name of ['a.mp4', 'b.mp4', 'c.mp4']) ids.push(field(await upload(server, [file(name, name)]), 'upload_id'))
  const [a = '', b = ''] = ids
  for (const id of [b, a]) {
    await complete(server, id)
    await sleep(5)
  }
  const { json, headers } = await server.send('GET', '/api/videos/')
  t.match(json, [
    { id: 1, upload_id: a, file: `${server.url}${mp4}a.mp4`, filename: 'a.mp4', offset: 5, status: 2, completed_at: TIME },
    { id: 2, upload_id: b, file: `${server.url}${mp4}b.mp4` }
  ])
  t.equal((json as unknown[]).length, 2)
  t.equal(headers['cache-control'], 'no-store')
  t.equal((await server.send('HEAD', '/api/videos/')).status, 200)
})

t.test('invariant 10: a user\'s uploads are unknown to others, on every route', async t => {
  const server = await serve(t, {}, { downloads: true })
  const ann = { 'x-user': 'ann' }
  const id = field(await upload(server, [file('a')], ann), 'upload_id')
  for (const headers of [{ 'x-user': 'bob' }, {}]) {
    t.equal((await upload(server, [text('upload_id', id), file('x')], headers)).status, 404)
    t.equal((await upload(server, [file('x'), text('upload_id', id)], headers)).status, 404)
    const message = json({ upload_id: id })
    t.equal((await server.send('POST', '/api/upload/complete/', { ...message, headers: { ...message.headers, ...headers } })).status, 404)
  }
  const message = json({ upload_id: id })
  await server.send('POST', '/api/upload/complete/', { ...message, headers: { ...message.headers, ...ann } })
  const lists = await Promise.all([ann, { 'x-user': 'bob' }, {}].map(headers => server.send('GET', '/api/videos/', { headers })))
  t.strictSame(lists.map(({ json }) => (json as unknown[]).length), [1, 0, 0])
  const url = `/api/videos/${id}/`
  t.equal((await server.send('GET', url, { headers: ann })).text, 'a')
  for (const headers of [{ 'x-user': 'bob' }, {}]) {
    const answer = await server.send('GET', url, { headers })
    t.equal(`${answer.status} ${answer.text}`, '404 {"error":"Upload not found."}')
  }
})

t.test('the anonymous list is off unless it is asked for, and anonymous uploads can be switched off', async t => {
  const closed = await serve(t, { listAnonymous: undefined })
  await complete(closed, field(await upload(closed, [file('a')]), 'upload_id'))
  t.equal((await closed.send('GET', '/api/videos/')).text, '[]')
  const strict = await serve(t, {}, { requireUser: true })
  for (const answer of [await upload(strict, [file('a')]), await complete(strict, UNKNOWN), await strict.send('GET', '/api/videos/')]) {
    t.equal(`${answer.status} ${answer.text}`, '401 {"error":"Authentication is required"}')
  }
})

t.test('with downloads, `file` is a URL that serves the finished file', async t => {
  const server = await serve(t, {}, { downloads: { inline: ['video/*'] } })
  const first = await upload(server, [{ name: 'file', filename: 'f.mp4', type: 'video/mp4', content: '0123456789' }])
  const id = field(first, 'upload_id')
  t.equal(field(first, 'file'), `/api/videos/${id}/`)
  t.equal((await server.send('GET', field(first, 'file'))).status, 404, 'an unfinished one is not served')
  await complete(server, id)
  const whole = await server.send('GET', field(first, 'file'))
  t.match([whole.status, whole.text, whole.headers], [200, '0123456789', {
    'content-type': 'video/mp4', 'content-disposition': 'inline; filename="f.mp4"'
  }])
  const part = await server.send('GET', field(first, 'file'), { headers: { range: 'bytes=2-4' } })
  t.match([part.status, part.text], [206, '234'])
  t.match((await server.send('GET', '/api/videos/')).json, [{ file: `${server.url}/api/videos/${id}/` }])
})

t.test('unfinished uploads never expire, unless the host wants it', async t => {
  const server = await serve(t)
  const id = field(await upload(server, [file('a')]), 'upload_id')
  t.match(await server.app.chunkedUpload.get(id.replaceAll('-', '')), { expiresAt: null })

  const metadata = memoryMetadata()
  const expiring = await serve(t, { expirationDelta: 60_000 }, { metadata })
  const old = field(await upload(expiring, [file('a')]), 'upload_id')
  const record = await metadata.get(old.replaceAll('-', ''))
  if (record?.status !== 'uploading' || record.expiresAt === null) throw new Error('it does not expire')
  await metadata.update({ ...record, expiresAt: Date.now(), version: record.version + 1 })
  const answers = [await upload(expiring, [file('b'), text('upload_id', old)]), await complete(expiring, old)]
  t.strictSame(answers.map(({ status, text }) => `${status} ${text}`), Array(2).fill('410 {"error":"Upload has expired"}'))
  t.match(await expiring.app.chunkedUpload.deleteExpired(), { files: 1, records: 1 })
})

t.test('invariant 12: a part that a crash left in the spool expires, and is not listed as an upload', async t => {
  const storage = diskStorage({ directory: t.testdir() })
  const left: string[] = []
  const server = await serve(t, {}, {
    storage: { ...storage, remove: async upload => { left.push(upload.id); throw new Error('as if the process had gone') } },
    expirationDelta: 60_000
  })
  const id = field(await upload(server, [file(Buffer.alloc(LARGE))]), 'upload_id')
  const [spool = ''] = left
  t.equal((await upload(server, [file('x'), text('upload_id', spool)])).status, 404)
  t.equal((await complete(server, spool)).status, 404)
  t.equal(await server.app.chunkedUpload.get(spool), undefined)
  const kept = (await recordsIn(server.directory)).find(({ id }) => id === spool)
  t.type(kept?.expiresAt, 'number', 'the spool expires by the setting of the registration')
  t.match(await server.app.chunkedUpload.get(id.replaceAll('-', '')), { expiresAt: null })
})

t.test('the host is asked and told of uploads, never of spooled parts', async t => {
  const told: string[] = []
  const server = await serve(t, {}, {
    maxOpenUploads: 1,
    onCreate: ({ filename }) => { told.push(`asked ${filename}`) },
    onComplete: upload => ({ statusCode: 201, headers: { 'x-size': String(upload.size) }, body: { done: upload.filename } })
  })
  for (const event of ['create', 'progress', 'complete', 'remove'] as const) {
    server.app.chunkedUpload.events.on(event, (upload: Upload) => { told.push(`${event} ${upload.filename}`) })
  }
  const first = await upload(server, [file(Buffer.alloc(LARGE)), text('filename', 'a.mp4')])
  const id = field(first, 'upload_id')
  const next = await upload(server, [file(Buffer.alloc(LARGE)), text('upload_id', id)])
  t.equal(next.status, 200, 'a spooled part does not count as an open upload')
  t.equal((await upload(server, [file('b')])).status, 429)
  const answer = await complete(server, id)
  t.match([answer.status, answer.headers['x-size'], answer.json], [201, String(2 * LARGE), { done: 'a.mp4' }])
  t.strictSame(told, ['asked a.mp4', 'create a.mp4', 'progress a.mp4', 'progress a.mp4', 'asked chunk.bin', 'complete a.mp4'])
})

t.test('what a hook throws is worded by the host, and nothing is left', async t => {
  const server = await serve(t, {}, { onCreate: () => { throw Object.assign(new Error('no films today'), { statusCode: 403 }) } })
  for (const content of ['a', Buffer.alloc(LARGE)]) {
    const answer = await upload(server, [file(content)])
    t.equal(answer.status, 403)
    t.match(answer.json, { message: 'no films today' })
  }
  t.equal(await stored(server), 0)
})

t.test('invariant 13: storage trouble is 503 with Retry-After, in the spool and after it, and what was acknowledged stays', async t => {
  const storage = memoryStorage()
  const metadata = memoryMetadata()
  let broken = false
  const server = await serve(t, {}, {
    metadata,
    storage: {
      ...storage,
      write: async (...args) => {
        if (broken) throw new Error('no')
        await storage.write(...args)
      },
      read: (upload, range) => broken ? new Readable({ read () { this.destroy(new Error('no')) } }) : storage.read(upload, range)
    }
  }, true)
  const id = field(await upload(server, [file('kept')]), 'upload_id')
  broken = true
  for (const parts of [[file(Buffer.alloc(LARGE)), text('upload_id', id)], [text('upload_id', id), file('x')], [file('x')]]) {
    const answer = await upload(server, parts)
    t.match([answer.status, answer.headers['retry-after'], answer.text], [503, '1', '{"error":"Storage is not available"}'])
  }
  broken = false
  t.equal((await bytesOf(server, id)).toString(), 'kept')
  t.equal((await allRecords(metadata)).length, 1)
})

t.test('a Host that is none makes no address, and no fault', async t => {
  const server = await serve(t)
  await complete(server, field(await upload(server, [file('a', 'a.mp4')]), 'upload_id'))
  for (const host of ['a b', '', '[', 'x:99999']) {
    const http = await RawHttp.connect(server.port)
    http.request('GET', '/api/videos/', { host })
    const { status, body } = await http.reply()
    http.socket.destroy()
    t.equal(status, 200)
    t.match(JSON.parse(body), [{ file: /^\/[^/]/ }], host)
  }
})
