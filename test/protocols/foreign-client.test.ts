import t, { type Test } from 'tap'
import { chunkTasks, contentRange, formAppend, rawAppend, resumableHttp, tus } from '../../src/index.js'
import { newTask } from '../support/chunk-tasks.js'
import { type FormPart, type Message, type TestServer, field, form, startServer, usersByHeader } from '../support/server.js'

const text = (name: string, content: string | number): FormPart => ({ name, content: String(content) })

/** What each client sends with its second chunk of three. */
const INDEXED: ReadonlyArray<readonly [client: string, fields: readonly FormPart[]]> = [
  ['Dropzone', [text('dzuuid', 'a-b'), text('dzchunkindex', 1), text('dztotalchunkcount', 3), text('dzchunkbyteoffset', 5)]],
  ['Resumable.js', [text('resumableChunkNumber', 2), text('resumableTotalChunks', 3), text('resumableIdentifier', '15-x')]],
  ['Flow.js', [text('flowChunkNumber', 2), text('flowTotalChunks', 3), text('flowIdentifier', '15-x')]],
  ['simple-uploader.js', [text('chunkNumber', 2), text('totalChunks', 3), text('identifier', '15-x')]],
  ['Fine Uploader', [text('qqpartindex', 1), text('qqpartbyteoffset', 5), text('qqtotalparts', 3)]],
  ['Plupload', [text('name', 'x'), text('chunk', 1), text('chunks', 3)]],
  ['ng-file-upload', [text('_chunkSize', 5), text('_chunkNumber', 1), text('_totalSize', 15)]]
]

/** Fields of the header by which the others tell of a chunk. */
const BY_HEADER: ReadonlyArray<readonly [client: string, mounts: RegExp, headers: Readonly<Record<string, string>>]> = [
  ['tus', /^(?!tus)/, { 'tus-resumable': '1.0.0', 'upload-offset': '5' }],
  ['Resumable Uploads for HTTP', /^(?!resumable)/, { 'upload-complete': '?0' }],
  ['Resumable Uploads for HTTP', /^(?!resumable)/, { 'upload-incomplete': '?1' }],
  ['tus or Resumable Uploads for HTTP', /^(?!resumable|tus)/, { 'upload-offset': '5' }],
  ['contentRange', /^(?!ranges|form)/, { 'content-range': 'bytes 5-9/15' }],
  ['FilePond', /./, { 'upload-name': 'x.bin', 'upload-length': '15' }],
  ['huge-uploader', /./, { 'uploader-chunk-number': '1', 'uploader-chunks-total': '3' }]
]

interface MountOf {
  readonly path: string
  /** Name of the part that the mount takes for the file; undefined where it takes bodies as they are. */
  readonly part?: string
}

async function serveAll (t: Test): Promise<{ server: TestServer, mounts: Readonly<Record<string, MountOf>> }> {
  const server = await startServer(t, {
    protocols: [
      contentRange({ prefix: '/ranges', checksum: false }), tus({ prefix: '/tus' }), resumableHttp({ prefix: '/resumable' }),
      formAppend({ prefix: '/form' }), chunkTasks({ prefix: '/tasks' }), rawAppend({ prefix: '/raw' })
    ]
  }, { before: usersByHeader })
  const video = field(await server.send('POST', '/uploads/raw/create_video/', { headers: { 'x-user': 'ann' } }), 'video_id')
  return {
    server,
    mounts: {
      ranges: { path: '/uploads/ranges/', part: 'file' },
      form: { path: '/uploads/form/upload/', part: 'file' },
      direct: { path: '/uploads/tasks/direct', part: 'file' },
      raw: { path: `/uploads/raw/append_video/${video}/`, part: 'x' },
      tus: { path: '/uploads/tus/' },
      resumable: { path: '/uploads/resumable/' }
    }
  }
}

/** Bytes and statuses of what is stored. */
async function stored ({ app }: TestServer): Promise<string> {
  const seen: string[] = []
  for await (const { size, status, received } of app.chunkedUpload.list()) seen.push(`${status} ${size} ${JSON.stringify(received)}`)
  return seen.join('; ')
}

