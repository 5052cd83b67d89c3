import t from 'tap'
import {
  type ChunkedUploadOptions, chunkTasks, contentRange, formAppend, memoryMetadata, rawAppend, resumableHttp, tus
} from '../../../src/index.js'
import { slowStorage } from '../../support/engine.js'
import { RawHttp, type RawReply } from '../../support/raw-http.js'
import { field, form, json, startServer, type TestServer } from '../../support/server.js'

// Some wait for the rest of their body before the reply goes out.
t.jobs = 6

const protocols = [
  contentRange({ prefix: '/content-range', checksum: false }), formAppend({ prefix: '/form' }), chunkTasks({ prefix: '/tasks' }),
  rawAppend({ prefix: '/raw' }), tus({ prefix: '/tus' }), resumableHttp({ prefix: '/resumable' })
]
/** Bytes that each body announces. */
const LENGTH = 100_000

interface Slow {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** What comes at once; the rest comes byte by byte. */
  readonly start?: string
}

const tusHeaders = { 'tus-resumable': '1.0.0' }
const formType = { 'content-type': 'multipart/form-data; boundary=x' }
const fileHead = (name: string): string => `--x\r\nContent-Disposition: form-data; name="${name}"; filename="a"\r\n\r\n`

interface Case {
  readonly name: string
  readonly slow: (server: TestServer) => Promise<Slow>
  /** What the client hears. Those of tus and of the draft come again after a 503 only. */
  readonly status: 408 | 503
  /** The offset that a client of this upload is told afterwards, where it can resume. */
  readonly offset?: (server: TestServer, url: string) => Promise<unknown>
}

const cases: readonly Case[] = [
  {
    name: 'contentRange, raw',
    slow: async server => {
      const first = await server.send('PUT', '/content-range/', { headers: { 'content-range': 'bytes 0-0/200000' }, body: 'x' })
      const headers = { 'content-range': `bytes 1-${LENGTH}/200000`, 'content-type': 'a/b' }
      return { method: 'PUT', url: `/content-range/${field(first, 'id')}/`, headers }
    },
    status: 408,
    offset: async (server, url) => Number(field(await server.send('GET', url), 'offset')) - 1
  },
  {
    name: 'contentRange, a form',
    slow: async () => {
      return { method: 'PUT', url: '/content-range/', headers: { ...formType, 'content-range': 'bytes 0-9/20' }, start: fileHead('file') }
    },
    status: 408
  },
  {
    name: 'contentRange, before the file of a form',
    slow: async () => ({ method: 'PUT', url: '/content-range/', headers: { ...formType, 'content-range': 'bytes 0-9/20' } }),
    status: 408
  },
  {
    name: 'formAppend',
    slow: async () => ({ method: 'POST', url: '/form/upload/', headers: formType, start: fileHead('file') }),
    status: 408
  },
  {
    name: 'formAppend, completion',
    slow: async () => ({ method: 'POST', url: '/form/upload/complete/', headers: { 'content-type': 'application/json' } }),
    status: 408
  },
  {
    name: 'chunkTasks',
    slow: async server => {
      const wanted = { hash: '', file_name: 'a', file_size: 150_000, content_type: 'a/b', chunk_size: 100_000 }
      const id = field(await server.send('POST', '/tasks/create', json(wanted)), 'task_id')
      return { method: 'POST', url: `/tasks/chunk/${id}/0`, headers: formType, start: fileHead('chunk') }
    },
    status: 408
  },
  {
    name: 'rawAppend',
    slow: async server => {
      await server.send('POST', '/raw/create_video/')
      return { method: 'POST', url: '/raw/append_video/1/', headers: { 'content-type': 'video/mp4' } }
    },
    status: 408
  },
  {
    name: 'tus',
    slow: async server => {
      const made = await server.send('POST', '/tus', { headers: { ...tusHeaders, 'upload-length': String(LENGTH) } })
      const headers = { ...tusHeaders, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
      return { method: 'PATCH', url: String(made.headers['location']), headers }
    },
    status: 503,
    offset: async (server, url) => Number((await server.send('HEAD', url, { headers: tusHeaders })).headers['upload-offset'])
  },
  {
    name: 'resumableHttp',
    slow: async server => {
      const made = await server.send('POST', '/resumable', { headers: { 'upload-complete': '?0' } })
      const headers = { 'upload-offset': '0', 'upload-complete': '?1', 'content-type': 'application/partial-upload' }
      return { method: 'PATCH', url: String(made.headers['location']), headers }
    },
    status: 503,
    offset: async (server, url) => Number((await server.send('HEAD', url)).headers['upload-offset'])
  }
]

/** Sends a body byte by byte until the server has had enough. */
async function drip (server: TestServer, { method, url, headers, start = ' '.repeat(100) }: Slow): Promise<RawReply> {
  const http = await RawHttp.connect(server.port)
  http.request(method, url, { ...headers, 'content-length': LENGTH }, start)
  const drops = setInterval(() => { http.send(' ') }, 20)
  try {
    return await http.reply()
  } finally {
    clearInterval(drops)
    http.socket.destroy()
  }
}

const rules: ReadonlyArray<readonly [says: string, options: ChunkedUploadOptions, reason: RegExp]> = [
  ['slower than minRate', { stallTimeout: 1000, minRate: 10_000 }, /Less than 10000 bytes a second/],
  ['longer than maxBodyTime', { maxBodyTime: 1000 }, /longer than 1000 ms/]
]

for (const [says, options, reason] of rules) {
  for (const { name, slow, status, offset } of cases) {
    t.test(`a body that is ${says} is cut, and what came is kept: ${name}`, { buffered: true }, async t => {
      const server = await startServer(t, { prefix: '/', ...options, protocols }, { mayFail: status === 503 })
      const request = await slow(server)
      const reply = await drip(server, request)
      t.equal(reply.status, status, reply.body)
      t.match(reply.body, reason)
      if (offset === undefined) return
      const kept = await offset(server, request.url)
      t.ok(Number(kept) > 0 && Number(kept) < LENGTH, `${String(kept)} bytes`)
    })
  }
}

t.test('a client that is fast enough is never cut, and waits for a slow storage as long as it takes', async t => {
  const options = { stallTimeout: 300, minRate: 1_000_000, storage: slowStorage(700), metadata: memoryMetadata(), protocols }
  const server = await startServer(t, { prefix: '/', ...options })
  const { headers, body } = form([{ name: 'file', filename: 'a', content: 'x'.repeat(8 * 1024 * 1024) }])
  t.equal((await server.send('POST', '/form/upload/', { headers, body })).status, 200)
  t.equal((await server.send('POST', '/content-range/', { headers, body })).status, 200)
  const made = await server.send('POST', '/tus', { headers: { ...tusHeaders, 'upload-length': String(body.length) } })
  const patch = { ...tusHeaders, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
  t.equal((await server.send('PATCH', String(made.headers['location']), { headers: patch, body })).status, 204)
})
