import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addAbortSignal, Readable } from 'node:stream'
import compress from '@fastify/compress'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, diskStorage, formAppend, memoryStorage, type Protocol, type Storage, type Upload
} from '../../../src/index.js'
import { type DownloadOptions, sendUpload } from '../../../src/http/download/send-upload.js'
import { rangeHolds } from '../../../src/http/download/preconditions.js'
import { declareRoutes } from '../../../src/http/routing/routes.js'
import { run } from '../../support/child.js'
import { fetch } from '../../support/deadline.js'
import { gate } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { requireProgram } from '../../support/requires.js'
import { type Answer, startServer, type TestServer, usersByHeader } from '../../support/server.js'

interface Stored {
  readonly content?: string | Uint8Array
  readonly filename?: string
  readonly type?: string | null
  readonly checksum?: boolean
  readonly unfinished?: boolean
}

/** Serves uploads by id, and makes them without HTTP. */
interface Served extends TestServer {
  store (stored?: Stored): Promise<Upload>
  get (upload: Upload, headers?: Record<string, string>): Promise<Answer>
}

async function serve (
  t: Test, options: DownloadOptions = {}, settings: ChunkedUploadOptions = {}, mayFail = false,
  host: (app: FastifyInstance) => Promise<void> = async () => {}
): Promise<Served> {
  let store: Served['store'] | undefined
  const protocol: Protocol = {
    name: 'files',
    prefix: '',
    register: (scope, uploads) => {
      const { engine } = uploads
      declareRoutes(scope, [{
        name: 'download',
        method: ['GET', 'HEAD'],
        url: '/:id/',
        handler: async (request, reply) => {
          const upload = await engine.get(await uploads.caller(request, reply), String(Object(request.params).id))
          return await sendUpload({ request, reply }, engine, upload, options)
        }
      }])
      const caller = { protocol: 'files', user: null, restricted: false, maxBytes: null, maxStored: null, hooks: {} }
      store = async ({ content = '0123456789', filename = 'file.bin', type = null, checksum = false, unfinished = false } = {}) => {
        const created = await engine.create(caller, {
          filename,
          contentType: type,
          metadata: {},
          protocolState: {},
          size: null,
          chunkSize: null,
          checksum: checksum ? { algorithm: 'md5', value: null } : null,
          expiresIn: null,
          serial: false
        })
        const body = Readable.from([Buffer.from(content)], { objectMode: false })
        const { upload } = await engine.write(caller, created.id, { start: 0, body, ...unfinished ? {} : { complete: { when: 'end' } } })
        return upload
      }
    }
  }
  const server = await startServer(t, { prefix: '/f', protocols: [protocol], ...settings }, {
    mayFail,
    before: async app => {
      usersByHeader(app)
      await host(app)
    }
  })
  if (store === undefined) throw new Error('not registered')
  return { ...server, store, get: async ({ id }, headers = {}) => await server.send('GET', `/f/${id}/`, { headers }) }
}

t.test('a whole file: GET and HEAD tell the same, and HEAD sends nothing', async t => {
  const server = await serve(t)
  const upload = await server.store({ filename: 'a b.txt', type: 'text/plain' })
  const answers = [await server.get(upload), await server.send('HEAD', `/f/${upload.id}/`)]
  for (const { status, headers } of answers) {
    t.equal(status, 200)
    t.match(headers, {
      'content-type': 'text/plain',
      'content-length': '10',
      'content-disposition': 'attachment; filename="a b.txt"',
      'accept-ranges': 'bytes',
      'cache-control': /private/,
      'x-content-type-options': 'nosniff',
      etag: /^"[\w-]+"$/,
      'last-modified': / GMT$/
    })
  }
  t.strictSame(answers.map(({ text }) => text), ['0123456789', ''])
  t.equal(answers[0]?.headers.etag, answers[1]?.headers.etag)
})

