import t, { type Test } from 'tap'
import {
  chunkTasks, type ChunkedUploadOptions, contentRange, diskStorage, formAppend, resumableHttp, tus, type UntypedFile
} from '../src/index.js'
import { encryptedStorage } from '../src/storage/encrypted/index.js'
import { chunkForm, field, form, json, startServer, type Answer, type TestServer } from './support/server.js'

const PNG = Buffer.from('\x89PNG\r\n\x1a\nand more', 'latin1')
const TEXT = Buffer.from('only some text..')
const OCTETS = 'application/octet-stream'
const tusHeaders = { 'tus-resumable': '1.0.0' }

/** What a client sends of a file; `type` is what it declares. */
interface Sent {
  readonly name: string
  readonly type: string | undefined
  readonly bytes: Buffer
}

type Send = (server: TestServer, file: Sent) => Promise<Answer>

/** Each sends a whole file, in one request or more, and gives the answer that refused it or the last one. */
const senders: Readonly<Record<string, Send>> = {
  'contentRange by form': async (server, { name, type = OCTETS, bytes }) => {
    return await server.send('POST', '/uploads/range/', form([{ name: 'file', filename: name, type, content: bytes }]))
  },
  'contentRange by raw bodies': async (server, { name, type, bytes }) => {
    const part = async (url: string, start: number, end: number): Promise<Answer> => await server.send('PUT', url, {
      headers: {
        ...type !== undefined && { 'content-type': type },
        'content-disposition': `attachment; filename="${name}"`,
        'content-range': `bytes ${start}-${end - 1}/${bytes.length}`
      },
      body: bytes.subarray(start, end)
    })
    const first = await part('/uploads/range/', 0, 3)
    if (first.status >= 300) return first
    const url = `/uploads/range/${field(first, 'id')}`
    await part(url, 3, bytes.length)
    return await server.send('POST', url, json({}))
  },
  tus: async (server, { name, type, bytes }) => {
    const metadata = [['filename', name], ...type === undefined ? [] : [['filetype', type]]] as const
    const headers = {
      ...tusHeaders,
      'upload-length': bytes.length,
      'upload-metadata': metadata.map(([key = '', value = '']) => `${key} ${btoa(value)}`).join(',')
    }
    const created = await server.send('POST', '/uploads/tus', { headers })
    if (created.status >= 300) return created
    const patch = { ...tusHeaders, 'upload-offset': 0, 'content-type': 'application/offset+octet-stream' }
    return await server.send('PATCH', String(created.headers.location), { headers: patch, body: bytes })
  },
  resumableHttp: async (server, { name, type, bytes }) => await server.send('POST', '/uploads/resumable', {
    headers: {
      'upload-complete': '?1',
      ...type !== undefined && { 'content-type': type },
      'content-disposition': `attachment; filename="${name}"`
    },
    body: bytes
  }),
  formAppend: async (server, { name, type = OCTETS, bytes }) => {
    const first = await server.send('POST', '/uploads/form/upload/', form([{ name: 'file', filename: name, type, content: bytes }]))
    if (first.status >= 300) return first
    return await server.send('POST', '/uploads/form/upload/complete/', json({ upload_id: field(first, 'upload_id') }))
  },
  chunkTasks: async (server, { name, type = OCTETS, bytes }) => {
    const created = await server.send('POST', '/uploads/tasks/create', json({
      hash: '', file_name: name, file_size: bytes.length, content_type: type
    }))
    if (created.status >= 300) return created
    const task = field(created, 'task_id')
    await server.send('POST', `/uploads/tasks/chunk/${task}/0`, form([{ name: 'chunk', filename: 'blob', content: bytes }]))
    return await server.send('POST', `/uploads/tasks/complete/${task}`)
  }
}

