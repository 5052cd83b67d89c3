import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { diskStorage, fileMetadata, memoryMetadata, memoryStorage, type Metadata, type Storage, type Upload } from '../../../src/index.js'
import { fetch } from '../../support/deadline.js'
import { changedStorage, gate, until } from '../../support/engine.js'
import { download, startTus, type TusServer } from '../../support/tus.js'

const PARTIAL = { 'upload-concat': 'partial' }
const idOf = (path: string): string => path.split('/').at(-1) ?? ''
const final = (...urls: readonly string[]): { 'upload-concat': string } => ({ 'upload-concat': `final;${urls.join(' ')}` })

async function partial (server: TusServer, content: string | Uint8Array): Promise<string> {
  const path = await server.create(content.length, PARTIAL)
  await server.patch(path, 0, content)
  return path
}

async function expiryOf ({ app }: TusServer, path: string): Promise<number> {
  return (await app.chunkedUpload.get(idOf(path)))?.expiresAt ?? NaN
}

async function setExpiry (metadata: Metadata, path: string, expiresAt: number): Promise<void> {
  const upload = await metadata.get(idOf(path))
  if (upload === undefined || !await metadata.update({ ...upload, expiresAt, version: upload.version + 1 })) throw new Error('unchanged')
}

/** Files on the disk, wherever they are. */
async function filesIn (directory: string): Promise<number> {
  const names = await readdir(join(directory, 'chunked_uploads'), { recursive: true }).catch(() => [])
  return names.filter(name => /\.(?:part|done)$/.test(name)).length
}

for (const keepRecord of [false, true]) {
  t.test(`N7, E3, E4: complete partial uploads expire, the file made of them stays${keepRecord ? ', records kept' : ''}`, async t => {
    const expired: Upload[] = []
    const directory = t.testdir()
    const metadata = fileMetadata({ directory: join(directory, 'records') })
    const server = await startTus(t, { metadata, sweepInterval: false, onExpire: upload => { expired.push(upload) } }, { directory })
    const { ask, patch, app } = server
    const [a, b] = [await partial(server, 'abc'), await partial(server, 'de')]
    const unused = await partial(server, 'f')
    const whole = String((await ask('POST', '/uploads', final(a, b, a))).headers.location)
    t.match((await ask('HEAD', a)).headers, { 'upload-offset': '3', 'upload-expires': /GMT/ })
    t.notOk('upload-expires' in (await ask('HEAD', whole)).headers)

    t.same(await app.chunkedUpload.deleteExpired(), { files: 0, records: 0 })
    for (const path of [a, b, unused, whole]) await setExpiry(metadata, path, Date.now())
    for (const answer of [await ask('HEAD', a), await patch(a, 3, ''), await ask('DELETE', a), await ask('POST', '/uploads', final(a))]) {
      t.equal(answer.status, 410)
    }
    t.same(await app.chunkedUpload.deleteExpired({ keepRecord }), { files: 3, records: keepRecord ? 0 : 3 })
    t.same(await app.chunkedUpload.deleteExpired({ keepRecord: true }), { files: 0, records: 0 })
    t.equal((await ask('HEAD', b)).status, keepRecord ? 410 : 404)
    t.same(expired.map(upload => upload.id).sort(), [a, b, unused].map(idOf).sort())
    t.equal(await filesIn(directory), 1, 'invariant 4: the finished file is the only one left')
    t.equal(await download(server, whole), 'abcdeabc')
  })
}

t.test('N7: parts live as long as the final upload that waits for them', async t => {
  const server = await startTus(t, { expirationDelta: '1h' })
  const a = await partial(server, 'abc')
  const before = await expiryOf(server, a)
  await until(() => Date.now() > before - 3_600_000 + 2)
  const b = await server.create(2, PARTIAL)
  const whole = String((await server.ask('POST', '/uploads', final(a, b))).headers.location)
  const due = await expiryOf(server, whole)
  t.ok(due > before)
  t.same([await expiryOf(server, a), await expiryOf(server, b)], [due, due])
})

t.test('E2: where the expiry moves on with each body, that of a part moves on all that waits for it', async t => {
  const metadata = memoryMetadata()
  const server = await startTus(t, { metadata, expirationDelta: '1h', expirationFrom: 'activity' })
  const { ask, create, patch } = server
  const [a, b] = [await partial(server, 'abc'), await create(3, PARTIAL)]
  const whole = String((await ask('POST', '/uploads', final(a, b))).headers.location)
  const soon = Date.now() + 600_000
  for (const path of [a, whole]) await setExpiry(metadata, path, soon)
  await patch(b, 0, 'd')
  for (const path of [a, whole]) t.ok(await expiryOf(server, path) > soon + 2_000_000)
  const version = async (): Promise<number> => (await metadata.get(idOf(whole)))?.version ?? 0
  const before = await version()
  await patch(b, 1, 'e')
  t.equal(await version(), before, 'not with each of many small bodies')
  await patch(b, 2, 'f')
  await until(async () => await server.offset(whole) === 6)
  t.equal(await download(server, whole), 'abcdef')
})

t.test('N7: a part that two files need goes with the last of them, by option', async t => {
  const server = await startTus(t, { tus: { deletePartials: true } })
  const { ask, create, patch } = server
  const [a, b] = [await partial(server, 'abc'), await create(2, PARTIAL)]
  const waiting = String((await ask('POST', '/uploads', final(a, b))).headers.location)
  t.equal((await ask('POST', '/uploads', final(a))).headers['upload-offset'], '3')
  t.equal((await ask('HEAD', a)).status, 200)
  await patch(b, 0, 'de')
  await until(async () => await server.offset(waiting) === 5)
  t.equal(await download(server, waiting), 'abcde')
  for (const path of [a, b]) await until(async () => (await ask('HEAD', path)).status === 404)
})

