import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ChunkedUploadOptions, chunkTasks, fileLocks, fileMetadata, memoryStorage, tus } from '../../../src/index.js'
import { create, newTask, sendChunk, complete } from '../../support/chunk-tasks.js'
import { startServer } from '../../support/server.js'
import { startTus } from '../../support/tus.js'

const OTHER = '0190a1b2c3d47e5f8a9b0c1d2e3f4a5b'
const places = [
  '.chunked_uploads/records/01/x.jsonl', 'a/.chunked_uploads/x', '.Chunked_Uploads/x', '.chunked_uploads./x', '.chunked_uploads /x',
  '.chunked\u200b_uploads/x', 'CHUNKE~1/x', `chunked_uploads/2026/11/03/${OTHER}.part`, `x/${OTHER}.done`, `x/${OTHER.toUpperCase()}.DONE`,
  `x/${OTHER}.done/y`, `x/${OTHER}.part.`, `x/${OTHER}.location`, `x/${OTHER}.location~`, `x/.${OTHER}.copy`
]

/** What a client's name leads to, where the host takes it for a location: the metadata have it as it came. */
function careless (place: string): ChunkedUploadOptions {
  return { location: () => place, onComplete: () => { throw new Error('the host is not asked') } }
}

for (const place of places) {
  t.test(`no finished file comes to ${JSON.stringify(place)}`, async t => {
    for (const volatile of [false, true]) {
      const options = { ...careless(place), ...volatile && { storage: memoryStorage() } }
      const server = await startTus(t, options, { mayFail: true, directory: t.testdir() })
      const path = await server.create(3)
      t.match(await server.patch(path, 0, 'abc'), { status: 500, text: 'LOCATION' })
      for await (const { status } of server.app.chunkedUpload.list()) t.equal(status, 'uploading')
    }
  })
}

async function refused (t: Test, options: ChunkedUploadOptions, directory: string): Promise<void> {
  const server = await startServer(t, { protocols: [chunkTasks()], ...options }, { mayFail: true, directory, before: () => {} })
  const answer = await create(server)
  if (answer.status === 200) {
    const task = await newTask(server)
    await sendChunk(server, task, 0, '0123456789')
    t.equal((await complete(server, task)).status, 500)
  } else t.equal(answer.status, 500)
}

t.test('records and locks that have folders of their own are as safe, and so they are behind a link', async t => {
  const directory = t.testdir({ films: {} })
  const metadata = fileMetadata({ directory: join(directory, 'my/records') })
  const locks = fileLocks({ directory: join(directory, 'my/locks') })
  t.teardown(async () => { await locks.close?.() })
  await mkdir(join(directory, 'my/records'), { recursive: true })
  await symlink(join(directory, 'my'), join(directory, 'link'))
  for (const place of ['my/records/x', 'my/records/new/folder/x', 'my/locks/x', 'link/records/new/x']) {
    await refused(t, { metadata, locks, location: () => place }, directory)
  }
  t.notOk((await readdir(join(directory, 'my/records'))).includes('new'))
  const fine = await startServer(t, { protocols: [chunkTasks()], metadata, locks, location: () => 'link/film.bin' }, { directory })
  const task = await newTask(fine)
  await sendChunk(fine, task, 0, '0123456789')
  t.equal((await complete(fine, task)).status, 200, 'another folder behind a link is the host\'s own affair')
})

t.test('nor does an unfinished one come there by a folder that a client names', async t => {
  for (const folder of ['.chunked_uploads', '.CHUNKED_UPLOADS/records', `x/${OTHER}.done`, 'link']) {
    const directory = t.testdir({ '.chunked_uploads': {}, link: t.fixture('symlink', '.chunked_uploads') })
    const server = await startServer(t, { protocols: [tus()], path: () => folder }, { mayFail: true, directory })
    const headers = { 'tus-resumable': '1.0.0', 'upload-length': '3' }
    t.match(await server.send('POST', '/uploads/', { headers }), { status: 500, text: 'LOCATION' }, folder)
  }
})

t.test('a file may be called by its own id anywhere', async t => {
  const server = await startTus(t, { location: ({ id }) => `films/${id}.done` })
  const path = await server.create(3)
  t.equal((await server.patch(path, 0, 'abc')).status, 204)
})
