import t from 'tap'
import { uploadIdOf } from '../../../src/index.js'
import {
  PATH, UNKNOWN_TASK, complete, create, del, get, hashOf, members, newTask, sendChunk, serveTasks, upload
} from '../../support/chunk-tasks.js'
import { type TestServer, form } from '../../support/server.js'

const POOL = '11111111-2222-3333-4444-555555555555'
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const TEN = Buffer.from('0123456789')
const THREES = { file_size: 10, chunk_size: 3 }

t.test('a client that knows only the id of a task goes on with it', async t => {
  const server = await serveTasks(t)
  const task = await newTask(server, THREES)
  await sendChunk(server, task, 3, '9')
  await sendChunk(server, task, 1, '345')
  const answer = await get(server, `resume/${task}`)
  t.equal(answer.status, 200)
  t.equal(answer.text, JSON.stringify({
    task_id: task,
    file_name: 'a.bin',
    file_size: 10,
    content_type: 'application/octet-stream',
    chunk_size: 3,
    chunks_count: 4,
    chunks_uploaded: 2,
    uploaded_chunks: [1, 3],
    progress: 50
  }))
  const progress = await get(server, `progress/${task}`)
  t.match(members(progress)['last_activity'], TIME)
  t.equal(progress.text, JSON.stringify({
    task_id: task,
    file_name: 'a.bin',
    file_size: 10,
    chunks_count: 4,
    chunks_uploaded: 2,
    progress: 50,
    status: 1,
    last_activity: members(progress)['last_activity'],
    uploaded_chunks: [1, 3]
  }))
})

t.test('progress, resumption, details and cancelling know only tasks in progress, and only to their owner', async t => {
  const server = await serveTasks(t)
  const done = String(members(await upload(server, TEN))['id'])
  const bobs = await newTask(server, THREES, 'bob')
  for (const task of [done, bobs, 'V1StGXR8_Z5jdHi6B-myT']) {
    for (const path of [`progress/${task}`, `resume/${task}`, `tasks/${task}/details`]) {
      const answer = await get(server, path)
      t.equal(answer.status, 404, path)
      t.equal(answer.text, JSON.stringify(UNKNOWN_TASK))
    }
    t.equal((await del(server, `task/${task}`)).text, JSON.stringify(UNKNOWN_TASK))
  }
  t.ok(await server.app.chunkedUpload.get(uploadIdOf(done)))
  t.ok(await server.app.chunkedUpload.get(uploadIdOf(bobs)))
})

t.test('a list has the tasks of its user in every state, with all members', async t => {
  const server = await serveTasks(t, { resolvePool: id => id === null ? null : { id, name: 'mine' } })
  const task = await newTask(server, { ...THREES, pool_id: POOL, bundle_id: POOL })
  await sendChunk(server, task, 0, '012')
  await newTask(server, {}, 'bob')
  const answer = await get(server, 'tasks')
  t.equal(answer.headers['x-total'], '1')
  const [row = {}] = rows(answer.json)
  for (const time of ['last_activity', 'created_at', 'updated_at']) t.match(row[time], TIME)
  t.equal(answer.text, JSON.stringify([{
    task_id: task,
    file_name: 'a.bin',
    file_size: 10,
    content_type: 'application/octet-stream',
    chunk_size: 3,
    chunks_count: 4,
    chunks_uploaded: 1,
    progress: 25,
    status: 1,
    last_activity: row['last_activity'],
    created_at: row['created_at'],
    updated_at: row['updated_at'],
    uploaded_chunks: [0],
    pool: { pool_id: POOL, name: 'mine' },
    bundle: { bundle_id: POOL }
  }]))
  t.match((await get(server, `tasks/${task}/details`)).json, {
    task: { task_id: task, expired_at: null, hash: '', uploaded_chunks: [0] },
    pool: { id: POOL, name: 'mine', description: null },
    bundle: { bundle_id: POOL },
    estimated_time_remaining: Number,
    upload_speed: Number
  })
})

const LISTS: ReadonlyArray<readonly [query: string, names: readonly string[], total: string]> = [
  ['', ['c', 'b', 'a'], '3'],
  ['?sortBy=filename&sortDescending=false', ['a', 'b', 'c'], '3'],
  ['?sort_by=fileName', ['c', 'b', 'a'], '3'],
  ['?sortBy=filesize', ['a', 'c', 'b'], '3'],
  ['?sortBy=createdAt&sortDescending=false', ['a', 'b', 'c'], '3'],
  ['?sortBy=updatedAt', ['c', 'b', 'a'], '3'],
  ['?status=Completed', ['b'], '1'],
  ['?status=3', ['b'], '1'],
  ['?status=in_progress', ['c', 'a'], '2'],
  ['?status=Paused', [], '0'],
  ['?offset=1&limit=1', ['b'], '3'],
  ['?limit=0', [], '3']
]

