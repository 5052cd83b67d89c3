import { createHash, randomBytes } from 'node:crypto'
import { open, readdir } from 'node:fs/promises'
import path from 'node:path'
import t, { type Test } from 'tap'
import { diskStorage, fileMetadata, type Protocol, rawAppend, type Storage, tus, type Upload } from '../../src/index.js'
import { withDiskFaults } from '../../src/testing/index.js'
import { json, startServer, type TestServer } from '../support/server.js'

const SIZE = 100_000
const SENT = 60_000

const content = randomBytes(SIZE / 2).toString('hex')
const md5 = createHash('md5').update(content).digest('hex')

interface Boot {
  readonly checksum?: false
  readonly durability?: 'process' | 'disk'
  readonly protocols?: readonly Protocol[]
}

type Server = TestServer & { readonly lost: Upload[] }

/** A server in the given boot of a machine, on one directory. */
async function boot (t: Test, directory: string, epoch: string, { durability = 'process', ...options }: Boot = {}): Promise<Server> {
  const disk = diskStorage({ directory, durability })
  const storage: Storage = durability === 'disk' ? disk : { ...disk, epoch }
  const metadata = fileMetadata({ directory: path.join(directory, '.chunked_uploads') })
  const server = await startServer(t, { storage, metadata, downloads: true, ...options }, { directory, mayFail: true })
  const lost: Upload[] = []
  server.app.chunkedUpload.events.on('lost', upload => { lost.push(upload) })
  return { ...server, lost }
}

async function put (server: Server, id: string, [start, end]: readonly [number, number]): Promise<string> {
  const { json: body } = await server.send('PUT', `/uploads/${id}`, {
    headers: { 'content-range': `bytes ${start}-${end - 1}/${SIZE}`, 'content-type': 'application/octet-stream' },
    body: content.slice(start, end)
  })
  return String(Object(body).id)
}

async function offset (server: Server, id: string): Promise<number> {
  return Number(Object((await server.send('GET', `/uploads/${id}`)).json).offset)
}

async function complete (server: Server, id: string, { checksum }: Boot = {}): Promise<number> {
  return (await server.send('POST', `/uploads/${id}`, json(checksum === false ? {} : { md5 }))).status
}

/** Bytes as a file system may leave them: the length is right, they are not. */
async function zero (directory: string, start: number, end: number): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter(({ name }) => /\.(?:part|done)$/.test(name)).map(({ parentPath, name }) => path.join(parentPath, name))
  let changed = 0
  for (const file of files) {
    const handle = await open(file, 'r+')
    if ((await handle.stat()).size >= end) {
      await handle.write(Buffer.alloc(end - start), 0, end - start, start)
      changed++
    }
    await handle.close()
  }
  if (changed !== 1) throw new Error(`${changed} files have these bytes`)
}

for (const options of [{}, { checksum: false }] as const) {
  const kind = 'checksum' in options ? 'without a checksum' : 'with a checksum'

  t.test(`a finished file is not served when a power cut took bytes of it, ${kind}`, async t => {
    for (const damaged of [true, false]) {
      const directory = t.testdir()
      const before = await boot(t, directory, 'one', options)
      const id = await put(before, '', [0, SIZE])
      t.equal(await complete(before, id, options), 200)
      await before.app.close()
      if (damaged) await zero(directory, 50_000, 50_001)
      const after = await boot(t, directory, 'two', options)
      const { status, text } = await after.send('GET', `/uploads/${id}/file`)
      t.equal(status, damaged ? 410 : 200)
      t.equal(text === content, !damaged)
      t.equal(after.lost.length, damaged ? 1 : 0)
      t.equal(after.failures.filter(line => line.includes('finished file')).length, damaged ? 1 : 0)
      const record = await after.app.chunkedUpload.get(id)
      t.match(record, damaged ? { status: 'removed', reason: 'lost' } : { status: 'complete', synced: true })
    }
  })

  t.test(`a server compares by itself what it finds, ${kind}`, async t => {
    const directory = t.testdir()
    const before = await boot(t, directory, 'one', options)
    const id = await put(before, '', [0, SIZE])
    t.equal(await complete(before, id, options), 200)
    await before.app.close()
    await zero(directory, 0, 10)
    const after = await boot(t, directory, 'two', options)
    while (after.lost.length === 0) await new Promise(resolve => { setTimeout(resolve, 10) })
    t.match(after.lost, [{ id, status: 'removed', reason: 'lost' }])
  })

  t.test(`what an unfinished file had is believed where its checksum says so, ${kind}`, async t => {
    for (const [damaged, left] of [[true, 0], [false, SENT]] as const) {
      const directory = t.testdir()
      const before = await boot(t, directory, 'one', options)
      const id = await put(before, '', [0, SENT])
      await before.app.close()
      if (damaged) await zero(directory, 50_000, 50_001)
      const after = await boot(t, directory, 'two', options)
      t.equal(await offset(after, id), left)
      await put(after, id, [left, SIZE])
      t.equal(await complete(after, id, options), 200)
      t.ok((await after.send('GET', `/uploads/${id}/file`)).text === content)
    }
  })
}

