import t, { type Test } from 'tap'
import {
  chunkTasks, type ChunkedUploadOptions, contentRange, formAppend, memoryMetadata, rawAppend
} from '../../../src/index.js'
import { slowStorage } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { field, form, json, startServer, type TestServer } from '../../support/server.js'

const text = (name: string, content = 'x'): { name: string, content: string } => ({ name, content })
const file = (name: string, bytes = 10): { name: string, filename: string, content: string } => {
  return { name, filename: 'a', content: 'x'.repeat(bytes) }
}
/** More than what forms keep of a part in memory. */
const MUCH = 300 * 1024

async function serve (t: Test, options: ChunkedUploadOptions = {}): Promise<TestServer> {
  return await startServer(t, {
    prefix: '/',
    stallTimeout: 200,
    ...options,
    protocols: [
      contentRange({ prefix: '/content-range' }), contentRange({ name: 'parent', prefix: '/parent', dialect: 'parent' }),
      formAppend({ prefix: '/form' }), chunkTasks({ prefix: '/tasks' }), rawAppend({ prefix: '/raw' })
    ]
  })
}

async function newUpload (server: TestServer): Promise<string> {
  const { headers, body } = form([file('file')])
  return field(await server.send('POST', '/form/upload/', { headers, body }), 'upload_id')
}

async function newTask (server: TestServer): Promise<string> {
  const wanted = { hash: '', file_name: 'a', file_size: 15, content_type: 'a/b', chunk_size: 10 }
  return field(await server.send('POST', '/tasks/create', json(wanted)), 'task_id')
}

interface Silence {
  readonly method: string
  readonly url: string
  /** All of the body that comes. */
  readonly sent: Buffer | string
  readonly headers?: Readonly<Record<string, string>>
}

const part = (...parts: Parameters<typeof form>[0]): Buffer => form(parts, '').body
const half = (...parts: Parameters<typeof form>[0]): Buffer => part(...parts).subarray(0, -6)
const range = { 'content-range': 'bytes 0-9/20' }

type Case = readonly [title: string, silence: (server: TestServer) => Promise<Silence>]
const cases: readonly Case[] = [
  ['formAppend, before the first part', async () => ({ method: 'POST', url: '/form/upload/', sent: '--' })],
  ['formAppend, between a field and the file', async () => ({ method: 'POST', url: '/form/upload/', sent: part(text('filename')) })],
  ['formAppend, within a small file', async () => ({ method: 'POST', url: '/form/upload/', sent: half(file('file')) })],
  ['formAppend, within a large file', async () => ({ method: 'POST', url: '/form/upload/', sent: half(file('file', MUCH)) })],
  ['formAppend, behind a large file', async () => ({ method: 'POST', url: '/form/upload/', sent: part(file('file', MUCH)) })],
  ['formAppend, behind the file of a known upload', async server => {
    return { method: 'POST', url: '/form/upload/', sent: part(text('upload_id', await newUpload(server)), file('file')) }
  }],
  ['formAppend, within a file that nobody wants', async () => ({ method: 'POST', url: '/form/upload/', sent: half(file('other', MUCH)) })],
  ['formAppend, within a completion of JSON', async () => {
    return { method: 'POST', url: '/form/upload/complete/', sent: '{"upload_id":', headers: { 'content-type': 'application/json' } }
  }],
  ['formAppend, within a completion as a form', async () => {
    return { method: 'POST', url: '/form/upload/complete/', sent: part(text('upload_id')) }
  }],
  ['chunkTasks, within what is to be created', async () => {
    return { method: 'POST', url: '/tasks/create', sent: '{', headers: { 'content-type': 'application/json' } }
  }],
  ['chunkTasks, before a chunk', async server => {
    return { method: 'POST', url: `/tasks/chunk/${await newTask(server)}/0`, sent: part(text('a')) }
  }],
  ['chunkTasks, within a chunk', async server => {
    return { method: 'POST', url: `/tasks/chunk/${await newTask(server)}/0`, sent: half(file('chunk')) }
  }],
  ['chunkTasks, within what is too much of a last chunk', async server => {
    return { method: 'POST', url: `/tasks/chunk/${await newTask(server)}/1`, sent: half(file('chunk', 11)) }
  }],
  ['chunkTasks, behind a small file', async () => ({ method: 'POST', url: '/tasks/direct', sent: part(file('file')) })],
  ['rawAppend, before the file', async server => {
    await server.send('POST', '/raw/create_video/')
    return { method: 'POST', url: '/raw/append_video/1/', sent: part(text('a')) }
  }],
  ['rawAppend, within the file', async server => {
    await server.send('POST', '/raw/create_video/')
    return { method: 'POST', url: '/raw/append_video/1/', sent: half(file('file')) }
  }],
  ['contentRange, before the file', async () => ({ method: 'PUT', url: '/content-range/', sent: part(text('a')), headers: range })],
  ['contentRange, within the file', async () => ({ method: 'PUT', url: '/content-range/', sent: half(file('file')), headers: range })],
  ['contentRange, behind the file', async () => ({ method: 'POST', url: '/content-range/', sent: part(file('file')) })],
  ['the parent of contentRange, behind a later chunk', async () => {
    const headers = { 'content-range': `bytes 5-${MUCH + 4}/${MUCH * 2}` }
    return { method: 'POST', url: '/parent/upload/', sent: part(file('file', MUCH)), headers }
  }]
]

for (const [title, silence] of cases) {
  t.test(`invariant 8: a client that falls silent is answered 408: ${title}`, async t => {
    const server = await serve(t)
    const { method, url, sent, headers } = await silence(server)
    const http = await RawHttp.connect(server.port)
    t.teardown(() => { http.socket.destroy() })
    const all = { 'content-type': form([]).headers['content-type'] as string, 'transfer-encoding': 'chunked', ...headers }
    http.request(method, url, all, `${sent.length.toString(16)}\r\n`).send(sent).send('\r\n')
    const reply = await http.reply()
    t.equal(reply.status, 408, reply.body)
    t.match(reply.body, 'No data for 200 ms')
  })
}

t.test('a form whose bytes wait for the storage is no silent one', async t => {
  const server = await serve(t, { storage: slowStorage(700), metadata: memoryMetadata() })
  const { headers, body } = form([file('file', 8 * 1024 * 1024)])
  t.equal((await server.send('POST', '/form/upload/', { headers, body })).status, 200)
})