t.test('lists are sorted, filtered and cut into pages as the query says', async t => {
  const server = await serveTasks(t)
  for (const [name, size] of [['a', 30], ['b', 10], ['c', 20]] as const) {
    if (name === 'b') await upload(server, TEN, { file_name: name })
    else await newTask(server, { file_name: name, file_size: size })
    await new Promise(resolve => { setTimeout(resolve, 3) })
  }
  for (const [query, names, total] of LISTS) {
    const answer = await get(server, `tasks/${query}`)
    t.strictSame(rows(answer.json).map(row => row['file_name']), names, query)
    t.equal(answer.headers['x-total'], total, query)
  }
  for (const query of ['status=9', 'status=odd', 'sortBy=color', 'offset=-1', 'limit=x']) {
    t.match(await get(server, `tasks?${query}`), { status: 400, json: { code: 'VALIDATION_ERROR' } }, query)
  }
  t.strictSame(rows((await get(server, 'tasks/recent?limit=2')).json).map(row => row['file_name']), ['c', 'b'])
  t.match(await get(server, 'tasks/recent?limit=many'), { status: 400, json: { code: 'VALIDATION_ERROR' } })
  const [recent = {}] = rows((await get(server, 'tasks/recent/')).json)
  t.strictSame(Object.keys(recent), [
    'task_id', 'file_name', 'file_size', 'content_type', 'progress', 'status', 'last_activity', 'created_at'
  ])
})

t.test('a cancelled task is gone at once, and its record until it is cleaned up', async t => {
  const server = await serveTasks(t)
  const task = await newTask(server, THREES)
  await sendChunk(server, task, 0, '012')
  const answer = await del(server, `task/${task}`)
  t.equal(answer.status, 200)
  t.equal(answer.text, '{"message":"Upload task cancelled"}')
  for (const later of [await sendChunk(server, task, 1, '345'), await complete(server, task), await del(server, `task/${task}`)]) {
    t.equal(later.text, JSON.stringify(UNKNOWN_TASK))
  }
  t.match((await get(server, 'tasks')).json, [{ task_id: task, status: 5, chunks_uploaded: 0 }])
  t.equal((await del(server, 'tasks/cleanup', 'bob')).text, '{"message":"Cleaned up 0 failed tasks"}')
  t.equal((await del(server, 'tasks/cleanup')).text, '{"message":"Cleaned up 1 failed tasks"}')
  t.strictSame((await get(server, 'tasks')).json, [])
})

t.test('an expired task cannot be continued, is counted, and is cleaned up', async t => {
  const server = await serveTasks(t, {}, { expirationDelta: 1, sweepInterval: false })
  const task = await newTask(server, THREES)
  await new Promise(resolve => { setTimeout(resolve, 5) })
  t.equal((await sendChunk(server, task, 0, '012')).text, JSON.stringify(UNKNOWN_TASK))
  t.match((await get(server, 'tasks?status=Expired')).json, [{ task_id: task, status: 6 }])
  t.match((await get(server, 'stats')).json, { total_tasks: 1, in_progress_tasks: 0, expired_tasks: 1 })
  t.equal((await del(server, 'tasks/cleanup/')).text, '{"message":"Cleaned up 1 failed tasks"}')
  t.equal(await server.app.chunkedUpload.get(uploadIdOf(task)), undefined)
})

t.test('the host may refuse to cancel', async t => {
  const server = await serveTasks(t, {}, { onRemove: () => { throw Object.assign(new Error('keep it'), { statusCode: 409 }) } })
  const task = await newTask(server)
  t.match(await del(server, `task/${task}`), { status: 409, json: { message: 'keep it' } })
  t.equal((await sendChunk(server, task, 0, TEN)).status, 200)
})

t.test('statistics are of one\'s own tasks', async t => {
  const server = await serveTasks(t)
  t.equal((await get(server, 'stats')).text, JSON.stringify({
    total_tasks: 0,
    in_progress_tasks: 0,
    completed_tasks: 0,
    failed_tasks: 0,
    expired_tasks: 0,
    total_uploaded_bytes: 0,
    average_progress: 0,
    recent_activity: []
  }))
  await upload(server, TEN)
  const task = await newTask(server, THREES)
  await sendChunk(server, task, 0, '012')
  await newTask(server, {}, 'bob')
  t.match((await get(server, 'stats')).json, {
    total_tasks: 2,
    in_progress_tasks: 1,
    completed_tasks: 1,
    total_uploaded_bytes: 13,
    average_progress: 62.5,
    recent_activity: [{ task_id: task, progress: 25 }, { status: 3 }]
  })
})

t.test('a host may ask for more chunks than anybody can list: what is told of them counts what is there', async t => {
  const server = await serveTasks(t, { maxChunks: 5 }, {
    onCreate: draft => ({ ...draft, size: Number.MAX_SAFE_INTEGER, chunkSize: 100 })
  })
  const task = await newTask(server)
  for (const index of [0, 1, 5]) t.equal((await sendChunk(server, task, index, Buffer.alloc(100))).status, 200)
  const count = Math.ceil(Number.MAX_SAFE_INTEGER / 100)
  const progress = 3 / count * 100
  for (const path of ['progress', 'resume']) {
    t.match((await get(server, `${path}/${task}`)).json, { chunks_count: count, chunks_uploaded: 3, progress, uploaded_chunks: [0, 1, 5] })
  }
  t.match((await get(server, 'tasks')).json, [{ chunks_uploaded: 3, uploaded_chunks: [0, 1, 5] }])
  t.match((await get(server, 'tasks/recent')).json, [{ progress }])
  t.match((await get(server, 'stats')).json, { total_uploaded_bytes: 300, average_progress: progress })
  const refused = await complete(server, task)
  t.match(refused, { status: 400, json: { code: 'CHUNK_MISSING', message: 'Chunk 2 is missing.', meta: { missing: [2, 3, 4, 6, 7] } } })
})