t.test('a chunk of a client that counts its chunks is refused by all protocols, and its list is no "have it"', async t => {
  const { server, mounts } = await serveAll(t)
  const before = await stored(server)
  const send = async (method: string, path: string, { headers, body }: Message) => {
    return await server.send(method, path, { headers: { ...headers, 'x-user': 'ann' }, ...body !== undefined && { body } })
  }
  for (const [client, fields] of INDEXED) {
    const named = new RegExp(`one of ${client.replace('.', '\\.')} \\(.*use a client of tus\\(\\)`)
    const query = new URLSearchParams(Object.fromEntries(fields.map(({ name, content }) => [name, String(content)]))).toString()
    for (const [mount, { path, part }] of Object.entries(mounts)) {
      const raw = await send('POST', `${path}?${query}`, { headers: { 'content-type': 'application/octet-stream' }, body: 'bytes' })
      t.match(raw, { status: 400, text: named }, `${client} at ${mount}, query`)
      if (part === undefined) continue
      const file = { name: part, filename: 'x.bin', content: 'bytes' }
      for (const parts of [[...fields, file], [file, ...fields]]) {
        t.match(await send('POST', path, form(parts)), { status: 400, text: named }, `${client} at ${mount}`)
      }
    }
    for (const list of ['ranges/', 'form/videos/', 'tasks/tasks']) {
      t.match(await send('GET', `/uploads/${list}?${query}`, {}), { status: 400, text: named }, `${client} asks ${list}`)
    }
  }
  t.equal(await stored(server), before)
})

t.test('a request with the header of another protocol is refused, with that protocol in the text', async t => {
  const { server, mounts } = await serveAll(t)
  const before = await stored(server)
  for (const [client, at, marks] of BY_HEADER) {
    for (const [mount, { path, part }] of Object.entries(mounts).filter(([mount]) => at.test(mount))) {
      const { headers, body } = part === undefined
        ? { headers: { 'content-type': 'application/octet-stream' }, body: 'bytes' }
        : form([{ name: part, filename: 'x.bin', content: 'bytes' }])
      const answer = await server.send('POST', path, { headers: { ...headers, ...marks, 'x-user': 'ann' }, body })
      t.equal(answer.status, 400, `${client} at ${mount}: ${answer.text}`)
      t.match(answer.text, `looks like one of ${client} (it has ${Object.keys(marks)[0]})`)
    }
  }
  t.equal(await stored(server), before)
})

t.test('chunks by POST become no files where no checksum guards them, and a form is no file', async t => {
  const { server } = await serveAll(t)
  const before = await stored(server)
  const message = form([{ name: 'file', filename: 'x.bin', content: 'bytes' }])
  const part = (range: string) => ({ ...message, headers: { ...message.headers, 'content-range': range } })
  for (const range of ['bytes 0-4/15', 'bytes 5-9/15']) {
    t.match(await server.send('POST', '/uploads/ranges/', part(range)), { status: 400, text: /by PUT, or serve contentRange/ })
  }
  t.match(await server.send('POST', '/uploads/form/upload/', part('bytes 5-9/15')), { status: 400, text: /add the upload_id/ })
  t.match(await server.send('POST', '/uploads/resumable/', message), { status: 400, text: /this one is a form/ })
  t.equal(await stored(server), before)
  t.equal((await server.send('POST', '/uploads/ranges/', part('bytes 0-4/5'))).status, 200, 'a whole file is none')
})

t.test('what every server may take is taken: a client that tries to resume, and fields that only look like a mark', async t => {
  const { server, mounts } = await serveAll(t)
  const file = { name: 'file', filename: 'x.bin', content: 'bytes' }
  const { headers, body } = form([text('chunk', 1), text('chunkNumber', 1), text('name', 'x'), file])
  for (const mount of ['ranges', 'form', 'direct', 'raw'] as const) {
    const message = { headers: { ...headers, 'x-user': 'ann', 'upload-complete': '?1', 'upload-draft-interop-version': '6' }, body }
    t.equal((await server.send('POST', mounts[mount]?.path ?? '', message)).status, 200, mount)
  }
})

t.test('a chunk whose mark comes after it is refused where the chunk is stored already', async t => {
  const { server } = await serveAll(t)
  const send = async (method: string, path: string, message: Message = {}) => {
    return await server.send(method, path.replace('/uploads/', '/uploads/tasks/'), message)
  }
  const task = await newTask({ send }, { file_size: 5 })
  const { headers, body } = form([{ name: 'chunk', filename: 'blob', content: 'bytes' }, text('dzuuid', 'a')])
  t.match(await send('POST', `/uploads/chunk/${task}/0`, { headers: { ...headers, 'x-user': 'ann' }, body }), { status: 400, text: /Dropzone/ })
})
