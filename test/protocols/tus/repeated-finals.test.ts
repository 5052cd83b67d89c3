import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { diskStorage, type Upload } from '../../../src/index.js'
import { changedStorage, gate, until } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { usersByHeader } from '../../support/server.js'
import { download, startTus, type TusServer, VERSION } from '../../support/tus.js'

const PARTIAL = { 'upload-concat': 'partial' }
const final = (...urls: readonly string[]): { 'upload-concat': string } => ({ 'upload-concat': `final;${urls.join(' ')}` })

async function partial (server: TusServer, content: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const path = await server.create(content.length, { ...PARTIAL, ...headers })
  await server.patch(path, 0, content, headers)
  return path
}

async function filesIn (directory: string): Promise<number> {
  const names = await readdir(join(directory, 'chunked_uploads'), { recursive: true }).catch(() => [])
  return names.filter(name => /\.(?:part|done)$/.test(name)).length
}

for (const deletePartials of [false, true]) {
  const words = deletePartials ? ', its parts gone' : ''
  t.test(`a final upload that is asked for again is the same one${words}: one file, one onComplete`, async t => {
    const completed: string[] = []
    const directory = t.testdir()
    const onComplete = (upload: Upload): void => { completed.push(upload.id) }
    const server = await startTus(t, { onComplete, tus: { deletePartials } }, { directory })
    const parts = [await partial(server, 'abc'), await partial(server, 'de')]
    const post = async (headers = {}) => await server.ask('POST', '/uploads', { ...final(...parts), ...headers })
    const first = await post()
    t.match([first.status, first.headers['upload-offset']], [201, '5'])
    const files = deletePartials ? 1 : 3
    t.equal(await filesIn(directory), files)
    for (let again = 0; again < 3; again++) {
      const next = await post()
      t.match([next.status, next.headers.location, next.headers['upload-offset']], [201, first.headers.location, '5'])
    }
    t.equal(await filesIn(directory), files)
    t.equal(completed.length, 1)

    const named = await post({ 'upload-metadata': 'filename YQ==' })
    if (deletePartials) t.equal(named.status, 404)
    else t.not(named.headers.location, first.headers.location, 'one of another name is another file')

    const other = await startTus(t, { onComplete, tus: { deletePartials } }, { directory })
    t.equal((await other.ask('POST', '/uploads', final(...parts))).headers.location, first.headers.location, 'on another server, too')
    t.equal(completed.length, deletePartials ? 1 : 2, 'once for each file')
    t.equal(await download(other, String(first.headers.location)), 'abcde')
  })

  t.test(`of final uploads that are asked for at once one is made${words}`, async t => {
    const completed: string[] = []
    const directory = t.testdir()
    const options = { onComplete: (upload: Upload): void => { completed.push(upload.id) }, tus: { deletePartials } }
    const servers = [await startTus(t, options, { directory }), await startTus(t, options, { directory })] as const
    const parts = [await partial(servers[0], 'abc'), await partial(servers[0], 'de')]
    const answers = await Promise.all(Array.from({ length: 8 }, async (_, index) =>
      await (servers[index % 2] ?? servers[0]).client().send('POST', '/uploads', { headers: { ...VERSION, ...final(...parts) } })))
    t.same([...new Set(answers.map(({ status }) => status))], [201])
    t.equal(new Set(answers.map(({ headers }) => headers.location)).size, 1)
    t.equal(completed.length, 1)
    t.equal(await download(servers[0], String(answers[0]?.headers.location)), 'abcde')
  })

  t.test(`a client that was cut off while its file was put together finds it${words}`, async t => {
    const directory = t.testdir()
    const { passed, open } = gate()
    let begun = 0
    const disk = diskStorage({ directory })
    const storage = changedStorage(disk, {
      concat: async (...given) => {
        begun++
        await passed
        await disk.concat?.(...given)
      }
    })
    const completed: string[] = []
    const server = await startTus(t, {
      storage, tus: { deletePartials }, onComplete: upload => { completed.push(upload.id) }
    }, { directory })
    const parts = [await partial(server, 'abc'), await partial(server, 'de')]
    const client = await RawHttp.connect(server.port)
    client.request('POST', '/uploads', { ...VERSION, ...final(...parts) })
    await until(() => begun === 1)
    client.reset()
    const again = server.ask('POST', '/uploads', final(...parts))
    open()
    const { status, headers } = await again
    t.match([status, headers['upload-offset']], [201, '5'])
    t.same([begun, completed.length], [1, 1])
    t.equal(await filesIn(directory), deletePartials ? 1 : 3)
    t.equal(await download(server, String(headers.location)), 'abcde')
  })
}

t.test('N6: an unfinished final upload that is asked for again waits once for its parts', async t => {
  const completed: string[] = []
  const server = await startTus(t, { onComplete: upload => { completed.push(upload.id) } })
  const parts = [await partial(server, 'abc'), await server.create(2, PARTIAL)] as const
  const first = await server.ask('POST', '/uploads', final(...parts))
  const second = await server.ask('POST', '/uploads', final(...parts))
  t.match([first.status, second.status, second.headers.location], [201, 201, first.headers.location])
  await server.patch(parts[1], 0, 'de')
  await until(async () => await server.offset(String(first.headers.location)) === 5)
  t.equal(completed.length, 1)
})

t.test('a final upload that was removed is made anew, whether or not its record is kept', async t => {
  for (const keepRecords of [false, true]) {
    const server = await startTus(t, { tus: { keepRecords } }, { directory: t.testdir() })
    const part = await partial(server, 'abc')
    for (let round = 0; round < 3; round++) {
      const { status, headers } = await server.ask('POST', '/uploads', final(part))
      t.equal(status, 201)
      t.equal(await download(server, String(headers.location)), 'abc')
      t.equal((await server.ask('DELETE', String(headers.location))).status, 204)
    }
  }
})

t.test('invariant 10: the final upload of another user is not found by asking for the same', async t => {
  const server = await startTus(t, {}, { before: usersByHeader })
  const part = await partial(server, 'abc', { 'x-user': 'me' })
  const mine = await server.ask('POST', '/uploads', { ...final(part), 'x-user': 'me' })
  t.equal(mine.status, 201)
  const yours = await server.ask('POST', '/uploads', { ...final(part), 'x-user': 'you' })
  t.match([yours.status, yours.headers.location], [404, undefined])
})
