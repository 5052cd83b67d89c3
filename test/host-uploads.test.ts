import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { bytesOf } from './support/engine.js'
import { chunkedUpload } from '../src/plugin.js'
import { hostOf, plainHost } from './support/host.js'
import { recordsIn } from './support/records.js'
import { tiny } from './support/tiny-protocol.js'

async function upload (app: FastifyInstance, user: string, bytes: string, complete = false): Promise<string> {
  const headers = { 'content-type': 'a/b', 'x-user': user }
  const { id } = (await app.inject({ method: 'POST', url: '/u', headers: { 'x-user': user } })).json()
  await app.inject({ method: 'PATCH', url: `/u/${id}${complete ? '?complete' : ''}`, headers, payload: Buffer.from(bytes) })
  return id
}

async function host (t: Parameters<typeof plainHost>[0]): Promise<FastifyInstance> {
  const { app } = await plainHost(t, { user: request => request.headers['x-user']?.toString() })
  return app
}

t.test('the host sees the uploads of all users', async t => {
  const app = await host(t)
  const [ann, bob] = [await upload(app, 'ann', 'abc'), await upload(app, 'bob', 'defg', true)]
  const ids = async (filter?: Parameters<typeof app.chunkedUpload.list>[0]): Promise<string[]> => {
    const found: string[] = []
    for await (const { id } of app.chunkedUpload.list(filter)) found.push(id)
    return found
  }
  t.strictSame(await ids(), [ann, bob])
  t.strictSame(await ids({ user: 'bob' }), [bob])
  t.strictSame(await ids({ status: 'uploading' }), [ann])
  t.strictSame(await ids({ protocol: 'other' }), [])
  t.match(await app.chunkedUpload.get(ann), { user: 'ann', received: [[0, 3]] })
  t.equal(await app.chunkedUpload.get('unknown'), undefined)
  t.equal(await app.chunkedUpload.get('../../etc/passwd'), undefined)
})

t.test('the host reads finished and unfinished uploads, whole or in part', async t => {
  const app = await host(t)
  for (const complete of [true, false]) {
    const record = await app.chunkedUpload.get(await upload(app, 'ann', 'abcdef', complete))
    if (record === undefined) return t.fail('it is gone')
    t.equal((await bytesOf(app.chunkedUpload.read(record))).toString(), 'abcdef')
    t.equal((await bytesOf(app.chunkedUpload.read(record, [2, 4]))).toString(), 'cd')
  }
  const empty = await app.chunkedUpload.get(await upload(app, 'ann', ''))
  t.equal(empty === undefined ? undefined : (await bytesOf(app.chunkedUpload.read(empty))).length, 0)
})

t.test('the host completes and removes uploads, and hears of all that happens', async t => {
  const app = await host(t)
  const heard: string[] = []
  const { events } = app.chunkedUpload
  events.on('create', ({ id }) => { heard.push(`create ${id}`) })
  events.on('complete', ({ id, size }) => { heard.push(`complete ${id} ${size}`) })
  events.on('remove', ({ id }, reason) => { heard.push(`remove ${id} ${reason}`) })
  const id = await upload(app, 'ann', 'abc')
  t.match(await app.chunkedUpload.complete(id), { status: 'complete', size: 3 })
  await t.rejects(app.chunkedUpload.complete(id), { code: 'FST_CHUNKED_UPLOAD_COMPLETE' })
  await app.chunkedUpload.remove(id)
  await t.rejects(app.chunkedUpload.remove(id), { code: 'FST_CHUNKED_UPLOAD_NOT_FOUND' })
  t.strictSame(heard, [`create ${id}`, `complete ${id} 3`, `remove ${id} removed`])
})

t.test('a host takes a finished file over: the record goes, the file stays', async t => {
  const directory = t.testdir()
  const user = (request: { headers: Record<string, unknown> }): string => String(request.headers['x-user'])
  const { app } = await hostOf(t, app => app.register(chunkedUpload, { directory, prefix: '/u', protocols: [tiny()], user }))
  const told: string[] = []
  app.chunkedUpload.events.on('remove', ({ id }) => { told.push(id) })
  const [running, done] = [await upload(app, 'ann', 'ab'), await upload(app, 'ann', 'abc', true)]
  await t.rejects(app.chunkedUpload.forget(running), { code: 'FST_CHUNKED_UPLOAD_INCOMPLETE' })
  const { location, filename } = await app.chunkedUpload.forget(done)
  t.equal(filename, 'tiny.bin')
  t.equal(await readFile(join(directory, location), 'utf8'), 'abc')
  await t.rejects(app.chunkedUpload.forget(done), { code: 'FST_CHUNKED_UPLOAD_NOT_FOUND' })
  t.equal((await app.inject({ url: `/u/${done}`, headers: { 'x-user': 'ann' } })).statusCode, 404)
  t.equal((await app.inject({ method: 'DELETE', url: `/u/${done}`, headers: { 'x-user': 'ann' } })).statusCode, 404)
  await app.chunkedUpload.deleteExpired()
  await access(join(directory, location))
  t.strictSame((await recordsIn(directory)).map(({ id }) => id), [running])
  t.strictSame(told, [])
})
