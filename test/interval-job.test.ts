import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { memoryMetadata } from '../src/metadata/memory.js'
import { fileMetadata } from '../src/metadata/file/index.js'
import { memoryStorage } from '../src/storage/memory.js'
import { IntervalJob } from '../src/interval-job.js'
import { newUpload } from '../src/testing/new-upload.js'
import { chunkedUpload } from '../src/plugin.js'
import { changedStorage, engineOn, gate, keepAlive, until } from './support/engine.js'
import { hostOf } from './support/host.js'

t.test('the first sweep comes soon after the start, whatever the interval', async t => {
  keepAlive(t)
  const swept = gate()
  const sweeper = new IntervalJob(24 * 3_600_000, async () => { swept.open() }, 5)
  sweeper.start()
  await swept.passed
  await sweeper.stop()
})

t.test('no sweep comes after the stop, and none where there is to be none', async t => {
  let sweeps = 0
  for (const interval of [5, null]) {
    const sweeper = new IntervalJob(interval, async () => { sweeps++ }, 5)
    sweeper.start()
    await sweeper.stop()
  }
  await new Promise(resolve => setTimeout(resolve, 30))
  t.equal(sweeps, 0)
})

t.test('a sweep removes several uploads at once, and not too many', async t => {
  keepAlive(t)
  const metadata = memoryMetadata()
  for (let number = 0; number < 100; number++) await metadata.create(newUpload({ expiresAt: 1 }))
  const all = gate()
  let [running, most] = [0, 0]
  const storage = changedStorage(memoryStorage(), {
    remove: async () => {
      most = Math.max(most, ++running)
      await all.passed
      running--
    }
  })
  const sweep = engineOn({ metadata, storage }).deleteExpired()
  await until(() => running === 16)
  all.open()
  t.strictSame(await sweep, { files: 100, records: 100 })
  t.equal(most, 16)
})

t.test('a record that cannot be read stops neither the sweep nor the list of the host, and the log tells of it', async t => {
  const directory = t.testdir()
  const records = join(directory, '.chunked_uploads')
  const metadata = fileMetadata({ directory: records })
  const uploads = Array.from({ length: 3 }, () => newUpload({ expiresAt: 1 }))
  for (const upload of uploads) await metadata.create(upload)
  await metadata.close?.()
  const broken = uploads[1]?.id ?? ''
  const path = join(records, 'records', broken.slice(-2), `${broken}.jsonl`)
  await rm(path)
  await mkdir(path)
  const { app, log } = await hostOf(t, app => app.register(chunkedUpload, { directory }))
  const ids: string[] = []
  for await (const { id } of app.chunkedUpload.list()) ids.push(id)
  t.equal(ids.length, 2)
  t.strictSame(await app.chunkedUpload.deleteExpired(), { files: 2, records: 2 })
  t.match(log.filter(({ level }) => level === 50).map(line => line), [{ upload: broken, msg: /cannot be read/ }])
})
