import { createHash, randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { Upload } from 'tus-js-client'
import { memoryLocks, memoryMetadata } from '../../../src/index.js'
import { fetch } from '../../support/deadline.js'
import { until } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { startTus, TYPE, type TusServer, VERSION, watchedStorage } from '../../support/tus.js'

const idOf = (path: string): string => path.split('/').at(-1) ?? ''
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const sha1 = (text: string): string => createHash('sha1').update(text).digest('base64')

async function stored ({ url }: TusServer, path: string): Promise<string> {
  const response = await fetch(`${url}${path}`)
  return sha256(new Uint8Array(await response.arrayBuffer()))
}

/** A PATCH of `length` bytes that sends `first` and then is silent. */
async function hangingPatch (
  { port }: TusServer, path: string, offset: number, length: number, first: Uint8Array | string
): Promise<RawHttp> {
  const client = await RawHttp.connect(port)
  return client.request('PATCH', path, { ...VERSION, ...TYPE, 'upload-offset': offset, 'content-length': length }, first)
}

t.test('invariant 3, D5: a HEAD takes over from a PATCH that hangs; that one never hears of success', async t => {
  const watched = watchedStorage()
  const server = await startTus(t, { storage: watched.storage })
  const bytes = randomBytes(300_000)
  const path = await server.create(bytes.length)
  const order: string[] = []
  const hanging = await hangingPatch(server, path, 0, bytes.length, bytes.subarray(0, 200_000))
  await until(() => watched.bytes === 200_000)
  const old = hanging.reply().then(({ status }) => {
    order.push('old')
    return status
  })
  const begin = performance.now()
  const offset = await server.offset(path)
  order.push('new')
  t.equal(offset, 200_000, 'what had come is kept')
  t.ok(performance.now() - begin < 2500, 'no fixed time is waited')
  t.equal(await old, 423)
  t.same(order.sort(), ['new', 'old'])
  t.equal((await server.patch(path, offset, bytes.subarray(offset))).status, 204)
  t.equal(await stored(server, path), sha256(bytes))
  hanging.reset()
})

t.test('invariant 3: a PATCH takes over from a PATCH that hangs, at the offset that is then', async t => {
  const watched = watchedStorage()
  const server = await startTus(t, { storage: watched.storage })
  const path = await server.create(6)
  const hanging = await hangingPatch(server, path, 0, 6, 'abc')
  await until(() => watched.bytes === 3)
  const late = await server.patch(path, 0, 'abcdef')
  t.match([late.status, late.headers['upload-offset']], [409, '3'])
  t.equal((await hanging.reply()).status, 423)
  t.equal((await server.patch(path, 3, 'def')).status, 204)
  t.match((await server.send('GET', path)).text, 'abcdef')
  hanging.reset()
})

t.test('invariant 3: of ten equal requests at once one writes each byte', async t => {
  const server = await startTus(t)
  const bytes = randomBytes(500_000)
  const path = await server.create(bytes.length)
  const headers = { ...VERSION, ...TYPE, 'upload-offset': 0 }
  const clients = Array.from({ length: 10 }, () => server.client())
  const answers = await Promise.all(clients.map(async client => await client.send('PATCH', path, { headers, body: bytes })))
  for (const { status } of answers) t.ok([204, 409, 423, 413].includes(status), String(status))
  const offset = await server.offset(path)
  if (offset < bytes.length) t.equal((await server.patch(path, offset, bytes.subarray(offset))).status, 204)
  t.equal(await stored(server, path), sha256(bytes))
})

t.test('corners, D4: a lock that is not had in time is a 423, and waiting for it burns no CPU', async t => {
  const locks = memoryLocks()
  const server = await startTus(t, { locks, lockTimeout: 1500 })
  const path = await server.create(3)
  // A holder that hears nothing.
  const lock = await locks.acquire(idOf(path), { mode: 'exclusive', claim: 'wait', timeout: 0, onClaim: () => {} })
  const before = performance.eventLoopUtilization()
  const answers = await Promise.all([
    server.client().send('HEAD', path, { headers: VERSION }),
    server.client().send('PATCH', path, { headers: { ...VERSION, ...TYPE, 'upload-offset': 0 }, body: 'abc' }),
    server.client().send('DELETE', path, { headers: VERSION })
  ])
  const { utilization } = performance.eventLoopUtilization(before)
  for (const { status, headers } of answers) t.match([status, headers['retry-after']], [423, '1'])
  t.ok(utilization < 0.5, `the event loop was busy for ${utilization} of the time`)
  await lock.release()
  t.equal((await server.patch(path, 0, 'abc')).status, 204)
})

t.test('C14: a silent peer is cut after the idle time, its bytes are kept', async t => {
  const server = await startTus(t, { stallTimeout: 300 }, { mayFail: true })
  const path = await server.create(6)
  const hanging = await hangingPatch(server, path, 0, 6, 'abc')
  t.equal((await hanging.reply()).status, 503)
  await hanging.closed
  t.equal(await server.offset(path), 3)
  t.equal((await server.patch(path, 3, 'def')).status, 204)
})

t.test('C14, D12: a slow peer that goes on sending is not cut, however long it takes', async t => {
  const server = await startTus(t, { stallTimeout: 1000 })
  t.equal(server.app.server.requestTimeout, 0)
  const bytes = randomBytes(20)
  const path = await server.create(bytes.length)
  const slow = await hangingPatch(server, path, 0, bytes.length, '')
  for (const byte of bytes) {
    slow.send(Buffer.of(byte))
    await new Promise(resolve => { setTimeout(resolve, 100) })
  }
  t.equal((await slow.reply()).status, 204)
  t.equal(await stored(server, path), sha256(bytes))
  slow.reset()
})

t.test('invariant 1: after a reset the client goes on with what storage confirmed, again and again', async t => {
  const watched = watchedStorage()
  const server = await startTus(t, { storage: watched.storage })
  const bytes = randomBytes(1_000_000)
  const path = await server.create(bytes.length)
  let offset = 0
  for (const end of [100_000, 350_000, 351_000, 999_999]) {
    watched.bytes = 0
    const client = await hangingPatch(server, path, offset, bytes.length - offset, bytes.subarray(offset, end))
    const sent = end - offset
    await until(() => watched.bytes === sent)
    client.reset()
    offset = await server.offset(path)
    t.equal(offset, end)
  }
  t.equal((await server.patch(path, offset, bytes.subarray(offset))).status, 204)
  t.equal(await stored(server, path), sha256(bytes))
})

t.test('section 8: a server that stops ends running bodies with 503 and keeps their bytes', async t => {
  const watched = watchedStorage()
  const metadata = memoryMetadata()
  const first = await startTus(t, { storage: watched.storage, metadata }, { mayFail: true })
  const bytes = randomBytes(300_000)
  const path = await first.create(bytes.length)
  const client = await hangingPatch(first, path, 0, bytes.length, bytes.subarray(0, 200_000))
  await until(() => watched.bytes === 200_000)
  const reply = client.reply()
  await first.app.close()
  const { status, headers } = await reply
  t.match([status, headers['retry-after'], headers.connection], [503, '1', 'close'])
  await client.closed

  const second = await startTus(t, { storage: watched.storage, metadata })
  const offset = await second.offset(path)
  t.equal(offset, 200_000)
  t.equal((await second.patch(path, offset, bytes.subarray(offset))).status, 204)
  t.equal(await stored(second, path), sha256(bytes))
})

t.test('invariants 5, 12: HEAD asks the host nothing, and wants the last byte again: the PATCH with it asks', async t => {
  for (const [what, offset, body, headers] of [
    ['the last byte', 2, 'c', {}], ['with its checksum', 2, 'c', { 'upload-checksum': `sha1 ${sha1('c')}` }], ['an empty PATCH', 3, '', {}]
  ] as const) {
    let [asked, refuses] = [0, true]
    const server = await startTus(t, {
      onComplete: () => {
        asked++
        if (refuses) throw Object.assign(new Error('not now'), { statusCode: 503 })
      }
    }, { mayFail: true, directory: t.testdir() })
    const path = await server.create(3)
    t.equal((await server.patch(path, 0, 'abc')).status, 503)
    for (let turn = 0; turn < 3; turn++) t.equal(await server.offset(path), 2)
    t.equal((await server.send('GET', path)).status, 403)
    t.equal(asked, 1, 'reads ask the host nothing')
    t.match(await server.patch(path, 2, ''), { status: 204, headers: { 'upload-offset': '2' } })
    t.equal((await server.patch(path, 2, 'cd')).status, 413)
    t.equal((await server.patch(path, 2, 'c', { 'upload-checksum': `sha1 ${sha1('x')}` })).status, 460)
    t.equal(asked, 1)
    refuses = false
    const last = await server.patch(path, offset, body, headers)
    t.match(last, { status: 204, headers: { 'upload-offset': '3' } }, what)
    t.equal(asked, 2)
    t.equal(await server.offset(path), 3)
    t.equal((await server.send('GET', path)).text, 'abc')
  }
})

t.test('an empty file that the host refused is not there for HEAD', async t => {
  let refuses = true
  const server = await startTus(t, { onComplete: () => { if (refuses) throw Object.assign(new Error('no'), { statusCode: 422 }) } })
  const { status, headers } = await server.ask('POST', '/uploads', { 'upload-length': '0' })
  t.equal(status, 422)
  const path = String(headers.location)
  t.equal((await server.ask('HEAD', path)).status, 409)
  refuses = false
  t.equal((await server.patch(path, 0, '')).status, 204)
  t.equal(await server.offset(path), 0)
})

t.test('tus-js-client completes an upload whose completion failed', async t => {
  let asked = 0
  const server = await startTus(t, {
    onComplete: () => { if (++asked === 1) throw Object.assign(new Error('not now'), { statusCode: 503 }) }
  }, { mayFail: true, directory: t.testdir() })
  await new Promise<void>((resolve, reject) => {
    const endpoint = `${server.url}/uploads`
    new Upload(Buffer.from('abc'), { endpoint, retryDelays: [0], onError: reject, onSuccess: () => resolve() }).start()
  })
  t.equal(asked, 2)
  for await (const { status } of server.app.chunkedUpload.list()) t.equal(status, 'complete')
})

t.test('a host that removes an upload cuts the PATCH in flight, whose client does not try again', async t => {
  const watched = watchedStorage()
  const server = await startTus(t, { storage: watched.storage })
  const path = await server.create(6)
  const hanging = await hangingPatch(server, path, 0, 6, 'abc')
  await until(() => watched.bytes === 3)
  await server.app.chunkedUpload.remove(idOf(path))
  t.equal((await hanging.reply()).status, 410)
  t.equal((await server.ask('HEAD', path)).status, 404)
  hanging.reset()
})
