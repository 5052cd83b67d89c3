import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, chunkTasks, contentRange, formAppend, rawAppend, resumableHttp, tus, type TusOptions, type Upload
} from '../../src/index.js'
import { until } from '../support/engine.js'
import { RawHttp } from '../support/raw-http.js'
import {
  type Answer, field, form, json, type Message, type StartOptions, startServer, type TestServer, usersByHeader
} from '../support/server.js'

const OCTETS = { 'content-type': 'application/octet-stream' }
const TUS = { 'tus-resumable': '1.0.0' }
const MIB = 1024 * 1024

type Settings = ChunkedUploadOptions & { readonly tus?: TusOptions }

async function serve (t: Test, { tus: tusOptions, ...options }: Settings, start: StartOptions = {}): Promise<TestServer> {
  return await startServer(t, {
    prefix: '/',
    protocols: [
      contentRange({ prefix: '/content' }),
      formAppend({ prefix: '/form' }),
      chunkTasks({ prefix: '/tasks' }),
      rawAppend({ prefix: '/raw' }),
      tus({ prefix: '/tus', ...tusOptions }),
      resumableHttp({ prefix: '/resumable' })
    ],
    ...options
  }, { before: usersByHeader, ...start })
}

/** What each protocol needs to have `bytes` stored for a user. */
type Store = (server: TestServer, bytes: number, user: string) => Promise<Answer>

const stores = {
  contentRange: async ({ send }, bytes, user) => await send('PUT', '/content/', {
    headers: { ...OCTETS, 'content-range': `bytes 0-${bytes - 1}/${bytes}`, 'x-user': user }, body: Buffer.alloc(bytes)
  }),
  formAppend: async ({ send }, bytes, user) => {
    const { headers, body } = form([{ name: 'file', filename: 'a.bin', content: Buffer.alloc(bytes) }])
    return await send('POST', '/form/upload/', { headers: { ...headers, 'x-user': user }, body })
  },
  chunkTasks: async ({ send }, bytes, user) => await send('POST', '/tasks/create', newTask(bytes, user)),
  rawAppend: async ({ send }, bytes, user) => {
    const created = await send('POST', '/raw/create_video/', { headers: { 'x-user': user } })
    if (created.status !== 201) return created
    const { video_id: id } = Object(created.json)
    return await send('POST', `/raw/append_video/${id}/`, { headers: { ...OCTETS, 'x-user': user }, body: Buffer.alloc(bytes) })
  },
  tus: async ({ send }, bytes, user) => await send('POST', '/tus', { headers: { ...TUS, 'upload-length': bytes, 'x-user': user } }),
  resumableHttp: async ({ send }, bytes, user) => await send('POST', '/resumable', {
    headers: { ...OCTETS, 'upload-draft-interop-version': '6', 'upload-complete': '?1', 'x-user': user }, body: Buffer.alloc(bytes)
  })
} satisfies Record<string, Store>

function newTask (bytes: number, user: string): Message {
  const { headers, body } = json({ hash: '', file_name: 'a.bin', file_size: bytes, content_type: 'application/octet-stream' })
  return { headers: { ...headers, 'x-user': user }, body }
}

const WORDS = 'Your uploads would exceed your quota of 600 bytes'
const refused: Readonly<Record<keyof typeof stores, readonly [status: number, body: unknown]>> = {
  contentRange: [413, { detail: WORDS }],
  formAppend: [413, { error: WORDS }],
  chunkTasks: [403, { code: 'FORBIDDEN', message: "File size 1 MiB is exceeded the user's quota 0 MiB", status: 403 }],
  rawAppend: [413, { error: WORDS }],
  tus: [413, `QUOTA: ${WORDS}\n`],
  resumableHttp: [413, { title: WORDS, status: 413 }]
}

async function uploadsOf (server: TestServer): Promise<readonly Upload[]> {
  const uploads: Upload[] = []
  for await (const upload of server.app.chunkedUpload.list()) uploads.push(upload)
  return uploads
}

