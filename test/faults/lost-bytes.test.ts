import { createHash, randomBytes } from 'node:crypto'
import { readdir, rm, stat, truncate } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  chunkTasks, contentRange, formAppend, type Protocol, rawAppend, resumableHttp, tus, type Upload
} from '../../src/index.js'
import { RawHttp } from '../support/raw-http.js'
import { type Answer, chunkForm, field, form, json, startServer, type TestServer } from '../support/server.js'

const SIZE = 100_000
/** What was acknowledged when the file lost its end. */
const SENT = 60_000
const LEFT = 45_000

const content = randomBytes(SIZE / 2).toString('hex')
const md5 = createHash('md5').update(content).digest('hex')

/** One client of one protocol, on one upload of {@link SIZE} bytes. */
interface Client {
  /** Creates the upload with its first {@link SENT} bytes. */
  begin (): Promise<void>
  /** Sends the bytes from `start` to `end`. */
  send (start: number, end: number): Promise<Answer>
  /** The offset that the server tells. */
  offset (): Promise<number>
  complete (): Promise<Answer>
  download (): Promise<Answer>
  /** Where the bytes of a {@link Wire.slow} request go. */
  url? (): string
}

interface Wire {
  readonly protocol: Protocol
  /** The offset in a refusal. */
  readonly expected: (answer: Answer) => number
  /** Status of bytes behind those that were lost. */
  readonly refused: number
  readonly client: (server: TestServer) => Client
  /** A request with the rest of the file; left out where its body is a form, which is stored as a whole. */
  readonly slow?: (start: number) => { readonly method: string, readonly headers: Readonly<Record<string, string | number>> }
}

const TUS = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }
const HTTP = { 'upload-draft-interop-version': '9', 'content-type': 'application/partial-upload' }

const wires: Readonly<Record<string, Wire>> = {
  contentRange: {
    protocol: contentRange(),
    refused: 400,
    slow: start => ({
      method: 'PUT', headers: { 'content-range': `bytes ${start}-${SIZE - 1}/${SIZE}`, 'content-type': 'application/octet-stream' }
    }),
    expected: answer => Number(field(answer, 'offset')),
    client (server) {
      let url = '/uploads/'
      const put = async (start: number, end: number): Promise<Answer> => await server.send('PUT', url, {
        headers: { 'content-range': `bytes ${start}-${end - 1}/${SIZE}`, 'content-type': 'application/octet-stream' },
        body: content.slice(start, end)
      })
      return {
        begin: async () => { url += field(await put(0, SENT), 'id') },
        send: put,
        offset: async () => Number(field(await server.send('GET', url), 'offset')),
        complete: async () => await server.send('POST', url, json({ md5 })),
        download: async () => await server.send('GET', `${url}/file`),
        url: () => url
      }
    }
  },
  tus: {
    protocol: tus(),
    refused: 409,
    slow: start => ({ method: 'PATCH', headers: { ...TUS, 'upload-offset': start } }),
    expected: ({ headers }) => Number(headers['upload-offset']),
    client (server) {
      let url = ''
      const patch = async (start: number, end: number): Promise<Answer> => await server.send('PATCH', url, {
        headers: { ...TUS, 'upload-offset': start }, body: content.slice(start, end)
      })
      return {
        begin: async () => {
          const { headers } = await server.send('POST', '/uploads', { headers: { 'tus-resumable': '1.0.0', 'upload-length': SIZE } })
          url = headers.location ?? ''
          await patch(0, SENT)
        },
        send: patch,
        offset: async () => Number((await server.send('HEAD', url, { headers: TUS })).headers['upload-offset']),
        complete: async () => await patch(SIZE, SIZE),
        download: async () => await server.send('GET', url),
        url: () => url
      }
    }
  },
  resumableHttp: {
    protocol: resumableHttp(),
    refused: 409,
    slow: start => ({ method: 'PATCH', headers: { ...HTTP, 'upload-offset': start, 'upload-complete': '?1' } }),
    expected: ({ headers }) => Number(headers['upload-offset']),
    client (server) {
      let url = ''
      const patch = async (start: number, end: number): Promise<Answer> => await server.send('PATCH', url, {
        headers: { ...HTTP, 'upload-offset': start, 'upload-complete': end === SIZE ? '?1' : '?0' }, body: content.slice(start, end)
      })
      return {
        begin: async () => {
          const headers = { ...HTTP, 'upload-complete': '?0', 'upload-length': SIZE, 'content-type': 'text/plain' }
          url = new URL((await server.send('POST', '/uploads', { headers })).headers.location ?? '', server.url).pathname
          await patch(0, SENT)
        },
        send: patch,
        offset: async () => {
          const headers = { 'upload-draft-interop-version': '9' }
          return Number((await server.send('HEAD', url, { headers })).headers['upload-offset'])
        },
        complete: async () => await patch(SIZE, SIZE),
        download: async () => await server.send('GET', url),
        url: () => url
      }
    }
  },
  formAppend: {
    protocol: formAppend(),
    refused: 400,
    expected: answer => Number(field(answer, 'offset')),
    client (server) {
      let id = ''
      const post = async (start: number, end: number): Promise<Answer> => await server.send('POST', '/uploads/upload/', chunkForm(
        content.slice(start, end), undefined, id === '' ? [] : [{ name: 'upload_id', content: id }, { name: 'offset', content: `${start}` }]
      ))
      return {
        begin: async () => { id = field(await post(0, SENT), 'upload_id') },
        send: post,
        offset: async () => {
          const record = await server.app.chunkedUpload.get(id.replaceAll('-', ''))
          return record?.received[0]?.[1] ?? 0
        },
        complete: async () => await server.send('POST', '/uploads/upload/complete/', json({ upload_id: id })),
        download: async () => await server.send('GET', `/uploads/videos/${id}/`)
      }
    }
  }
}

