import t from 'tap'
import { memoryMetadata, memoryStorage, type Upload } from '../../../src/index.js'
import { changedMetadata, changedStorage, gate, until } from '../../support/engine.js'
import { download, startTus, type TusServer } from '../../support/tus.js'

const PARTIAL = { 'upload-concat': 'partial' }
const final = (...urls: readonly string[]): { 'upload-concat': string } => ({ 'upload-concat': `final;${urls.join(' ')}` })
const named = (index: number): { 'upload-metadata': string } => ({ 'upload-metadata': `filename ${btoa(`file ${index}`)}` })

async function waiting ({ ask }: TusServer, count: number, ...parts: readonly string[]): Promise<string[]> {
  const paths: string[] = []
  for (let index = 0; index < count; index++) {
    const { status, headers } = await ask('POST', '/uploads', { ...final(...parts), ...named(index) })
    if (status !== 201) throw new Error(`not created: ${status}`)
    paths.push(String(headers.location))
  }
  return paths
}

t.test('one request names so many parts at most, each as often as it is named', async t => {
  for (const [maxParts, most] of [[undefined, 100], [3, 3]] as const) {
    const server = await startTus(t, { tus: { maxParts } })
    const part = await server.create(1, PARTIAL)
    await server.patch(part, 0, 'x')
    const id = part.split('/').at(-1) ?? ''
    const { status, text } = await server.ask('POST', '/uploads', final(...Array.from({ length: most + 1 }, () => id)))
    t.match([status, text], [400, new RegExp(`more than ${most} parts`)])
    const { headers } = await server.ask('POST', '/uploads', final(...Array.from({ length: most }, () => id)))
    t.equal(headers['upload-offset'], String(most))
  }
})

t.test('so many final uploads may wait for a part; those that are gone make room', async t => {
  const metadata = memoryMetadata()
  const server = await startTus(t, { metadata, tus: { maxWaitingFinals: 3 } })
  const [a, b] = [await server.create(3, PARTIAL), await server.create(3, PARTIAL)]
  const paths = await waiting(server, 3, a, b)
  const more = async (): Promise<number> => (await server.ask('POST', '/uploads', { ...final(b, a), ...named(9) })).status
  const before = (await metadata.list({})).uploads.length
  t.equal(await more(), 429)
  t.equal((await metadata.list({})).uploads.length, before, 'nothing of it is left')
  t.equal((await server.ask('DELETE', paths[0] ?? '')).status, 204)
  t.equal(await more(), 201)
  const again = await server.ask('POST', '/uploads', { ...final(a, b), ...named(1) })
  t.equal(again.headers.location, paths[1], 'one that waits already may ask')
})

t.test('the PATCH of a part does not wait for the final uploads that its end completes', async t => {
  const memory = memoryStorage()
  const { passed, open } = gate()
  const completed: Upload[] = []
  const storage = changedStorage(memory, {
    concat: async (...given) => {
      await passed
      await memory.concat?.(...given)
    }
  })
  const server = await startTus(t, { storage, onComplete: upload => { completed.push(upload) } })
  const part = await server.create(3, PARTIAL)
  const paths = await waiting(server, 5, part)
  const { status, headers } = await server.patch(part, 0, 'abc')
  t.match([status, headers['upload-offset'], completed.length], [204, '3', 0])
  open()
  await until(() => completed.length === 5)
  for (const path of paths) {
    await until(async () => await server.offset(path) === 3)
    t.equal(await download(server, path), 'abc')
  }
})

for (const asked of [false, true]) {
  const when = asked ? ' with the next request of its user, where the host is to be asked' : ' by itself'
  t.test(`invariant 12: what a crash has left of a final upload is taken up by the next server,${when}`, async t => {
    const [storage, metadata] = [memoryStorage(), memoryMetadata()]
    const completed: string[] = []
    const onComplete = asked ? (upload: Upload): void => { completed.push(upload.id) } : undefined
    // As after a kill: the work that comes after the reply never comes to pass.
    const first = await startTus(t, {
      storage: changedStorage(storage, { concat: async () => await new Promise(resolve => { t.teardown(resolve) }) }),
      metadata: changedMetadata(metadata, {}),
      onComplete
    }, { mayFail: true })
    const part = await first.create(3, PARTIAL)
    const [path = ''] = await waiting(first, 1, part)
    t.equal((await first.patch(part, 0, 'abc')).status, 204)
    const id = path.split('/').at(-1) ?? ''
    const next = await startTus(t, { storage, metadata, onComplete })
    // Any request of the user, not of this upload.
    const other = async (): Promise<number> => (await next.ask('POST', '/uploads', { 'upload-length': '0' })).status
    if (asked) await until(async () => await other() === 201 && completed.includes(id))
    await until(async () => (await metadata.get(id))?.status === 'complete')
    t.equal(completed.filter(one => one === id).length, asked ? 1 : 0)
    t.equal(await download(next, path), 'abc')
  })
}

t.test('parts and final uploads that wait count as open ones until they are complete', async t => {
  const server = await startTus(t, { maxOpenUploads: 3 })
  const ask = async (headers: Readonly<Record<string, string>>): Promise<number> => (await server.ask('POST', '/uploads', headers)).status
  const [a, b] = [await server.create(1, PARTIAL), await server.create(1, PARTIAL)]
  const [whole = ''] = await waiting(server, 1, a, b)
  const [part, file] = [{ ...PARTIAL, 'upload-length': '1' }, { 'upload-length': '1' }]
  t.strictSame([await ask(part), await ask({ ...final(a), ...named(1) }), await ask(file)], [429, 429, 429])
  t.equal(await ask({ ...final(a, b), ...named(0) }), 201, 'the same final upload is no other one')
  await server.patch(a, 0, 'a')
  t.strictSame([await ask(part), await ask(part)], [201, 429])
  await server.patch(b, 0, 'b')
  await until(async () => await server.offset(whole) === 2)
  t.strictSame([await ask(file), await ask(file), await ask(file)], [201, 201, 429])
})
