import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { chunkedUpload } from '../../src/plugin.js'
import { fetch } from '../support/deadline.js'
import { faults, hostOf } from '../support/host.js'

const octets = 'application/octet-stream'

t.test('two apps on one directory share their uploads and exclude each other', async t => {
  const directory = t.testdir()
  const hosts = await Promise.all([0, 1].map(() => hostOf(t, app => app.register(chunkedUpload, { directory, prefix: '/u' }))))
  const urls = await Promise.all(hosts.map(async host => `${(await host.listen()).url}/u/`))
  const bytes = Buffer.alloc(2_000_000, 'abc')
  const put = async (url: string, start: number, end: number): Promise<Response> => await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': octets, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` },
    body: new Uint8Array(bytes.subarray(start, end))
  })
  const { id } = await (await put(urls[0] ?? '', 0, 500_000)).json() as { id: string }
  const replies = await Promise.all(urls.flatMap(url => [put(`${url}${id}/`, 500_000, 2_000_000), put(`${url}${id}/`, 500_000, 2_000_000)]))
  t.ok(replies.some(({ status }) => status === 200))
  t.strictSame(replies.filter(({ status }) => status >= 500), [])
  const md5 = (await import('node:crypto')).createHash('md5').update(bytes).digest('hex')
  const completions = await Promise.all(urls.map(url => fetch(`${url}${id}/`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ md5 })
  })))
  t.strictSame(completions.map(({ status }) => status).sort(), [200, 400], 'invariant 5: one of them completes it')
  for (const { app, log } of hosts) {
    const upload = await app.chunkedUpload.get(id)
    t.match(upload, { status: 'complete', size: bytes.length })
    if (upload === undefined) return
    const read: Buffer[] = []
    for await (const piece of app.chunkedUpload.read(upload)) read.push(piece)
    t.ok(Buffer.concat(read).equals(bytes))
    t.strictSame(faults(log), [])
  }
  t.ok((await readdir(join(directory, '.chunked_uploads'))).includes('locks'))
})

t.test('registrations of one app may use one directory, and share their uploads where they name one scope', async t => {
  const directory = t.testdir()
  const { app, log } = await hostOf(t, async app => {
    await app.register(chunkedUpload, { directory, prefix: '/a', scope: 'shared' })
    await app.register(chunkedUpload, { directory, prefix: '/b', name: 'b', scope: 'shared' })
    await app.register(chunkedUpload, { directory, prefix: '/c', name: 'c' })
  })
  const headers = { 'content-type': octets, 'content-range': 'bytes 0-2/6' }
  const { id } = (await app.inject({ method: 'PUT', url: '/a/', headers, payload: Buffer.from('abc') })).json()
  const next = async (mount: string) => await app.inject({
    method: 'PUT', url: `/${mount}/${id}/`, headers: { ...headers, 'content-range': 'bytes 3-5/6' }, payload: Buffer.from('def')
  })
  t.equal((await next('c')).statusCode, 404)
  t.match((await next('b')).json(), { offset: 6 })
  t.strictSame(faults(log), [])
})

t.test('a host that takes the uploads of another one that closed goes on where it was', async t => {
  const directory = t.testdir()
  const register = async () => await hostOf(t, app => app.register(chunkedUpload, { directory, prefix: '/u' }))
  const first = await register()
  const headers = { 'content-type': octets, 'content-range': 'bytes 0-2/6' }
  const { id } = (await first.app.inject({ method: 'PUT', url: '/u/', headers, payload: Buffer.from('abc') })).json()
  await first.app.close()
  const second = await register()
  t.match((await second.app.inject(`/u/${id}/`)).json(), { offset: 3, status: 1 })
})