/** The one file of upload bytes below a folder. */
async function fileOf (directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const [file] = entries.filter(({ name }) => /\.(?:part|done)$/.test(name))
  if (file === undefined) throw new Error('there is no file')
  return path.join(file.parentPath, file.name)
}

async function start (t: Test, protocol: Protocol): Promise<TestServer & { readonly lost: Upload[] }> {
  const server = await startServer(t, { protocols: [protocol], downloads: true }, { mayFail: true })
  const lost: Upload[] = []
  server.app.chunkedUpload.events.on('lost', upload => { lost.push(upload) })
  return { ...server, lost }
}

for (const [name, { protocol, client: clientOf, refused, expected }] of Object.entries(wires)) {
  t.test(`${name}: bytes that an unfinished file lost are asked for again, whatever comes first`, async t => {
    for (const first of ['send', 'offset'] as const) {
      await t.test(`${first} first`, async t => {
        const server = await start(t, protocol)
        const client = clientOf(server)
        await client.begin()
        t.equal(await client.offset(), SENT)
        await truncate(await fileOf(server.directory), LEFT)
        if (first === 'send') {
          const answer = await client.send(SENT, SIZE)
          t.equal(answer.status, refused, answer.text)
          t.equal(expected(answer), LEFT)
        }
        t.equal(await client.offset(), LEFT)
        t.equal(server.lost.length, 1)
        t.ok((await client.send(LEFT, SIZE)).status < 300)
        const done = await client.complete()
        t.ok(done.status < 300, done.text)
        const { status, text } = await client.download()
        t.equal(status, 200)
        t.ok(text === content, `the file is right: ${text.length}`)
      })
    }
  })

  t.test(`${name}: a finished file that lost bytes is gone before a reply begins`, async t => {
    for (const size of [SIZE - 1, 0]) {
      await t.test(`${size} bytes are left`, async t => {
        const server = await start(t, protocol)
        const client = clientOf(server)
        await client.begin()
        await client.send(SENT, SIZE)
        await client.complete()
        t.equal((await client.download()).text, content)
        await truncate(await fileOf(server.directory), size)
        for (let turn = 0; turn < 2; turn++) {
          const { status, text } = await client.download()
          t.ok([404, 410].includes(status), `${status}`)
          t.ok(!text.includes(content.slice(0, 100)))
        }
        t.match(server.lost, [{ status: 'removed', reason: 'lost' }])
        t.equal(server.failures.filter(line => line.includes('finished file')).length, 1, 'it is logged')
      })
    }
  })

  t.test(`${name}: an unfinished upload without its file is gone`, async t => {
    const server = await start(t, protocol)
    const client = clientOf(server)
    await client.begin()
    await rm(await fileOf(server.directory))
    const { status } = await client.send(SENT, SIZE)
    t.ok([404, 410].includes(status), `${status}`)
    t.match(server.lost, [{ status: 'removed', reason: 'lost' }])
  })
}

for (const [name, { protocol, client: clientOf, slow, refused }] of Object.entries(wires)) {
  if (slow === undefined) continue
  t.test(`${name}: bytes that are lost while a body comes are asked for again`, async t => {
    // Bytes of the body itself, and of one before.
    for (const left of [SENT + 10_000, LEFT]) {
      await t.test(`${left} bytes are left`, async t => {
        const server = await start(t, protocol)
        const client = clientOf(server)
        await client.begin()
        const connection = await RawHttp.connect(server.port)
        t.teardown(() => { connection.reset() })
        const { method, headers } = slow(SENT)
        connection.request(method, client.url?.() ?? '', { ...headers, 'content-length': SIZE - SENT }, content.slice(SENT, 80_000))
        const file = await fileOf(server.directory)
        while ((await stat(file)).size < 80_000) await sleep(5)
        await truncate(file, left)
        connection.send(content.slice(80_000))
        const answer = await connection.reply()
        t.equal(answer.status, refused, answer.body)
        t.equal(await client.offset(), left)
        t.ok((await client.send(left, SIZE)).status < 300)
        const done = await client.complete()
        t.ok(done.status < 300, done.text)
        t.ok((await client.download()).text === content, 'the file is right')
      })
    }
  })
}