t.test('anonymous users list nothing, but go on with a task that they know', async t => {
  const server = await serveTasks(t, {}, { user: () => null })
  const task = await newTask(server, THREES)
  t.strictSame((await get(server, 'tasks')).json, [])
  t.equal((await get(server, `resume/${task}`)).status, 200)
})

t.test('a small file comes in one request, its fields before or after it', async t => {
  const server = await serveTasks(t, { resolvePool: id => id === POOL ? { id, name: 'mine', maxFileSize: 10 } : null })
  const file = { name: 'file', filename: 'note.txt', type: 'text/plain', content: TEN }
  for (const parts of [[{ name: 'pool_id', content: POOL }, file], [file, { name: 'poolId', content: POOL }]]) {
    t.match(await direct(server, parts), {
      status: 200,
      json: { name: 'note.txt', size: 10, mime_type: 'text/plain', hash: hashOf('md5', TEN), pool_id: POOL, pool: { name: 'mine' } }
    })
  }
  const pool = { name: 'pool_id', content: POOL }
  t.match(await direct(server, [{ ...file, content: '01234567890' }, pool]), {
    status: 403, json: { message: "File size 11 is larger than the pool's maximum file size 10" }
  })
  t.match(await direct(server, [file, { name: 'pool_id', content: 'odd' }]), { status: 400, json: { code: 'VALIDATION_ERROR' } })
  t.match(await direct(server, [file, { name: 'encrypt_password', content: 'a' }]), { status: 403, json: { code: 'FORBIDDEN' } })
  let created = 0
  server.app.chunkedUpload.events.on('create', () => { created++ })
  t.match(await direct(server, [{ name: 'encrypt_password', content: 'a' }, file]), { status: 403, json: { code: 'FORBIDDEN' } })
  t.equal(created, 0, 'nothing is stored in clear that should not be')
  t.match((await get(server, 'tasks')).headers, { 'x-total': '2' }, 'nothing is left of those that were refused')
})

t.test('the type that a pool lets in is the type that is stored', async t => {
  const server = await serveTasks(t, { resolvePool: () => ({ acceptTypes: ['image/*'] }) })
  const field = (content: string) => ({ name: 'content_type', content })
  const file = (type: string) => ({ name: 'file', filename: 'a', type, content: TEN })
  for (const [parts, stored] of [
    [[file('image/png')], 'image/png'],
    [[file('text/html')], undefined],
    [[field('image/png'), file('text/html')], 'image/png'],
    [[field(''), file('image/png')], 'image/png'],
    [[file('text/html'), field('image/png')], undefined],
    [[field('text/html'), file('image/png')], undefined],
    [[file('image/png'), field('text/html')], 'image/png']
  ] as const) {
    const answer = await direct(server, parts)
    t.match(answer, stored === undefined
      ? { status: 403, json: { message: "Content type text/html is not allowed by the pool's policy" } }
      : { status: 200, json: { mime_type: stored } })
  }
  t.match((await get(server, 'tasks')).headers, { 'x-total': '4' })
  const typed = await serveTasks(t, {}, { allowedTypes: ['image/*'] })
  t.equal((await direct(typed, [field('text/html'), file('image/png')])).status, 415, 'and so is the type that the registration lets in')
})

t.test('direct says what it lacks, and what it does not take', async t => {
  const server = await serveTasks(t, { directBytes: 1024 * 1024 })
  const required = '{"code":"BAD_REQUEST","message":"File is required","status":400}'
  t.equal((await direct(server, [{ name: 'other', filename: 'a', content: TEN }])).text, required)
  t.equal((await server.send('POST', `${PATH}/direct`, { headers: { 'x-user': 'ann' } })).text, required)
  const answer = await direct(server, [{ name: 'file', filename: 'a', content: Buffer.alloc(1024 * 1024 + 1) }])
  t.equal(answer.status, 400)
  t.equal(answer.text, '{"code":"BAD_REQUEST","message":"File is too large for direct upload, max size is 1MB","status":400}')
  t.equal((await direct(server, [{ name: 'file', filename: 'a', content: Buffer.alloc(1024 * 1024) }])).status, 200)
  t.equal((await create(server)).status, 200)
})

async function direct (server: TestServer, parts: Parameters<typeof form>[0]): ReturnType<TestServer['send']> {
  const { headers, body } = form(parts)
  return await server.send('POST', `${PATH}/direct`, { headers: { ...headers, 'x-user': 'ann' }, body })
}

function rows (value: unknown): ReadonlyArray<Record<string, unknown>> {
  if (!Array.isArray(value)) throw new Error('no list')
  return value
}