t.test('a host that compresses its replies leaves the bytes of files as they are, as their ETag and ranges say', async t => {
  const server = await serve(t, {}, {}, false, async app => { await app.register(compress, { threshold: 0 }) })
  const upload = await server.store({ type: 'text/plain', content: '0123456789'.repeat(1000) })
  const whole = await server.get(upload, { 'accept-encoding': 'gzip' })
  t.match(whole.headers, { 'content-length': '10000', 'content-encoding': undefined, etag: /^"/ })
  const rest = await server.get(upload, { 'accept-encoding': 'gzip', range: 'bytes=9995-', 'if-range': String(whole.headers.etag) })
  t.match(rest, { status: 206, text: '56789' })
})

const ranges: ReadonlyArray<readonly [range: string, status: number, contentRange: string | undefined, text: string]> = [
  ['bytes=0-0', 206, 'bytes 0-0/10', '0'],
  ['bytes=0-9', 206, 'bytes 0-9/10', '0123456789'],
  ['bytes=2-4', 206, 'bytes 2-4/10', '234'],
  ['bytes=5-', 206, 'bytes 5-9/10', '56789'],
  ['bytes=-3', 206, 'bytes 7-9/10', '789'],
  ['bytes=-99', 206, 'bytes 0-9/10', '0123456789'],
  ['bytes=8-99999999999999999999', 206, 'bytes 8-9/10', '89'],
  ['Bytes = 1-2', 206, 'bytes 1-2/10', '12'],
  ['bytes=1-2,3-4', 206, 'bytes 1-4/10', '1234'],
  ['bytes=1-5, 2-3', 206, 'bytes 1-5/10', '12345'],
  ['bytes=1-2,90-95', 206, 'bytes 1-2/10', '12'],
  ['bytes=10-', 416, 'bytes */10', ''],
  ['bytes=10-12,99-', 416, 'bytes */10', ''],
  ['bytes=-0', 416, 'bytes */10', ''],
  ['bytes=4-2', 200, undefined, '0123456789'],
  ['bytes=a-b', 200, undefined, '0123456789'],
  ['bytes=1-2,x', 200, undefined, '0123456789'],
  ['bytes=-', 200, undefined, '0123456789'],
  ['bytes=', 200, undefined, '0123456789'],
  ['lines=1-2', 200, undefined, '0123456789']
]

t.test('a range is answered with its bytes, one that cannot be had with 416, and one that is malformed is ignored', async t => {
  const server = await serve(t)
  const upload = await server.store()
  for (const [range, status, contentRange, text] of ranges) {
    const answer = await server.get(upload, { range })
    t.strictSame([answer.status, answer.headers['content-range'], answer.text], [status, contentRange, text], range)
    t.equal(answer.headers['content-length'], String(text.length), range)
  }
  const head = await server.send('HEAD', `/f/${upload.id}/`, { headers: { range: 'bytes=2-4' } })
  t.match([head.status, head.headers['content-length']], [200, '10'], 'ranges are defined for GET alone')
})

t.test('several ranges come as multipart/byteranges, in the order of the request', async t => {
  const server = await serve(t)
  const upload = await server.store({ type: 'text/plain' })
  const answer = await server.get(upload, { range: 'bytes=7-8, 0-1,-1' })
  t.equal(answer.status, 206)
  const [, boundary = ''] = /^multipart\/byteranges; boundary=([\da-f]{36})$/.exec(String(answer.headers['content-type'])) ?? []
  const part = (range: string, text: string): string =>
    `\r\n--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes ${range}/10\r\n\r\n${text}`
  t.equal(answer.text, `${part('7-9', '789')}${part('0-1', '01')}\r\n--${boundary}--\r\n`)
  t.equal(answer.headers['content-length'], String(answer.text.length))
  t.equal(answer.headers['content-range'], undefined)
})

t.test('invariant 11: a heap of tiny ranges costs no more than the file', async t => {
  const server = await serve(t)
  const upload = await server.store({ content: Buffer.alloc(10_000, 'x') })
  const many = (count: number, step: number): string => {
    return `bytes=${Array.from({ length: count }, (_, index) => `${index * step}-${index * step}`).join(',')}`
  }
  t.match(await server.get(upload, { range: many(50, 2) }), { status: 206, headers: { 'content-type': /byteranges/ } })
  t.match(await server.get(upload, { range: many(51, 2) }), { status: 200, headers: { 'content-length': '10000' } }, 'too many are ignored')
  t.match(await server.get(upload, { range: many(1000, 1) }), { status: 206, headers: { 'content-range': 'bytes 0-999/10000' } })
  const same = await server.get(upload, { range: `bytes=${Array(500).fill('0-').join(',')}` })
  t.match([same.status, same.headers['content-range']], [206, 'bytes 0-9999/10000'], 'the same one many times is one')
})

t.test('an empty file', async t => {
  const server = await serve(t)
  const upload = await server.store({ content: '' })
  t.match(await server.get(upload), { status: 200, text: '', headers: { 'content-length': '0' } })
  for (const range of ['bytes=0-', 'bytes=-1']) {
    t.match(await server.get(upload, { range }), { status: 416, headers: { 'content-range': 'bytes */0' } })
  }
})

t.test('conditions, in the order of RFC 9110', async t => {
  const server = await serve(t)
  const upload = await server.store()
  if (upload.status !== 'complete') throw new Error('unfinished')
  const etag = String((await server.get(upload)).headers.etag)
  const modified = new Date(upload.completedAt).toUTCString()
  const before = new Date(upload.completedAt - 60_000).toUTCString()
  const after = new Date(upload.completedAt + 60_000).toUTCString()
  const cases: ReadonlyArray<readonly [headers: Record<string, string>, status: number]> = [
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': `W/${etag}` }, 304],
    [{ 'if-none-match': `"other", ${etag}` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"other"' }, 200],
    [{ 'if-none-match': '"other"', 'if-modified-since': after }, 200],
    [{ 'if-modified-since': modified }, 304],
    [{ 'if-modified-since': after }, 304],
    [{ 'if-modified-since': before }, 200],
    [{ 'if-modified-since': 'yesterday' }, 200],
    [{ 'if-match': etag }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': `"other", ${etag}` }, 200],
    [{ 'if-match': '"other"' }, 412],
    [{ 'if-match': `W/${etag}` }, 412],
    [{ 'if-unmodified-since': modified }, 200],
    [{ 'if-unmodified-since': before }, 412],
    [{ 'if-unmodified-since': 'never' }, 200],
    [{ 'if-match': etag, 'if-unmodified-since': before }, 200],
    [{ 'if-match': '"other"', 'if-none-match': etag }, 412],
    [{ 'if-match': etag, 'if-none-match': etag }, 304],
    [{ range: 'bytes=0-1', 'if-none-match': etag }, 304],
    [{ range: 'bytes=0-1', 'if-match': '"other"' }, 412],
    [{ range: 'bytes=0-1', 'if-range': etag }, 206],
    [{ range: 'bytes=0-1', 'if-range': `W/${etag}` }, 200],
    [{ range: 'bytes=0-1', 'if-range': '"other"' }, 200],
    [{ range: 'bytes=0-1', 'if-range': before }, 200],
    [{ range: 'bytes=0-1', 'if-range': after }, 200],
    [{ range: 'bytes=0-1', 'if-range': 'nonsense' }, 200]
  ]
  for (const [headers, status] of cases) {
    const answer = await server.get(upload, headers)
    t.equal(answer.status, status, JSON.stringify(headers))
    if (status === 304 || status === 412) {
      t.equal(answer.text, '')
      t.equal(answer.headers.etag, etag)
      t.equal(answer.headers['content-disposition'], undefined)
    }
  }
})

t.test('a date is as good as an ETag for If-Range once it is a second old', async t => {
  const modifiedAt = Date.UTC(2026, 1, 25, 3, 42, 1, 854)
  const headers = { 'if-range': 'Wed, 25 Feb 2026 03:42:01 GMT' }
  t.equal(rangeHolds(headers, { etag: '"a"', modifiedAt }, modifiedAt + 100), false)
  t.equal(rangeHolds(headers, { etag: '"a"', modifiedAt }, modifiedAt + 1000), true)
  t.equal(rangeHolds(headers, { etag: '"a"', modifiedAt: modifiedAt + 1000 }, modifiedAt + 9000), false)
})

t.test('the ETag is the checksum where there is one, and changes as an unfinished upload grows', async t => {
  const server = await serve(t)
  const checked = await server.store({ checksum: true })
  const md5 = createHash('md5').update('0123456789').digest('hex')
  t.equal((await server.get(checked)).headers.etag, `"md5-${md5}"`)
  const [one, other] = [await server.store(), await server.store()]
  t.not((await server.get(one)).headers.etag, (await server.get(other)).headers.etag)
  const growing = await server.store({ unfinished: true, content: 'abc' })
  t.match(await server.get(growing), { status: 200, text: 'abc' }, 'what is there of an unfinished upload')
})

const names: ReadonlyArray<readonly [filename: string, header: string]> = [
  ['plain.txt', 'attachment; filename="plain.txt"'],
  ['€ rates.txt', 'attachment; filename="? rates.txt"; filename*=UTF-8\'\'%E2%82%AC%20rates.txt'],
  ['naïve "quoted" \\ file.txt', 'attachment; filename="file.txt"'],
  ['ümläut é.mp4', 'attachment; filename="?ml?ut ?.mp4"; filename*=UTF-8\'\'%C3%BCml%C3%A4ut%20%C3%A9.mp4'],
  ['\u{1F600}.txt', 'attachment; filename="?.txt"; filename*=UTF-8\'\'%F0%9F%98%80.txt'],
  ['say "hi".txt', 'attachment; filename="say \\"hi\\".txt"'],
  ['../../etc/passwd', 'attachment; filename="passwd"'],
  ['C:\\Users\\me\\a.txt', 'attachment; filename="a.txt"'],
  ['a\r\nSet-Cookie: x=1\r\n\r\n<b>.txt', 'attachment; filename="aSet-Cookie: x=1<b>.txt"'],
  ['a\0b.txt', 'attachment; filename="ab.txt"'],
  ['invoice\u202efdp.exe', 'attachment; filename="invoicefdp.exe"'],
  ['100%41.txt', 'attachment; filename="100%41.txt"; filename*=UTF-8\'\'100%2541.txt'],
  ['\ud800lone.txt', 'attachment; filename="?lone.txt"; filename*=UTF-8\'\'%EF%BF%BDlone.txt'],
  ['..', 'attachment; filename="download"'],
  ['', 'attachment; filename="download"']
]

t.test('invariant 9: no name of a client gets into a header unescaped', async t => {
  const server = await serve(t)
  for (const [filename, header] of names) {
    const answer = await server.get(await server.store({ filename }))
    t.equal(answer.headers['content-disposition'], header, JSON.stringify(filename))
    t.equal(answer.headers['set-cookie'], undefined)
  }
})

t.test('invariant 13: a name of any length leaves a head that clients take', async t => {
  const server = await serve(t)
  const answer = await server.get(await server.store({ filename: `${'ж'.repeat(100_000)}.bin` }))
  t.equal(answer.status, 200)
  t.match(answer.headers['content-disposition'], /filename\*=UTF-8''(?:%D0%B6){255}$/)
})

const types: ReadonlyArray<readonly [type: string | null, sent: string, disposition: string, policy?: string]> = [
  ['image/png', 'image/png', 'inline'],
  ['IMAGE/PNG', 'IMAGE/PNG', 'inline'],
  ['video/mp4; codecs="avc1"', 'video/mp4; codecs="avc1"', 'inline'],
  ['image/svg+xml', 'image/svg+xml', 'inline', 'sandbox'],
  ['application/pdf', 'application/pdf', 'attachment'],
  ['text/html', 'text/html', 'attachment'],
  ['text/plain', 'text/plain', 'attachment'],
  [null, 'application/octet-stream', 'attachment'],
  ['nonsense', 'application/octet-stream', 'attachment'],
  ['image/png\r\nX-Evil: 1', 'application/octet-stream', 'attachment'],
  ['image/png, text/html', 'application/octet-stream', 'attachment']
]

t.test('only listed types are shown in the browser, and no type of a client gets into a header unchecked', async t => {
  const server = await serve(t, { inline: ['image/*', 'video/mp4'] })
  for (const [type, sent, disposition, policy] of types) {
    const { headers } = await server.get(await server.store({ type }))
    t.strictSame([headers['content-type'], headers['content-disposition'], headers['content-security-policy']],
      [sent, `${disposition}; filename="file.bin"`, policy], String(type))
    t.equal(headers['x-content-type-options'], 'nosniff')
  }
  const all = await serve(t, { inline: ['text/*', 'image/*', 'application/*'] })
  for (const type of ['text/html', 'text/xsl', 'TEXT/XSL', 'text/rdf', 'text/xml', 'application/xhtml+xml', 'image/svg+xml', 'image/svg']) {
    const { headers } = await all.get(await all.store({ type }))
    t.match(headers, { 'content-disposition': /^inline/, 'content-security-policy': 'sandbox' }, `${type} may run scripts`)
  }
  for (const type of ['text/plain', 'text/plain; charset=utf-8', 'image/png', 'application/pdf']) {
    t.notOk('content-security-policy' in (await all.get(await all.store({ type }))).headers, type)
  }
  const fixed = await serve(t, { contentType: 'video/mp4', filename: 'video_1.mp4' })
  t.match((await fixed.get(await fixed.store({ type: 'text/html' }))).headers, {
    'content-type': 'video/mp4', 'content-disposition': 'attachment; filename="video_1.mp4"'
  })
})

t.test('removed and lost files are told before a reply begins', async t => {
  let trouble: Error | undefined
  const storage = memoryStorage()
  const server = await serve(t, {}, {
    storage: { ...storage, read: (...args) => trouble === undefined ? storage.read(...args) : storage.read(...args).destroy(trouble) }
  }, true)
  const upload = await server.store()
  trouble = new Error('no')
  t.equal((await server.get(upload)).status, 503)
  trouble = undefined
  await storage.remove(upload)
  t.equal((await server.get(upload)).status, 410)
  await server.app.chunkedUpload.remove(upload.id, { keepRecord: true })
  t.equal((await server.get(upload)).status, 410)
})

interface Watched extends Storage {
  readonly open: Set<Readable>
  readonly bytes: () => number
  opened (): Promise<void>
  closed (): Promise<void>
}

/** Storage that counts its open streams. */
function watched (storage: Storage): Watched {
  const open = new Set<Readable>()
  let bytes = 0
  let wake = (): void => {}
  return {
    ...storage,
    open,
    bytes: () => bytes,
    opened: async () => { while (open.size === 0) await new Promise<void>(resolve => { wake = resolve }) },
    closed: async () => { while (open.size > 0) await new Promise<void>(resolve => { wake = resolve }) },
    read: (upload, range) => {
      const stream = storage.read(upload, range)
      open.add(stream)
      wake()
      const push = stream.push.bind(stream)
      stream.push = (data: Buffer | null) => {
        bytes += data?.length ?? 0
        return push(data)
      }
      return stream.once('close', () => {
        open.delete(stream)
        wake()
      })
    }
  }
}

t.test('invariant 6: a download that is not read waits in the storage, and one that is given up closes the storage\'s stream', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'downloads-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  const storage = watched(diskStorage({ directory }))
  const server = await serve(t, {}, { storage })
  const size = 64 * 1024 * 1024
  const upload = await server.store({ content: Buffer.alloc(size) })
  for (const range of [undefined, 'bytes=0-40000000,50000000-60000000']) {
    const before = storage.bytes()
    const connection = await RawHttp.connect(server.port)
    connection.socket.pause()
    connection.request('GET', `/f/${upload.id}/`, range === undefined ? {} : { range })
    await storage.opened()
    t.ok(storage.bytes() - before < size / 2)
    connection.reset()
    await storage.closed()
    t.ok(storage.bytes() - before < size / 2, 'the rest was never read')
  }
  t.equal(storage.open.size, 0)
})

t.test('a client that leaves before the storage has begun to answer ends the read', async t => {
  const memory = memoryStorage()
  const [asked, given] = [gate(), gate()]
  const silent = new Readable({ read () {} })
  let hangs = false
  const storage: Storage = {
    ...memory,
    read: (upload, range, options) => {
      if (!hangs) return memory.read(upload, range, options)
      options?.signal?.addEventListener('abort', () => { given.open() })
      asked.open()
      return options?.signal === undefined ? silent : addAbortSignal(options.signal, silent)
    }
  }
  const server = await serve(t, {}, { storage })
  const upload = await server.store()
  hangs = true
  const connection = await RawHttp.connect(server.port)
  connection.request('GET', `/f/${upload.id}/`)
  await asked.passed
  connection.reset()
  await given.passed
  t.ok(silent.destroyed)
})

t.test('after each answer the connection goes on', async t => {
  const server = await serve(t)
  const upload = await server.store()
  const client = server.client()
  const ports = new Set<number>()
  const ranged = ['bytes=1-2', 'bytes=1-2,5-6', 'bytes=99-'].map(range => ({ range }))
  for (const headers of [{}, ...ranged, { 'if-none-match': '*' }, { 'if-match': '"x"' }]) {
    ports.add((await client.send('GET', `/f/${upload.id}/`, { headers })).connection)
    ports.add((await client.send('HEAD', `/f/${upload.id}/`, { headers })).connection)
  }
  t.equal(ports.size, 1)
})

t.test('invariant 10: another user\'s file is as good as none', async t => {
  const server = await startServer(t, { protocols: [formAppend()], downloads: true }, { before: usersByHeader })
  const form = new FormData()
  form.append('file', new Blob(['hers']), 'a.txt')
  const headers = { 'x-user': 'ann' }
  const { upload_id: id } = Object(await (await fetch(`${server.url}/uploads/upload/`, { method: 'POST', body: form, headers })).json())
  const complete = { method: 'POST', body: JSON.stringify({ upload_id: id }), headers: { ...headers, 'content-type': 'application/json' } }
  t.equal((await fetch(`${server.url}/uploads/upload/complete/`, complete)).status, 200)
  const answers = await Promise.all(['ann', 'bob'].map(async user => {
    return await server.send('GET', `/uploads/videos/${id}/`, { headers: { 'x-user': user, range: 'bytes=0-1' } })
  }))
  t.strictSame(answers.map(({ status }) => status), [206, 404])
})

t.test('curl goes on where a download broke off, and fetches ranges', async t => {
  if (requireProgram(t, ['curl']) === undefined) return
  const server = await serve(t)
  const out = join(server.directory, 'out')
  mkdirSync(out)
  const content = randomBytes(3_000_000)
  const upload = await server.store({ content })
  const curl = async (...args: string[]): Promise<void> => {
    await run('curl', ['-sS', '--fail', ...args, `${server.url}/f/${upload.id}/`])
  }
  const file = join(out, 'resumed')
  writeFileSync(file, content.subarray(0, 1_234_567))
  await curl('-C', '-', '-o', file)
  t.ok(readFileSync(file).equals(content))
  await curl('-r', '100-199', '-o', join(out, 'part'))
  t.ok(readFileSync(join(out, 'part')).equals(content.subarray(100, 200)))
})
