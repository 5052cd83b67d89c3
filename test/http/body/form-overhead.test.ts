import t from 'tap'
import { chunkTasks, contentRange, formAppend, memoryMetadata, memoryStorage, rawAppend } from '../../../src/index.js'
import { changedStorage, until } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { field, form, json, startServer, type TestServer } from '../../support/server.js'

// Bytes of a form that are neither its fields nor its file may be 1 MiB, all together.
const MUCH = 4 * 1024 * 1024
const BOUNDARY = 'limit'
const headOf = (name: string, filename = ''): string => {
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${filename === '' ? '' : `; filename="${filename}"`}\r\n`
}
const note = `${headOf('note')}\r\nx\r\n`

const kinds: ReadonlyArray<readonly [title: string, before: string]> = [
  ['before the first boundary', ''],
  ['in the head of a part', `${note}${headOf('note')}X: `],
  ['in the name of a part', headOf('note').slice(0, -3)],
  ['in a file that is not wanted', `${note}${headOf('thumbnail', 'a.png')}\r\n`],
  ['in many heads', note.repeat(50)]
]

interface Target {
  readonly name: string
  readonly method: string
  readonly url: (server: TestServer) => Promise<string>
  readonly headers?: Readonly<Record<string, string>>
}

const targets: readonly Target[] = [
  { name: 'contentRange', method: 'PUT', url: async () => '/content-range/', headers: { 'content-range': 'bytes 0-9/20' } },
  { name: 'contentRange, in one request', method: 'POST', url: async () => '/content-range/' },
  { name: 'formAppend', method: 'POST', url: async () => '/form/upload/' },
  { name: 'formAppend, completion', method: 'POST', url: async () => '/form/upload/complete/' },
  {
    name: 'chunkTasks',
    method: 'POST',
    url: async server => {
      const wanted = { hash: '', file_name: 'a', file_size: 15, content_type: 'a/b', chunk_size: 10 }
      return `/tasks/chunk/${field(await server.send('POST', '/tasks/create', json(wanted)), 'task_id')}/0`
    }
  },
  {
    name: 'rawAppend',
    method: 'POST',
    url: async server => {
      await server.send('POST', '/raw/create_video/')
      return '/raw/append_video/1/'
    }
  }
]

for (const { name, method, url, headers } of targets) {
  t.test(`invariants 6, 11: what a form brings beside its fields and its file is limited: ${name}`, async t => {
    const server = await startServer(t, {
      prefix: '/',
      protocols: [
        contentRange({ prefix: '/content-range' }), formAppend({ prefix: '/form' }), chunkTasks({ prefix: '/tasks' }),
        rawAppend({ prefix: '/raw' })
      ]
    })
    const path = await url(server)
    for (const [title, before] of kinds) {
      // There the first file is wanted, whatever its name.
      if (name === 'rawAppend' && title.includes('not wanted')) continue
      const http = await RawHttp.connect(server.port)
      const type = `multipart/form-data; boundary=${BOUNDARY}`
      http.request(method, path, { 'content-type': type, 'content-length': MUCH, ...headers }, before)
      const reply = http.reply()
      await http.flood(MUCH - before.length)
      const { status, body } = await reply
      t.equal(status, 413, `${title}: ${body}`)
      t.match(body, 'beside its fields and its file')
      t.equal((await http.request('OPTIONS', path).reply()).status, 204, 'the connection goes on')
      http.socket.destroy()
    }
  })
}

t.test('what follows the last boundary is not read beyond that, and changes nothing', async t => {
  const storage = memoryStorage()
  let open = (): void => {}
  const sent = new Promise<void>(resolve => { open = resolve })
  const late = changedStorage(storage, {
    create: async (...upload) => {
      await sent
      return await storage.create(...upload)
    }
  })
  const protocols = [contentRange({ checksum: false })]
  const server = await startServer(t, { prefix: '/', storage: late, metadata: memoryMetadata(), protocols })
  const { headers, body } = form([{ name: 'file', filename: 'a', content: 'ten bytes.' }])
  for (const waits of [true, false]) {
    const http = await RawHttp.connect(server.port)
    t.teardown(() => { http.socket.destroy() })
    http.request('POST', '/', { 'content-type': String(headers['content-type']), 'content-length': body.length + MUCH }, body)
    const reply = http.reply()
    const flooded = http.flood(MUCH)
    // More than the limit has come before the file is read.
    if (waits) await until(() => http.socket.bytesWritten > 1.1 * 1024 * 1024)
    open()
    const { status, body: text } = await reply
    t.equal(status, 200, text)
    await flooded
    t.equal((await http.request('OPTIONS', '/').reply()).status, 204, 'the connection goes on')
  }
})
