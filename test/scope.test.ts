import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { chunkTasks, chunkedUpload, type ChunkedUploadOptions, contentRange, rawAppend, tus } from '../src/index.js'
import type { Upload } from '../src/upload.js'
import { upload as uploadTask, create as createTask, hashOf, members } from './support/chunk-tasks.js'
import { type Host, faults, hostOf } from './support/host.js'
import { startServer, type TestServer, usersByHeader } from './support/server.js'
import { VERSION } from './support/tus.js'

const octets = 'application/octet-stream'

interface Stored {
  readonly status: number
  readonly body: unknown
  readonly id: string
}

async function put (host: Host, url: string, text: string, range: string, type = octets): Promise<Stored> {
  const headers = { 'content-type': type, 'content-range': `bytes ${range}` }
  const reply = await host.app.inject({ method: 'PUT', url, headers, payload: Buffer.from(text) })
  return { status: reply.statusCode, body: reply.json(), id: reply.json().id }
}

async function complete (host: Host, url: string, text: string): Promise<number> {
  const reply = await host.app.inject({ method: 'POST', url, payload: { md5: hashOf('md5', text) } })
  return reply.statusCode
}

async function idsOf (uploads: { list (): AsyncIterable<Upload> }): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of uploads.list()) ids.push(id)
  return ids
}

/** `/files` takes all, `/avatars` only small pictures. */
async function filesAndAvatars (t: Test, options: ChunkedUploadOptions = {}): Promise<Host & { readonly done: string[] }> {
  const done: string[] = []
  const host = await hostOf(t, async app => {
    const note = (name: string) => ({ onComplete: ({ id }: Upload) => { done.push(`${name} ${id}`) } })
    await app.register(chunkedUpload, { prefix: '/files', ...note('files'), ...options })
    await app.register(chunkedUpload, {
      prefix: '/avatars', name: 'avatars', maxBytes: 6, allowedTypes: ['image/*'], maxOpenUploads: 1, ...note('avatars'), ...options
    })
  })
  return { ...host, done }
}

t.test('an upload is unknown to another registration on the same directory', async t => {
  const directory = t.testdir()
  const host = await filesAndAvatars(t, { directory })
  const { id } = await put(host, '/files/', 'abc', '0-2/6', 'text/html')
  t.equal((await put(host, `/avatars/${id}/`, 'def', '3-5/6')).status, 404)
  t.equal((await put(host, `/files/${id}/`, 'def', '3-5/6')).status, 200)
  t.equal(await complete(host, `/avatars/${id}/`, 'abcdef'), 404)
  t.equal((await host.app.inject(`/avatars/${id}/`)).statusCode, 404)
  t.equal(await complete(host, `/files/${id}/`, 'abcdef'), 200)
  t.strictSame(host.done, [`files ${id}`])

  const avatars: unknown = Reflect.get(host.app, 'avatars')
  if (!isHostUploads(avatars)) throw new Error('it is registered')
  t.equal(await avatars.get(id), undefined)
  t.strictSame(await idsOf(avatars), [])
  await t.rejects(avatars.remove(id), { code: 'FST_CHUNKED_UPLOAD_NOT_FOUND' })
  t.strictSame(await idsOf(host.app.chunkedUpload), [id])
  await put(host, '/files/', 'abc', '0-2/6')
  t.equal((await put(host, '/avatars/', 'abc', '0-2/4', 'image/png')).status, 200, 'open uploads of others do not count')
  t.strictSame(faults(host.log), [])
})

function isHostUploads (value: unknown): value is Host['app']['chunkedUpload'] {
  return typeof value === 'object' && value !== null && 'deleteExpired' in value
}

t.test('two registrations of one scope share their uploads, in one app and in several', async t => {
  const directory = t.testdir()
  const [one, two] = [await filesAndAvatars(t, { directory, scope: 'all' }), await filesAndAvatars(t, { directory, scope: 'all' })]
  const { id } = await put(one, '/files/', 'ab', '0-1/4')
  t.match((await put(one, `/avatars/${id}/`, 'c', '2-2/4')).body, { offset: 3 })
  t.match((await put(two, `/avatars/${id}/`, 'd', '3-3/4')).body, { offset: 4 })
  t.strictSame(await idsOf(two.app.chunkedUpload), [id])
})

t.test('the scope is the same in each server and after a restart, and follows an explicit name', async t => {
  const directory = t.testdir()
  const first = await filesAndAvatars(t, { directory })
  const { id } = await put(first, '/files/', 'abc', '0-2/6')
  const second = await filesAndAvatars(t, { directory })
  t.match((await second.app.inject(`/files/${id}/`)).json(), { offset: 3 })
  t.equal((await first.app.chunkedUpload.get(id))?.scope, 'chunkedUpload:/files')
  // The same routes, made of two prefixes.
  const nested = await hostOf(t, async app => {
    await app.register(async app => { await app.register(chunkedUpload, { directory, prefix: 'files/' }) }, { prefix: '/' })
  })
  t.match((await nested.app.inject(`/files/${id}/`)).json(), { offset: 3 })
  const moved = await hostOf(t, async app => {
    await app.register(chunkedUpload, { directory, prefix: '/new', scope: 'chunkedUpload:/files' })
  })
  t.match((await moved.app.inject(`/new/${id}/`)).json(), { offset: 3 })
})