t.test('N13: where finished files go is not asked for their parts, which have no name', async t => {
  const server = await startTus(t, { location: upload => `films/${upload.filename}` })
  const [a, b] = [await partial(server, 'abc'), await partial(server, 'de')]
  const whole = await server.ask('POST', '/uploads', { ...final(a, b), 'upload-metadata': 'filename YS5tcDQ=' })
  t.equal(whole.headers['upload-offset'], '5')
  t.match(await server.app.chunkedUpload.get(idOf(String(whole.headers.location))), { location: 'films/a.mp4' })
})

t.test('T3: partial uploads can be terminated where finished ones cannot', async t => {
  const server = await startTus(t, { tus: { terminateFinished: false } })
  const a = await partial(server, 'abc')
  const whole = String((await server.ask('POST', '/uploads', final(a))).headers.location)
  t.equal((await server.ask('DELETE', whole)).status, 403)
  t.equal((await server.ask('DELETE', a)).status, 204)
  t.equal(await download(server, whole), 'abc')
})

t.test('who was told to come again for a final upload gets that one, not another copy', async t => {
  for (const deletePartials of [false, true]) {
    const storage = memoryStorage()
    const { open, passed } = gate()
    let concatenations = 0
    const server = await startTus(t, {
      storage: changedStorage(storage, {
        concat: async (...given) => {
          concatenations++
          await passed
          await storage.concat?.(...given)
        }
      }),
      tus: { concatenationWait: 10, disable: ['concatenation-unfinished'], deletePartials }
    }, { mayFail: true, directory: t.testdir() })
    const [a, b] = [await partial(server, 'abc'), await partial(server, 'de')]
    const post = async (headers = {}) => await server.ask('POST', '/uploads', { ...final(a, b), ...headers })
    const late = await post()
    t.match([late.status, late.headers['retry-after'], late.text], [503, '5', /^CONCAT: /])
    const again = await post()
    t.match([again.status, again.headers.location], [503, late.headers.location])
    t.equal(concatenations, 1)
    const other = await post({ 'upload-metadata': 'filename YQ==' })
    t.not(other.headers.location, late.headers.location, 'one of another name is another file')
    open()
    await until(async () => (await server.ask('HEAD', String(late.headers.location))).headers['upload-offset'] === '5')
    const done = await post()
    t.match([done.status, done.headers.location, done.headers['upload-offset']], [201, late.headers.location, '5'])
    t.equal(await download(server, String(late.headers.location)), 'abcde')
    const next = await post()
    t.match([next.status, next.headers.location], [201, late.headers.location], 'an answer may be lost, this one too')
  }
})

/** Storage on disk whose concatenation tells when it is under way, and lasts long enough for the test to act meanwhile. */
function longConcat (directory: string): { readonly storage: Storage, readonly begun: Promise<void>, ended: boolean } {
  const { open, passed } = gate()
  const disk = diskStorage({ directory })
  const state = {
    begun: passed,
    ended: false,
    storage: changedStorage(disk, {
      concat: async (upload, parts, _progress, signal) => {
        // Again and again: no machine is fast enough to come to an end before it is told to stop.
        while (!signal.aborted) await disk.concat?.(upload, parts, { confirm: open }, signal)
        state.ended = true
      }
    })
  }
  return state
}

t.test('close() does not wait for a long concatenation, which begins anew with the next server', async t => {
  const directory = t.testdir()
  const metadata = (): Metadata => fileMetadata({ directory: join(directory, 'records') })
  const content = randomBytes(3_000_000)
  const long = longConcat(directory)
  const server = await startTus(t, { storage: long.storage, metadata: metadata(), tus: { concatenationWait: 10 } }, { directory })
  const a = await partial(server, content)
  const { status, headers } = await server.ask('POST', '/uploads', final(a, a))
  t.match([status, headers['upload-offset']], [201, undefined])
  await long.begun
  await server.app.close()
  t.ok(long.ended)
  const next = await startTus(t, { storage: diskStorage({ directory }), metadata: metadata() }, { directory })
  t.equal(await next.offset(String(headers.location)), 6_000_000)
  const response = await fetch(`${next.url}${headers.location}`)
  t.ok(Buffer.concat([content, content]).equals(new Uint8Array(await response.arrayBuffer())))
})

t.test('a final upload can be removed while it is made', async t => {
  const directory = t.testdir()
  const long = longConcat(directory)
  const server = await startTus(t, { storage: long.storage, tus: { concatenationWait: 10 } }, { directory })
  const a = await partial(server, randomBytes(100_000))
  const whole = String((await server.ask('POST', '/uploads', final(a, a))).headers.location)
  await long.begun
  t.equal((await server.ask('DELETE', whole)).status, 204)
  t.ok(long.ended)
  t.equal((await server.ask('HEAD', whole)).status, 404)
  t.equal(await filesIn(directory), 1)
})

t.test('HEAD does not ask the host again for a final upload that it has refused', async t => {
  let asked = 0
  const server = await startTus(t, {
    onComplete: () => {
      asked++
      throw Object.assign(new Error('a virus'), { statusCode: 422 })
    }
  })
  const a = await partial(server, 'abc')
  const { status, headers } = await server.ask('POST', '/uploads', final(a))
  t.equal(status, 422)
  for (let turn = 0; turn < 2; turn++) t.equal((await server.ask('HEAD', String(headers.location))).status, 403)
  t.equal(asked, 1)
  t.equal((await server.ask('HEAD', a)).headers['upload-offset'], '3', 'the part is there for another try')
})