async function bytesOnDisk (directory: string): Promise<number> {
  const files = (await readdir(directory, { recursive: true })).filter(name => name.endsWith('.part'))
  const sizes = await Promise.all(files.map(async name => (await stat(path.join(directory, name)).catch(() => ({ size: 0 }))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

function received (uploads: readonly Upload[]): number {
  return uploads.flatMap(upload => upload.received).reduce((sum, [start, end]) => sum + end - start, 0)
}

t.test('the quota is one over all protocols, and each refuses in its own words', async t => {
  const server = await serve(t, { maxStored: 600 })
  for (const [name, store] of Object.entries(stores)) t.match(await store(server, 100, 'ann'), { status: /^20[01]$/ }, name)
  const before = await uploadsOf(server)
  for (const name of Object.keys(stores) as Array<keyof typeof stores>) {
    const { status, text, json } = await stores[name](server, 1, 'ann')
    t.strictSame([status, json ?? text], refused[name], name)
    t.match(await stores[name](server, 10, 'bob'), { status: /^20[01]$/ }, `${name}, another user`)
  }
  t.equal((await uploadsOf(server)).filter(({ user }) => user === 'ann').length, before.length, 'nothing of it is left')
  await server.app.chunkedUpload.remove(before.at(-1)?.id ?? '')
  for (const [name, store] of Object.entries(stores)) t.match(await store(server, 10, 'ann'), { status: /^20[01]$/ }, name)
})

const endless = {
  rawAppend: async ({ send }: TestServer) => {
    const { video_id: id } = Object((await send('POST', '/raw/create_video/')).json)
    return ['POST', `/raw/append_video/${id}/`, OCTETS] as const
  },
  tus: async ({ send }: TestServer) => {
    const { headers } = await send('POST', '/tus', { headers: { ...TUS, 'upload-defer-length': 1 } })
    const type = { 'content-type': 'application/offset+octet-stream' }
    return ['PATCH', new URL(headers.location ?? '', 'http://test').pathname, { ...TUS, ...type, 'upload-offset': 0 }] as const
  },
  resumableHttp: async () => {
    return ['POST', '/resumable', { ...OCTETS, 'upload-draft-interop-version': '6', 'upload-complete': '?1' }] as const
  },
  formAppend: async () => {
    return ['POST', '/form/upload/', { 'content-type': 'multipart/form-data; boundary=edge' }] as const
  },
  chunkTasks: async () => {
    return ['POST', '/tasks/direct', { 'content-type': 'multipart/form-data; boundary=edge' }] as const
  }
}

/** Sends a body that does not say how long it is, until the server has had enough of it. */
async function flood (server: TestServer, name: keyof typeof endless, bytes: number): Promise<number> {
  const [method, path, headers] = await endless[name](server)
  const http = await RawHttp.connect(server.port)
  http.request(method, path, { ...headers, 'transfer-encoding': 'chunked' })
  const head = '--edge\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
  if (headers['content-type'].startsWith('multipart')) http.send(`${head.length.toString(16)}\r\n${head}\r\n`)
  http.send(`${bytes.toString(16)}\r\n`)
  const flooding = http.flood(bytes)
  const { status } = await http.reply()
  http.reset()
  await flooding
  return status
}

for (const name of Object.keys(endless) as Array<keyof typeof endless>) {
  t.test(`invariant 11: bytes of unknown number are refused while they come: ${name}`, async t => {
    const server = await serve(t, { maxStored: 3 * MIB })
    t.equal(await flood(server, name, 512 * MIB), name === 'chunkTasks' ? 403 : 413)
    const uploads = await uploadsOf(server)
    t.ok(received(uploads) <= 3 * MIB)
    const reserved = uploads.reduce((sum, upload) => sum + (upload.reserved ?? 0), 0)
    t.ok(reserved <= await bytesOnDisk(server.directory), 'nothing stays reserved but for bytes that are there')
    // Some of the bytes may have been kept, in an upload that the client can go on with.
    for (const { id } of uploads) await server.app.chunkedUpload.remove(id)
    const { status } = await stores.tus(server, 3 * MIB, 'ann')
    t.equal(status, 201)
  })
}

t.test('two servers on one directory keep one quota, whatever comes at the same time', async t => {
  const directory = t.testdir()
  const servers = await Promise.all([0, 1].map(async () => await serve(t, { maxStored: 3 * MIB }, { directory })))
  const all = async <T>(work: (server: TestServer) => ReadonlyArray<Promise<T>>): Promise<T[]> => await Promise.all(servers.flatMap(work))
  const created = await all(server => Array.from({ length: 8 }, async () => (await stores.tus(server, MIB, 'ann')).status))
  t.strictSame(created.sort(), [201, 201, 201, ...Array.from({ length: 13 }, () => 413)])
  const flooded = await all(server => [flood(server, 'rawAppend', 64 * MIB), flood(server, 'tus', 64 * MIB)])
  t.strictSame(flooded, [413, 413, 413, 413])
  const [server] = servers
  if (server === undefined) return
  const anonymous = (await uploadsOf(server)).filter(({ user }) => user === null)
  t.ok(received(anonymous) <= 3 * MIB, String(received(anonymous)))
})

t.test('the limit may depend on the request; what is no limit is a fault of the host', async t => {
  const server = await serve(t, { maxStored: ({ headers }) => Number(headers['x-limit'] ?? NaN) }, { mayFail: true })
  const create = async (limit?: number): Promise<number> => {
    const headers = { ...TUS, 'upload-length': 60, 'x-user': 'ann', ...limit !== undefined && { 'x-limit': limit } }
    return (await server.send('POST', '/tus', { headers })).status
  }
  t.strictSame([await create(59), await create(60), await create(119), await create(120), await create()], [413, 201, 413, 201, 500])
})

t.test("chunkTasks' own quota is asked besides", async t => {
  const server = await startServer(t, {
    maxStored: 4 * MIB, protocols: [chunkTasks({ quota: () => ({ limit: 3, used: 1 }) })]
  }, { before: usersByHeader })
  const create = async (bytes: number): Promise<string> => {
    const { status, json } = await server.send('POST', '/uploads/create', newTask(bytes, 'ann'))
    return `${status} ${Object(json).message ?? ''}`.trim()
  }
  t.equal(await create(2 * MIB + 1), "403 File size 3 MiB is exceeded the user's quota 3 MiB")
  t.strictSame([await create(2 * MIB), await create(2 * MIB)], ['200', '200'])
  t.equal(await create(2 * MIB), "403 File size 2 MiB is exceeded the user's quota 4 MiB")
})

t.test('a form part that comes before its upload is known needs no room beside the one that it takes', async t => {
  const server = await serve(t, { maxStored: 2 * MIB })
  const send = async (bytes: number, id?: string): Promise<Answer> => {
    const file = { name: 'file', filename: 'a.bin', content: Buffer.alloc(bytes) }
    return await server.send('POST', '/form/upload/', form([file, ...id === undefined ? [] : [{ name: 'upload_id', content: id }]]))
  }
  const { status, json: first } = await send(MIB)
  t.equal(status, 200)
  const { upload_id: id } = Object(first)
  t.equal((await send(MIB, String(id))).status, 200)
  t.match(await send(1, String(id)), { status: 413, json: { error: /quota of 2097152 bytes/ } })
  t.match(await send(2 * MIB + 1), { status: 413, json: { error: /quota of 2097152 bytes/ } })
})

t.test('invariant 11: what the server keeps for a moment takes as much room again, and no more, by however many connections', async t => {
  const server = await serve(t, { maxStored: 2 * MIB }, { mayFail: true })
  const task = field(await server.send('POST', '/tasks/create', newTask(2 * MIB, 'eve')), 'task_id')
  const whole = form([{ name: 'chunk', filename: 'b', content: Buffer.alloc(2 * MIB, 1) }])
  const first = { headers: { ...whole.headers, 'x-user': 'eve' }, body: whole.body }
  t.equal((await server.send('POST', `/tasks/chunk/${task}/0`, first)).status, 200)
  const requests = { '/form/upload/': { name: 'file', user: 'ann' }, [`/tasks/chunk/${task}/0`]: { name: 'chunk', user: 'eve' } }
  for (const [url, { name, user }] of Object.entries(requests)) {
    const { headers, body } = form([{ name, filename: 'a.bin', content: Buffer.alloc(1.5 * MIB, 2) }])
    const open = await Promise.all(Array.from({ length: 6 }, async () => await RawHttp.connect(server.port)))
    t.teardown(() => { for (const connection of open) connection.reset() })
    let refused = 0
    for (const connection of open) {
      const type = String(headers?.['content-type'])
      connection.request('POST', url, { 'content-type': type, 'x-user': user, 'content-length': body.length }, body.subarray(0, -100))
      connection.reply().then(({ status }) => { if (status === 413 || status === 503) refused++ }, () => {})
    }
    await until(() => refused >= 4)
    t.ok(await bytesOnDisk(server.directory) <= (user === 'ann' ? 2 : 0) * MIB + 4 * MIB, url)
    for (const connection of open) connection.reset()
    await until(async () => await bytesOnDisk(server.directory) <= 2 * MIB)
  }
})

t.test('invariant 11: bytes of a dropped body count as long as they are in the file', async t => {
  const server = await serve(t, { maxStored: MIB })
  const right = { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': 0 }
  const wrong = { ...right, 'upload-checksum': `sha1 ${'A'.repeat(27)}=` }
  const create = async (): Promise<string> => {
    return String((await server.send('POST', '/tus', { headers: { ...TUS, 'upload-defer-length': 1 } })).headers.location)
  }
  const [first, second] = [await create(), await create()]
  const body = Buffer.alloc(MIB - 1000)
  t.equal((await server.send('PATCH', first, { headers: wrong, body })).status, 460)
  t.equal((await server.send('PATCH', second, { headers: wrong, body })).status, 413)
  t.ok(await bytesOnDisk(server.directory) <= MIB)
  t.equal((await server.send('PATCH', first, { headers: right, body: 'few' })).status, 204)
  t.equal((await server.send('PATCH', second, { headers: right, body })).status, 413, 'a few others are no way round it')
  t.equal((await server.send('PATCH', first, { headers: { ...right, 'upload-offset': 3 }, body })).status, 204, 'others take their place')
  t.equal((await server.send('DELETE', first, { headers: TUS })).status, 204)
  t.equal((await server.send('PATCH', second, { headers: right, body })).status, 204)
})

const final = (...parts: readonly string[]): Record<string, string> => ({ ...TUS, 'upload-concat': `final;${parts.join(' ')}` })

t.test('a final upload of tus counts, in full or in the place of its parts', async t => {
  for (const deletePartials of [false, true]) {
    for (const waits of [false, true]) {
      const server = await serve(t, { maxStored: 10, tus: { deletePartials } })
      const partial = { ...TUS, 'upload-concat': 'partial' }
      const size = waits ? { 'upload-defer-length': 1 } : { 'upload-length': 6 }
      const { headers: { location: part = '' } } = await server.send('POST', '/tus', { headers: { ...partial, ...size } })
      const append = async (): Promise<number> => (await server.send('PATCH', part, {
        headers: { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': 0, 'upload-length': 6 }, body: 'abcdef'
      })).status
      if (!waits) t.equal(await append(), 204)
      const { status, headers: { location: whole = '' } } = await server.send('POST', '/tus', { headers: final(part) })
      t.equal(status, waits || deletePartials ? 201 : 413)
      if (waits) t.equal(await append(), 204)
      if (status !== 201) continue
      const head = async (): Promise<Answer> => await server.send('HEAD', whole, { headers: TUS })
      if (deletePartials) await until(async () => (await head()).headers['upload-offset'] === '6')
      else await until(async () => (await head()).status === 413)
    }
  }
})