t.test('contentRange: a completion does not certify what the file lacks', async t => {
  const server = await start(t, contentRange())
  const put = async (path: string, start: number, end: number): Promise<Answer> => await server.send('PUT', `/uploads/${path}`, {
    headers: { 'content-range': `bytes ${start}-${end - 1}/${SIZE}`, 'content-type': 'application/octet-stream' },
    body: content.slice(start, end)
  })
  const id = field(await put('', 0, SIZE), 'id')
  await truncate(await fileOf(server.directory), LEFT)
  const refused = await server.send('POST', `/uploads/${id}`, json({ md5 }))
  t.ok(refused.status === 400 || refused.status === 409, refused.text)
  t.equal(field(await server.send('GET', `/uploads/${id}`), 'offset'), String(LEFT))
  t.equal((await put(id, LEFT, SIZE)).status, 200)
  t.equal((await server.send('POST', `/uploads/${id}`, json({ md5 }))).status, 200)
  t.ok((await server.send('GET', `/uploads/${id}/file`)).text === content)
})

t.test('chunkTasks: chunks that the file lost are missing again', async t => {
  const server = await start(t, chunkTasks({ chunkSize: 10_000 }))
  const draft = { hash: '', file_name: 'a.bin', file_size: SIZE, content_type: 'application/octet-stream' }
  const task = field(await server.send('POST', '/uploads/create', json(draft)), 'task_id')
  const send = async (index: number): Promise<Answer> => {
    const chunk = { name: 'chunk', filename: 'b', content: content.slice(index * 10_000, (index + 1) * 10_000) }
    return await server.send('POST', `/uploads/chunk/${task}/${index}`, form([chunk]))
  }
  for (const index of [9, 0, 1, 2, 3, 4, 5]) t.equal((await send(index)).status, 200)
  const file = await fileOf(server.directory)
  await truncate(file, 25_000)
  t.equal((await send(6)).status, 200, 'a chunk of its own is taken')
  for (const index of [7, 8]) t.equal((await send(index)).status, 200)
  const early = await server.send('POST', `/uploads/complete/${task}`)
  t.ok(early.status >= 400 && early.status < 500, early.text)
  for (const index of [2, 3, 4, 5, 9]) t.equal((await send(index)).status, 200)
  const done = await server.send('POST', `/uploads/complete/${task}`)
  t.equal(done.status, 200, done.text)
  for await (const upload of server.app.chunkedUpload.list({ status: 'complete' })) {
    const parts: Buffer[] = []
    for await (const data of server.app.chunkedUpload.read(upload)) parts.push(Buffer.from(data))
    t.ok(Buffer.concat(parts).toString() === content)
  }
  const download = `/uploads/file/${field(done, 'id')}`
  t.ok((await server.send('GET', download)).text === content)
  await truncate(await fileOf(server.directory), SIZE - 1)
  t.ok([404, 410].includes((await server.send('GET', download)).status))
})

t.test('a client that appends without asking for the offset may not go on after lost bytes', async t => {
  const video = await start(t, rawAppend())
  const id = field(await video.send('POST', '/uploads/create_video/'), 'video_id')
  const append = async (bytes: string): Promise<Answer> => await video.send('POST', `/uploads/append_video/${id}/`, { body: bytes })
  t.equal((await append(content.slice(0, SENT))).status, 200)
  await truncate(await fileOf(video.directory), LEFT)
  t.ok([404, 410].includes((await video.send('GET', `/uploads/get_video/${id}/`)).status), 'nor is a part of it served as the video')
  for (let turn = 0; turn < 3; turn++) t.ok((await append(content.slice(SENT))).status >= 400)

  const server = await start(t, formAppend())
  const post = async (start: number, end: number, uploadId?: string): Promise<Answer> => {
    const fields = uploadId === undefined ? [] : [{ name: 'upload_id', content: uploadId }]
    return await server.send('POST', '/uploads/upload/', chunkForm(content.slice(start, end), undefined, fields))
  }
  const uploadId = field(await post(0, SENT), 'upload_id')
  await truncate(await fileOf(server.directory), LEFT)
  for (let turn = 0; turn < 3; turn++) {
    t.ok((await post(SENT, SIZE, uploadId)).status >= 400)
    t.ok((await server.send('POST', '/uploads/upload/complete/', json({ upload_id: uploadId }))).status >= 400, 'it is not complete either')
  }
})
