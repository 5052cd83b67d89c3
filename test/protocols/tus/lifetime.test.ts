import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { memoryMetadata, type Upload } from '../../../src/index.js'
import { RawHttp } from '../../support/raw-http.js'
import { download, startTus, TYPE, VERSION, watchedStorage } from '../../support/tus.js'
import { until } from '../../support/engine.js'

const IMF_FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/

const idOf = (path: string): string => path.split('/').at(-1) ?? ''

t.test('E1, E4: Upload-Expires is on POST, PATCH and HEAD until the upload is complete', async t => {
  const { ask, create, patch } = await startTus(t, { expirationDelta: '1h' })
  const created = await ask('POST', '/uploads', { 'upload-length': 4 })
  const path = String(created.headers.location)
  const withBody = await ask('POST', '/uploads', { ...TYPE, 'upload-length': 4 }, 'ab')
  for (const { status, headers } of [created, withBody, await patch(path, 0, 'ab'), await ask('HEAD', path)]) {
    t.match(headers['upload-expires'], IMF_FIXDATE, String(status))
    const left = Date.parse(String(headers['upload-expires'])) - Date.now()
    t.ok(left > 3_000_000 && left <= 3_600_000)
  }
  const whole = await ask('POST', '/uploads', { ...TYPE, 'upload-length': 1 }, 'a')
  for (const { headers } of [await patch(path, 2, 'cd'), await ask('HEAD', path), whole]) {
    t.notOk('upload-expires' in headers)
  }
  const never = await startTus(t, { tus: { expirationDelta: null } }, { directory: t.testdir() })
  t.notOk('upload-expires' in (await never.ask('HEAD', await never.create(3))).headers)
  t.notMatch((await never.ask('OPTIONS', '/uploads')).headers['tus-extension'], 'expiration')
  t.ok(await create(3))
})

t.test('E2: the expiry moves on with each body by option', async t => {
  const { ask, patch, app } = await startTus(t, { expirationFrom: 'activity', expirationDelta: '1h' })
  const { headers } = await ask('POST', '/uploads', { 'upload-length': 4 })
  const id = idOf(String(headers.location))
  const before = (await app.chunkedUpload.get(id))?.expiresAt ?? 0
  await until(() => Date.now() > before - 3_600_000 + 2)
  await patch(String(headers.location), 0, 'ab')
  t.ok(((await app.chunkedUpload.get(id))?.expiresAt ?? 0) > before)
})

t.test('E2: what moves on is the life that the upload was given, by the mount or by onCreate, and it is never cut', async t => {
  const day = 86_400_000
  const { ask, patch, app } = await startTus(t, {
    expirationFrom: 'activity',
    expirationDelta: '1h',
    tus: { expirationDelta: 7 * day },
    onCreate: draft => draft.size === 4 ? { ...draft, expiresIn: 30 * day } : draft
  })
  for (const [length, days] of [[3, 7], [4, 30]] as const) {
    const { headers } = await ask('POST', '/uploads', { 'upload-length': length })
    const id = idOf(String(headers.location))
    const before = (await app.chunkedUpload.get(id))?.expiresAt ?? 0
    await patch(String(headers.location), 0, 'ab')
    const after = (await app.chunkedUpload.get(id))?.expiresAt ?? 0
    t.ok(after >= before && after <= Date.now() + days * day, `${days} days`)
  }
})

t.test('E3, E4, D1: an expired upload is gone while its record is kept, then unknown; finished ones are never touched', async t => {
  const { ask, create, patch, app, ...server } = await startTus(t, { expirationDelta: 1000, sweepInterval: false })
  const finished = await create(3)
  await patch(finished, 0, 'abc')
  const path = await create(3)
  await patch(path, 0, 'ab')
  const { expiresAt } = await app.chunkedUpload.get(idOf(path)) ?? {}
  await until(() => Date.now() > (expiresAt ?? 0))
  const gone = async (status: number): Promise<void> => {
    for (const answer of [await ask('HEAD', path), await patch(path, 2, 'c'), await ask('DELETE', path), await ask('GET', path)]) {
      t.equal(answer.status, status)
      t.notOk('upload-offset' in answer.headers)
    }
  }
  await gone(410)
  t.same(await app.chunkedUpload.deleteExpired({ keepRecord: true }), { files: 1, records: 0 })
  await gone(410)
  t.same(await app.chunkedUpload.deleteExpired(), { files: 0, records: 1 })
  await gone(404)
  t.equal(await download({ ask, create, patch, app, ...server }, finished), 'abc')
})

t.test('T1, T2, T4: DELETE is a 204, then the upload is unknown, or gone by option', async t => {
  for (const keepRecords of [false, true]) {
    const { ask, create, patch, app } = await startTus(t, { tus: { keepRecords } }, { directory: t.testdir() })
    const removed: Upload[] = []
    app.chunkedUpload.events.on('remove', upload => { removed.push(upload) })
    const path = await create(3)
    await patch(path, 0, 'ab')
    t.equal((await ask('DELETE', path)).status, 204)
    const status = keepRecords ? 410 : 404
    for (const answer of [await ask('HEAD', path), await patch(path, 2, 'c'), await ask('DELETE', path), await ask('GET', path)]) {
      t.equal(answer.status, status)
    }
    t.equal(removed.length, 1)
  }
})

t.test('T1: a running PATCH is stopped first, and never hears of success', async t => {
  const watched = watchedStorage()
  const { ask, create, port } = await startTus(t, { storage: watched.storage })
  const path = await create(100)
  const client = await RawHttp.connect(port)
  client.request('PATCH', path, { ...VERSION, ...TYPE, 'upload-offset': 0, 'content-length': 100 }, 'abc')
  await until(() => watched.bytes === 3)
  const running = client.reply()
  t.equal((await ask('DELETE', path)).status, 204)
  t.equal((await running).status, 410)
  client.reset()
  t.equal((await ask('HEAD', path)).status, 404)
})

t.test('T3: finished uploads can be terminated too, or not by option', async t => {
  for (const terminateFinished of [true, false]) {
    const { ask, create, patch, ...server } = await startTus(t, { tus: { terminateFinished } }, { directory: t.testdir() })
    const path = await create(3)
    await patch(path, 0, 'abc')
    t.equal((await ask('DELETE', path)).status, terminateFinished ? 204 : 403)
    t.equal((await ask('HEAD', path)).status, terminateFinished ? 404 : 200)
    if (!terminateFinished) t.equal(await download({ ask, create, patch, ...server }, path), 'abc')
    const other = await create(3)
    t.equal((await ask('DELETE', other)).status, 204)
  }
})

t.test('D3: an upload whose bytes the storage has lost is gone, not complete', async t => {
  const metadata = memoryMetadata()
  const { ask, create, patch, directory } = await startTus(t, { metadata, downloads: true })
  const path = await create(6)
  await patch(path, 0, 'abc')
  await rm(join(directory, 'chunked_uploads'), { recursive: true })
  t.equal((await patch(path, 3, 'def')).status, 410)
  t.equal((await ask('GET', path)).status, 410)
})