t.test('within one boot nothing is compared, and the record says so once the file is on the disk', async t => {
  const directory = t.testdir()
  const server = await boot(t, directory, 'one')
  const id = await put(server, '', [0, SIZE])
  t.equal(await complete(server, id), 200)
  t.match(await server.app.chunkedUpload.get(id), { status: 'complete', epoch: 'one', synced: undefined })
  const synced = async (): Promise<boolean> => {
    const upload = await server.app.chunkedUpload.get(id)
    return upload?.status === 'complete' && upload.synced === true && upload.epoch === undefined
  }
  while (!await synced()) await new Promise(resolve => { setTimeout(resolve, 20) })
  await server.app.close()
  const after = await boot(t, directory, 'two')
  t.equal((await after.send('GET', `/uploads/${id}/file`)).status, 200)
})

t.test("a file of durability 'process' is on the disk before a server of 'disk' says so", async t => {
  const directory = t.testdir()
  const before = await boot(t, directory, 'one')
  const id = await put(before, '', [0, SENT])
  await before.app.close()
  const synced: string[] = []
  await withDiskFaults({ delay: ({ name }) => { if (name === 'datasync') synced.push(name); return 0 } }, async () => {
    const after = await boot(t, directory, 'disk', { durability: 'disk' })
    t.equal(await offset(after, id), SENT)
    t.ok(synced.length > 0)
    t.match(await after.app.chunkedUpload.get(id), { epoch: 'disk' })
    await after.app.close()
  })
})

t.test('what the disk has refused once is never taken to be there', async t => {
  const directory = t.testdir()
  const server = await boot(t, directory, 'one')
  const id = await put(server, '', [0, SIZE])
  t.equal(await complete(server, id), 200)
  await withDiskFaults({ fail: ({ name }) => name === 'datasync' ? 'EIO' : undefined }, async () => {
    await t.rejects(server.app.chunkedUpload.forget(id), { code: 'FST_CHUNKED_UPLOAD_STORAGE' })
  })
  const distrusted = { status: 'complete', synced: undefined, epoch: 'refused in one' }
  t.match(await server.app.chunkedUpload.get(id), distrusted)
  t.equal((await server.send('GET', `/uploads/${id}/file`)).text, content, 'memory has it yet')
  t.match(await server.app.chunkedUpload.get(id), distrusted)
  await zero(directory, 7, 8)
  t.equal((await server.send('GET', `/uploads/${id}/file`)).status, 410, 'it was compared again')
})

t.test('uploads that serve another one are compared, too: a video that was joined from clips', async t => {
  const join = { join: async () => { throw new Error('nothing is joined here') }, jobs: 1 }
  for (const damaged of [true, false]) {
    const directory = t.testdir()
    const protocols = [rawAppend({ join })]
    const before = await boot(t, directory, 'one', { protocols })
    const video = String(Object((await before.send('POST', '/uploads/create_video/')).json).video_id)
    t.equal((await before.send('POST', `/uploads/append_video/${video}/`, { body: content })).status, 200)
    await before.app.close()
    if (damaged) await zero(directory, 5, 6)
    const after = await boot(t, directory, 'two', { protocols })
    const { status, text } = await after.send('GET', `/uploads/get_video/${video}/`)
    t.equal(status === 200, !damaged, `${status}`)
    t.equal(text === content, !damaged)
  }
})

t.test('a part of a file that a power cut took does not go into the whole', async t => {
  const directory = t.testdir()
  const tusHeaders = { 'tus-resumable': '1.0.0' }
  const before = await boot(t, directory, 'one', { protocols: [tus()] })
  const { headers } = await before.send('POST', '/uploads', {
    headers: { ...tusHeaders, 'upload-length': SENT, 'upload-concat': 'partial', 'content-type': 'application/offset+octet-stream' },
    body: content.slice(0, SENT)
  })
  const part = headers.location ?? ''
  await before.app.close()
  await zero(directory, 5, 6)
  const after = await boot(t, directory, 'two', { protocols: [tus()] })
  const whole = await after.send('POST', '/uploads', { headers: { ...tusHeaders, 'upload-concat': `final;${part}` } })
  t.ok(whole.status >= 400 && whole.status < 500, `${whole.status}`)
})
