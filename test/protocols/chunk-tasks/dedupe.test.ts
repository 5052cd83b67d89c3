import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ChunkTasksOptions, ChunkedUploadOptions } from '../../../src/index.js'
import { uploadIdOf } from '../../../src/protocols/chunk-tasks/task-id.js'
import { create, get, hashOf, members, upload, serveTasks } from '../../support/chunk-tasks.js'
import { type StartOptions, type TestServer, field } from '../../support/server.js'

const TEN = Buffer.from('0123456789')
const hash = hashOf('sha256', TEN)
const BUNDLE = '3f2504e0-4f89-11d3-9a0c-0305e82c3301'

/** `dedupe: 'all'`, in a host where `anonymous` is no user. */
async function serve (
  t: Test, options: ChunkTasksOptions = {}, plugin: ChunkedUploadOptions = {}, start?: StartOptions
): Promise<TestServer> {
  return await serveTasks(t, { dedupe: 'all', ...options }, {
    downloads: true,
    user: request => request.headers['x-user'] === 'anonymous' ? null : String(request.headers['x-user']),
    ...plugin
  }, start)
}

for (const [owner, asker] of [['ann', 'bob'], ['anonymous', 'bob'], ['ann', 'anonymous'], ['anonymous', 'anonymous']] as const) {
  t.test(`of a file of ${owner} ${asker} gets a copy of its own, and nothing else`, async t => {
    const server = await serve(t)
    const first = await upload(server, TEN, { hash, file_name: 'secret plan.txt', content_type: 'text/x-secret' }, owner)
    const answer = await create(server, { hash, file_name: 'mine.bin' }, asker)
    t.match(answer.json, { file_exists: true, task_id: null })
    const file = Object(members(answer)['file'])
    t.match(file, { name: 'mine.bin', size: 10, mime_type: 'application/octet-stream', hash })
    t.equal(file.account_id, asker === 'anonymous' ? null : asker)
    for (const name of ['id', 'storage_id', 'resource_identifier']) t.not(file[name], Object(first.json)[name], name)
    t.ok(Date.parse(file.uploaded_at) >= Date.parse(field(first, 'uploaded_at')))
    for (const told of ['secret', field(first, 'id'), field(first, 'storage_id')]) t.notOk(answer.text.includes(told), told)

    t.equal((await get(server, `file/${file.id}`, asker)).text, String(TEN))
    if (asker === 'bob') t.equal((await get(server, `file/${file.id}`, 'ann')).status, 404)
    if (owner === 'ann') t.equal((await get(server, `file/${field(first, 'id')}`, asker)).status, 404)
    await server.app.chunkedUpload.remove(uploadIdOf(field(first, 'id')))
    t.equal((await get(server, `file/${file.id}`, asker)).text, String(TEN), 'whatever becomes of the first one')
  })
}

t.test('a copy is an upload like others: hooks, limits, bundles, events', async t => {
  const created: unknown[] = []
  const completed: unknown[] = []
  const server = await serve(t, {
    resolveBundle: id => id === BUNDLE ? { expiredAt: '2101-01-01T00:00:00.000Z' } : null
  }, {
    onCreate: (draft, { request }) => {
      created.push([request.headers['x-user'], draft.filename])
      if (draft.filename === 'refused') throw Object.assign(new Error('no'), { statusCode: 403 })
    },
    onComplete: ({ filename }) => { completed.push(filename) }
  })
  await upload(server, TEN, { hash })
  t.equal((await create(server, { hash, file_name: 'refused' }, 'bob')).status, 403)
  const events: unknown[] = []
  server.app.chunkedUpload.events.on('complete', ({ user, filename }) => { events.push([user, filename]) })
  t.equal((await create(server, { hash, file_name: 'lost', bundle_id: BUNDLE.replace('3f', '4f') }, 'bob')).status, 400)
  const answer = await create(server, { hash, file_name: 'b.bin', bundle_id: BUNDLE }, 'bob')
  t.match(answer.json, { file_exists: true, file: { bundle_id: BUNDLE, expired_at: '2101-01-01T00:00:00.000Z' } })
  t.strictSame(created.at(-1), ['bob', 'b.bin'])
  t.strictSame(completed, ['a.bin', 'b.bin'])
  t.strictSame(events, [['bob', 'b.bin']])
  t.equal((await get(server, 'tasks', 'bob')).headers['x-total'], '1', 'what was refused leaves no task')
})

t.test('a file of which the bytes are gone or others makes no copy: the client sends it', async t => {
  for (const [says, content] of [['gone', ''], ['others', 'abcdefghij']] as const) {
    await t.test(says, async t => {
      // That a file is gone is logged.
      const server = await serve(t, {}, {}, { mayFail: says === 'gone' })
      const first = await upload(server, TEN, { hash })
      await writeFile(join(server.directory, field(first, 'storage_id')), content)
      const answer = await create(server, { hash }, 'bob')
      t.match(answer.json, { file_exists: false, file: null })
      t.ok(field(answer, 'task_id'))
      t.equal((await get(server, 'tasks', 'bob')).headers['x-total'], '1')
    })
  }
})