/** A host that knows PNG by its first bytes, and `.txt` by its name. */
async function serve (
  t: Test, options: ChunkedUploadOptions = {}
): Promise<{ readonly server: TestServer, readonly asked: readonly UntypedFile[] }> {
  const asked: UntypedFile[] = []
  const server = await startServer(t, {
    checksum: false,
    allowedTypes: ['image/*'],
    detectType: file => {
      asked.push(file)
      if (file.bytes === null) return file.filename.endsWith('.txt') ? 'text/plain' : undefined
      return Buffer.from(file.bytes).toString('latin1', 1, 4) === 'PNG' ? 'image/png' : null
    },
    protocols: [
      contentRange({ prefix: '/range' }), tus({ prefix: '/tus' }), resumableHttp({ prefix: '/resumable' }), formAppend({ prefix: '/form' }),
      chunkTasks({ prefix: '/tasks' })
    ],
    ...options
  })
  return { server, asked }
}

async function uploadsOf (server: TestServer): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const { status, contentType } of server.app.chunkedUpload.list()) found.push([status, contentType])
  return found
}

for (const [says, send] of Object.entries(senders)) {
  t.test(`${says}: what the client does not declare is detected, and allowed or not`, async t => {
    t.test('by the first bytes, before onComplete', async t => {
      const seen: unknown[] = []
      const { server, asked } = await serve(t, { onComplete: ({ contentType }) => { seen.push(contentType) } })
      const answer = await send(server, { name: 'picture', type: undefined, bytes: PNG })
      t.ok(answer.status < 300, answer.text)
      t.strictSame(await uploadsOf(server), [['complete', 'image/png']])
      t.strictSame(seen, ['image/png'])
      t.strictSame(asked.map(({ bytes }) => bytes && Buffer.from(bytes)), [null, PNG])
    })
    t.test('by the first bytes, where the file is not allowed', async t => {
      const { server } = await serve(t, { onComplete: () => { t.fail('the host is asked') } })
      t.equal((await send(server, { name: 'picture', type: undefined, bytes: TEXT })).status, 415)
      for (const upload of await uploadsOf(server)) t.match(upload, ['uploading'])
    })
    t.test('by the name, before a byte is stored', async t => {
      const { server, asked } = await serve(t)
      t.equal((await send(server, { name: 'words.txt', type: undefined, bytes: PNG })).status, 415)
      t.strictSame(asked, [{ filename: 'words.txt', bytes: null }])
      t.strictSame(await uploadsOf(server), [])
    })
    t.test('a declared type stays, and is not looked at', async t => {
      const { server, asked } = await serve(t)
      t.ok((await send(server, { name: 'a.txt', type: 'image/x-own', bytes: TEXT })).status < 300)
      t.equal((await send(server, { name: 'a', type: 'text/x-own', bytes: PNG })).status, 415)
      t.strictSame(await uploadsOf(server), [['complete', 'image/x-own']])
      t.strictSame(asked, [])
    })
  })
}

t.test('an empty file has no bytes to look at, and an encrypted one shows none', async t => {
  const storage = encryptedStorage(diskStorage({ directory: t.testdir() }))
  const { server, asked } = await serve(t, {
    storage, allowedTypes: () => true, protocols: [tus({ prefix: '/tus' }), chunkTasks({ prefix: '/tasks', encryption: storage })]
  })
  await server.send('POST', '/uploads/tus', { headers: { ...tusHeaders, 'upload-length': 0 } })
  const created = await server.send('POST', '/uploads/tasks/create', json({
    hash: '', file_name: 'a', file_size: 5, content_type: OCTETS, encrypt_password: 'a secret'
  }))
  const task = field(created, 'task_id')
  await server.send('POST', `/uploads/tasks/chunk/${task}/0`, form([{ name: 'chunk', filename: 'blob', content: 'clear' }]))
  t.equal((await server.send('POST', `/uploads/tasks/complete/${task}`)).status, 200)
  t.strictSame(asked.map(({ bytes }) => bytes?.length), [undefined, 0, undefined, 0])
})

t.test('what is no media type is an error of the host', async t => {
  for (const type of ['png', 5, '']) {
    const server = await startServer(t, {
      protocols: [contentRange()], detectType: () => Object(type).valueOf()
    }, { mayFail: true, directory: t.testdir() })
    const answer = await server.send('PUT', '/uploads/', chunkForm('a', 'bytes 0-0/2'))
    t.equal(answer.status, 500, String(type))
    t.match(answer.text, /detectType.* must return a media type/)
    t.strictSame(await uploadsOf(server), [])
  }
})