t.test('a registration sweeps what is its own, and tells its own hook', async t => {
  const directory = t.testdir()
  const swept: string[] = []
  const note = (name: string) => ({ onExpire: ({ id }: Upload) => { swept.push(`${name} ${id}`) } })
  const make = async (): Promise<Host> => await hostOf(t, async app => {
    for (const name of ['a', 'b']) {
      await app.register(chunkedUpload, {
        directory, prefix: `/${name}`, name, protocols: [tus()], sweepInterval: false, expirationDelta: 1, ...note(name)
      })
    }
  })
  const [host, other] = [await make(), await make()]
  const create = async (name: string): Promise<string> => {
    const reply = await host.app.inject({ method: 'POST', url: `/${name}`, headers: { ...VERSION, 'upload-length': '6' } })
    return String(reply.headers.location).split('/').at(-1) ?? ''
  }
  const [a, b] = [await create('a'), await create('b')]
  const sweep = async (host: Host, name: string): Promise<unknown> => {
    const uploads: unknown = Reflect.get(host.app, name)
    return isHostUploads(uploads) ? await uploads.deleteExpired() : undefined
  }
  await sleep(2)
  t.strictSame(await sweep(host, 'b'), { files: 1, records: 1 })
  t.strictSame(await sweep(host, 'b'), { files: 0, records: 0 })
  t.strictSame(await sweep(other, 'a'), { files: 1, records: 1 }, 'another server of the same configuration')
  t.strictSame(swept, [`b ${b}`, `a ${a}`])
})

t.test('small integers, parts and known files of another registration are unknown', async t => {
  const directory = t.testdir()
  const both = async (options: () => ChunkedUploadOptions): Promise<TestServer> => await startServer(t, { ...options() }, {
    directory,
    before: usersByHeader,
    after: async app => { await app.register(chunkedUpload, { directory, prefix: '/others', name: 'others', ...options() }) }
  })
  const videos = await both(() => ({ protocols: [rawAppend()] }))
  const created = await videos.send('POST', '/uploads/create_video/')
  t.strictSame(created.json, { video_id: 1 })
  t.equal((await videos.send('POST', '/others/append_video/1/', { body: 'abc' })).status, 404)
  t.equal((await videos.send('POST', '/uploads/append_video/1/', { body: 'abc' })).status, 200)
  t.strictSame((await videos.send('POST', '/others/create_video/')).json, { video_id: 2 }, 'one sequence for the whole store')

  const finals = await both(() => ({ protocols: [tus()] }))
  const part = await finals.send('POST', '/uploads', { headers: { ...VERSION, 'upload-length': 0, 'upload-concat': 'partial' } })
  const path = part.headers.location ?? ''
  const concat = async (prefix: string): Promise<number> => (await finals.send('POST', prefix, {
    headers: { ...VERSION, 'upload-concat': `final;${prefix}/${path.split('/').at(-1)}` }
  })).status
  t.equal(await concat('/others'), 404)
  t.equal(await concat('/uploads'), 201)

  const tasks = await both(() => ({ protocols: [chunkTasks({ dedupe: 'all' })] }))
  const hash = hashOf('md5', 'abc')
  await uploadTask(tasks, Buffer.from('abc'), { hash })
  const others: Pick<TestServer, 'send'> = {
    send: async (method, path, message) => await tasks.send(method, path.replace('/uploads', '/others'), message)
  }
  t.match(members(await createTask(others, { hash, file_size: 3 })), { file_exists: false })
  t.match(members(await createTask(tasks, { hash, file_size: 3 })), { file_exists: true })
  t.equal((await others.send('GET', '/uploads/tasks', { headers: { 'x-user': 'ann' } })).headers['x-total'], '1')
})

t.test('a mount may have any name: its uploads are no internal ones', async t => {
  const server = await startServer(t, { protocols: [tus({ name: 'tus/inner' })], maxOpenUploads: 1 })
  const seen: string[] = []
  server.app.chunkedUpload.events.on('create', ({ id }) => { seen.push(id) })
  const headers = { ...VERSION, 'upload-length': 3 }
  const create = async (): Promise<number> => (await server.send('POST', '/uploads', { headers })).status
  t.equal(await create(), 201)
  t.equal(await create(), 429)
  t.strictSame(await idsOf(server.app.chunkedUpload), seen)
})

t.test('records of 0.1, which have no scope, are known to every registration of their protocol', async t => {
  const directory = t.testdir()
  await cp('test/fixtures/records-0.1', join(directory, '.chunked_uploads'), { recursive: true })
  const old = '019a0000000070008000000000000001'
  const aside = '019a0000000070008000000000000002'
  const host = await hostOf(t, async app => {
    for (const name of ['a', 'b']) {
      await app.register(chunkedUpload, { directory, prefix: `/${name}`, name, protocols: [contentRange(), tus({ prefix: '/tus' })] })
    }
  })
  for (const name of ['a', 'b']) {
    t.match((await host.app.inject(`/${name}/${old}/`)).json(), { filename: 'old.bin', status: 1 })
    t.equal((await host.app.inject(`/${name}/${aside}/`)).statusCode, 404, 'an internal one')
    const uploads: unknown = Reflect.get(host.app, name)
    if (!isHostUploads(uploads)) throw new Error('it is registered')
    t.strictSame(await idsOf(uploads), [old])
    t.equal(await uploads.get(aside), undefined)
  }
  const uploads: unknown = Reflect.get(host.app, 'a')
  if (isHostUploads(uploads)) t.strictSame(await uploads.deleteExpired(), { files: 1, records: 1 }, 'the internal one is over')
})
