import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { ChunkTasksOptions, HostUploads } from '../../../src/index.js'
import { uploadIdOf } from '../../../src/index.js'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import { changedMetadata, changedStorage } from '../../support/engine.js'
import {
  PATH, UNKNOWN_TASK, complete, create, get, hashOf, members, newTask, sendChunk, serveTasks, upload, type Wanted
} from '../../support/chunk-tasks.js'
import { RawHttp } from '../../support/raw-http.js'
import { type Answer, field, form, json } from '../../support/server.js'
import { recordsIn } from '../../support/records.js'

const POOL = '11111111-2222-3333-4444-555555555555'
const BUNDLE = 'AAAAAAAA-2222-3333-4444-555555555555'
const TEN = Buffer.from('0123456789')
const THREES: Wanted = { file_size: 10, chunk_size: 3 }

function exactly (t: Test, answer: Answer, status: number, body: unknown): void {
  t.equal(answer.text, typeof body === 'string' ? body : JSON.stringify(body))
  t.equal(answer.status, status)
}

t.test('chunks in any order make the file, each answered by an empty 200', async t => {
  const server = await serveTasks(t)
  const task = await newTask(server, { ...THREES, hash: hashOf('sha256', TEN) })
  for (const index of [3, 0, 2, 1]) {
    const answer = await sendChunk(server, task, index, TEN.subarray(index * 3, index * 3 + 3))
    exactly(t, answer, 200, '')
    t.equal(answer.headers['content-length'], '0')
  }
  const answer = await complete(server, task)
  const file = members(answer)
  const { uploaded_at: uploadedAt, created_at: createdAt, updated_at: updatedAt, storage_id: location } = file
  for (const time of [uploadedAt, createdAt, updatedAt]) t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  exactly(t, answer, 200, {
    id: task,
    name: 'a.bin',
    size: 10,
    mime_type: 'application/octet-stream',
    hash: hashOf('sha256', TEN),
    description: null,
    file_meta: {},
    user_meta: null,
    sensitive_marks: [],
    references: [],
    expired_at: null,
    uploaded_at: uploadedAt,
    has_compression: false,
    has_thumbnail: false,
    is_encrypted: false,
    is_marked_recycle: false,
    pool: null,
    pool_id: null,
    bundle_id: null,
    storage_id: location,
    storage_url: null,
    account_id: 'ann',
    resource_identifier: `file:${task}`,
    created_at: createdAt,
    updated_at: updatedAt,
    deleted_at: null
  })
  exactly(t, await complete(server, task), 404, UNKNOWN_TASK)
  exactly(t, await sendChunk(server, task, 0, TEN.subarray(0, 3)), 404, UNKNOWN_TASK)
})

t.test('an empty file is complete without a chunk', async t => {
  const server = await serveTasks(t)
  t.match((await upload(server, Buffer.alloc(0), { hash: hashOf('md5', '') })).json, { size: 0, hash: hashOf('md5', '') })
})

t.test('each fault of a chunk has its own answer, and loses nothing', async t => {
  const server = await serveTasks(t)
  const task = await newTask(server, THREES)
  const mismatch = (message: string): object => ({ code: 'CHUNK_SIZE_MISMATCH', message, status: 400 })
  const outOfRange = (index: number): object =>
    ({ code: 'CHUNK_INDEX_OUT_OF_RANGE', message: `Chunk index ${index} is out of range, the file has 4 chunks.`, status: 400 })
  const invalid = (errors: object): object =>
    ({ code: 'VALIDATION_ERROR', message: 'One or more validation errors occurred.', status: 400, errors })

  exactly(t, await sendChunk(server, 'V1StGXR8_Z5jdHi6B-myT', 0, 'abc'), 404, UNKNOWN_TASK)
  exactly(t, await sendChunk(server, '..%2f..%2fetc', 0, 'abc'), 404, UNKNOWN_TASK)
  exactly(t, await sendChunk(server, task, 0, 'abc', 'bob'), 404, UNKNOWN_TASK)
  exactly(t, await sendChunk(server, task, -1, 'abc'), 400, outOfRange(-1))
  exactly(t, await sendChunk(server, task, 4, 'abc'), 400, outOfRange(4))
  exactly(t, await sendChunk(server, task, 'x', 'abc'), 400, invalid({ chunkIndex: ["The value 'x' is not valid."] }))
  exactly(t, await sendChunk(server, task, 0, 'ab'), 400, mismatch('Chunk has 2 bytes, expected 3.'))
  exactly(t, await sendChunk(server, task, 0, ''), 400, mismatch('Chunk has 0 bytes, expected 3.'))
  exactly(t, await sendChunk(server, task, 3, 'ab'), 400, mismatch('Chunk has 2 bytes, expected 1.'))
  const tooLarge = { code: 'CHUNK_TOO_LARGE', message: 'Chunk has more than 3 bytes.', status: 413 }
  for (const index of [0, 3]) exactly(t, await sendChunk(server, task, index, 'abcd'), 413, tooLarge)

  const headers = { 'x-user': 'ann' }
  const required = invalid({ chunk: ['The chunk field is required.'] })
  const other = form([{ name: 'file', filename: 'a', content: 'abc' }])
  const text = form([{ name: 'chunk', content: 'abc' }])
  for (const { headers: more, body } of [other, text, json({ chunk: 'abc' })]) {
    exactly(t, await server.send('POST', `${PATH}/chunk/${task}/0`, { headers: { ...more, ...headers }, body }), 400, required)
  }
  exactly(t, await server.send('POST', `${PATH}/chunk/${task}/0`, { headers }), 400, required)
  t.match((await get(server, `resume/${task}`)).json, { chunks_uploaded: 0, uploaded_chunks: [] })
})

t.test('a task is found by its id in every form, with and without the final slash', async t => {
  const server = await serveTasks(t)
  const task = await newTask(server, THREES)
  const hex = uploadIdOf(task)
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-').toUpperCase()
  for (const [index, id] of [[0, hex], [1, uuid], ['2/', task]] as const) {
    t.equal((await sendChunk(server, id, index, 'abc')).status, 200)
  }
})

t.test('completing names the lowest missing chunk and all of them, and keeps the task', async t => {
  for (const errorStyle of ['api', 'text'] as const) {
    const server = await serveTasks(t, { errorStyle })
    const task = await newTask(server, THREES)
    await sendChunk(server, task, 0, '012')
    await sendChunk(server, task, 2, '678')
    exactly(t, await complete(server, task), 400, errorStyle === 'text'
      ? 'Chunk 1 is missing.'
      : { code: 'CHUNK_MISSING', message: 'Chunk 1 is missing.', status: 400, meta: { missing: [1, 3] } })
    exactly(t, await complete(server, task, 'bob'), 404, errorStyle === 'text' ? 'Upload task not found.' : UNKNOWN_TASK)
    await sendChunk(server, task, 1, '345')
    await sendChunk(server, task, 3, '9')
    t.match(await complete(server, task), { status: 200, json: { size: 10 } })
  }
})

t.test('a hash is verified by its length, a wrong one keeps the task, and the right chunk heals it', async t => {
  const server = await serveTasks(t)
  for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512']) {
    const task = await newTask(server, { ...THREES, hash: hashOf(algorithm, TEN).toUpperCase() })
    for (const [index, content] of ['012', '3X5', '678', '9'].entries()) await sendChunk(server, task, index, content)
    exactly(t, await complete(server, task), 400, { code: 'HASH_MISMATCH', message: 'The hash of the file does not match.', status: 400 })
    t.equal((await sendChunk(server, task, 1, '345')).status, 200)
    t.match(await complete(server, task), { status: 200, json: { hash: hashOf(algorithm, TEN) } })
  }
  t.match(await upload(server, TEN, { hash: 'crc32:abcdef' }), { status: 200, json: { hash: 'crc32:abcdef' } }, 'an unknown kind is kept')
})

t.test('what the host did to a record is told', async t => {
  const server = await serveTasks(t, {}, { onCreate: draft => ({ ...draft, protocolState: draft.filename === 'lost' ? {} : { hash: 7 } }) })
  const lost = await newTask(server, { file_name: 'lost' })
  exactly(t, await complete(server, lost), 404, {
    code: 'NOT_FOUND', message: "The requested resource 'Upload task metadata' was not found.", status: 404, detail: 'Upload task metadata'
  })
  const broken = await newTask(server)
  exactly(t, await complete(server, broken), 400, { code: 'BAD_REQUEST', message: 'Invalid task metadata.', status: 400 })
})

t.test('a stored file that is shorter than its chunks were is an error of its size', async t => {
  const memory = memoryStorage()
  const { StorageLost } = await import('../../../src/storage/contract.js')
  const storage = changedStorage(memory, { finish: async () => { throw new StorageLost('too short') } })
  const server = await serveTasks(t, {}, { storage })
  const task = await newTask(server)
  await sendChunk(server, task, 0, TEN)
  exactly(t, await complete(server, task), 400, { code: 'SIZE_MISMATCH', message: 'The stored file has not 10 bytes.', status: 400 })
})

t.test('pool and bundle are looked at again when the task completes', async t => {
  let there = true
  const server = await serveTasks(t, {
    resolvePool: id => there && id !== null ? { id, name: 'mine' } : null,
    resolveBundle: id => id.startsWith('aaaa') ? { expiredAt: '2040-01-01T00:00:00.000Z' } : null
  })
  const expiring = { expired_at: '2030-01-01T02:00:00+02:00' }
  const failed = (message: string): object => ({ code: 'UPLOAD_FAILED', message, status: 400 })
  const first = await newTask(server, { pool_id: POOL, bundle_id: BUNDLE, ...expiring })
  await sendChunk(server, first, 0, TEN)
  t.match((await complete(server, first)).json, {
    pool: { id: POOL, name: 'mine', description: null },
    pool_id: POOL,
    bundle_id: BUNDLE.toLowerCase(),
    expired_at: '2040-01-01T00:00:00.000Z'
  })
  const second = await newTask(server, { bundle_id: POOL, ...expiring })
  await sendChunk(server, second, 0, TEN)
  exactly(t, await complete(server, second), 400, failed('The bundle of this upload is not available.'))
  const third = await newTask(server, { pool_id: POOL })
  await sendChunk(server, third, 0, TEN)
  there = false
  exactly(t, await complete(server, third), 400, failed('The pool of this upload is not available.'))
  there = true
  t.match((await complete(server, third)).json, { expired_at: null, pool_id: POOL }, 'the task was kept')
})

t.test('the host words files: by its own record, or by the reply of onComplete', async t => {
  const server = await serveTasks(t, { fileRecord: (upload, _request, file) => ({ mine: upload.filename, hash: file['hash'] ?? null }) })
  exactly(t, await upload(server, TEN, { hash: hashOf('md5', TEN) }), 200, { mine: 'a.bin', hash: hashOf('md5', TEN) })
  const other = await serveTasks(t, {}, { onComplete: () => ({ statusCode: 201, headers: { 'x-a': 'b' }, body: { done: true } }) })
  const answer = await upload(other, TEN)
  exactly(t, answer, 201, { done: true })
  t.equal(answer.headers['x-a'], 'b')
})

t.test('an index that comes again replaces the chunk, and the same bytes change nothing', async t => {
  const server = await serveTasks(t)
  const task = await newTask(server, THREES)
  for (const content of ['abc', 'abc', 'abX', '012']) exactly(t, await sendChunk(server, task, 0, content), 200, '')
  t.match((await sendChunk(server, task, 0, 'abcd')).json, { code: 'CHUNK_TOO_LARGE' })
  t.match((await sendChunk(server, task, 0, 'ab')).json, { code: 'CHUNK_SIZE_MISMATCH' })
  for (const [index, content] of [[1, '345'], [2, '678'], [3, '9']] as const) await sendChunk(server, task, index, content)
  t.equal((await complete(server, task)).status, 200)
  t.strictSame(await bytesOf(server.app.chunkedUpload, task), TEN)
  t.equal((await recordsIn(server.directory)).length, 1, 'nothing that was kept aside is left')
})

t.test('a repeated chunk that is cut leaves the one that is there', async t => {
  const server = await serveTasks(t)
  const task = await newTask(server, { file_size: 100_000, chunk_size: 100_000 })
  const bytes = Buffer.alloc(100_000, 'a')
  await sendChunk(server, task, 0, bytes)
  const { headers, body } = form([{ name: 'chunk', filename: 'blob', content: Buffer.alloc(100_000, 'b') }])
  const cut = await RawHttp.connect(server.port)
  const head = { 'x-user': 'ann', 'content-type': String(headers['content-type']), 'content-length': body.length }
  cut.request('POST', `${PATH}/chunk/${task}/0`, head, body.subarray(0, 60_000))
  await new Promise(resolve => { setTimeout(resolve, 100) })
  cut.socket.destroy()
  t.match((await get(server, `progress/${task}`)).json, { progress: 100 })
  t.equal((await complete(server, task)).status, 200)
  t.strictSame(await bytesOf(server.app.chunkedUpload, task), bytes)
})

t.test('as in the original of late 2025 a chunk that is there may be dropped', async t => {
  const server = await serveTasks(t, { repeats: 'discard' })
  const task = await newTask(server, THREES)
  exactly(t, await sendChunk(server, task, 0, '012'), 200, '')
  exactly(t, await sendChunk(server, task, 0, 'xyz'), 200, { message: 'Chunk already uploaded' })
  t.strictSame(await bytesOf(server.app.chunkedUpload, task), Buffer.from('012'))
})

interface Dedupe {
  readonly name: string
  readonly options?: ChunkTasksOptions
  readonly wanted?: Wanted
  readonly user?: string
  readonly known: boolean
  /** By a hash of a kind that is not verified. Default: as `known` */
  readonly unverified?: boolean
}

const DEDUPES: readonly Dedupe[] = [
  { name: 'the same user', known: true },
  { name: 'another user', user: 'bob', known: false },
  { name: 'another user, where a hash is worth it to the host', user: 'bob', options: { dedupe: 'all' }, known: true, unverified: false },
  { name: 'the same user, where everybody\'s files count', options: { dedupe: 'all' }, known: true },
  { name: 'the same user in another pool', wanted: { pool_id: POOL }, known: false },
  { name: 'the same hash of another size', wanted: { file_size: 11 }, known: false },
  { name: 'nobody, where it is off', options: { dedupe: false }, known: false }
]

t.test('a file that is there already need not be sent: instant upload', async t => {
  for (const { name, options, wanted, user, known: verified, unverified = verified } of DEDUPES) {
    for (const [hash, known] of [[hashOf('sha1', TEN), verified], ['my-own-hash', unverified]] as const) {
      await t.test(`${name}, by ${hash}`, async t => {
        const server = await serveTasks(t, options)
        const first = await upload(server, TEN, { hash })
        const answer = await create(server, { hash: hash.toUpperCase(), ...wanted }, user)
        t.equal(members(answer)['file_exists'], known)
        if (known && user === 'bob') {
          const { file } = members(answer)
          t.match(file, { account_id: 'bob', size: 10, name: 'a.bin' })
          t.notMatch(file, { id: members(first)['id'] }, 'a record of his own')
          t.notOk(answer.text.includes('ann') || answer.text.includes(String(members(first)['storage_id'])), 'nothing of the other one')
          const again = await create(server, { hash, file_name: 'b.bin' }, user)
          t.match(again.json, { file_exists: true, file: { id: Object(file).id } }, 'made once')
        } else if (known) {
          exactly(t, answer, 200, { file_exists: true, file: first.json, task_id: null, chunk_size: null, chunks_count: null })
        }
      })
    }
  }
})

t.test('an unverified hash gives no user another\'s file, and no file of another user is looked at for it', async t => {
  const fake = 'ab'.repeat(48)
  for (const [options, plugin] of [[{ dedupe: 'all' }, {}], [{}, { userRestricted: false }]] as const) {
    const memory = memoryMetadata()
    const users: unknown[] = []
    const metadata = changedMetadata(memory, {
      list: async query => {
        users.push(query.user)
        return await memory.list(query)
      }
    })
    const server = await serveTasks(t, options, { ...plugin, metadata, sweepInterval: false })
    t.equal((await upload(server, Buffer.from('evil'), { hash: fake }, 'mallory')).status, 200)
    t.match((await create(server, { hash: fake, file_size: 4 }, 'mallory')).json, { file_exists: true })
    users.length = 0
    t.match((await create(server, { hash: fake, file_size: 4 }, 'victim')).json, { file_exists: false })
    t.match((await create(server, { hash: hashOf('md5', 'evil'), file_size: 4 }, 'victim')).json, { file_exists: false })
    t.strictSame(users, ['victim'])
  }
})

t.test('a file that the host keeps without its checksum is not found by others, whatever its hash is said to be', async t => {
  const server = await serveTasks(t, { dedupe: 'all' }, {
    onCreate: draft => draft.filename === 'unverified' ? { ...draft, checksum: null } : draft
  })
  const hash = hashOf('md5', TEN)
  const { id } = members(await upload(server, TEN, { hash }))
  // The index tells of this one, which is over, so that all others are looked through.
  await upload(server, Buffer.from('good'), { hash: hashOf('md5', 'good'), expired_at: '2001-01-01' })
  await upload(server, Buffer.from('evil'), { hash: hashOf('md5', 'good'), file_name: 'unverified' }, 'mallory')
  t.match((await create(server, { hash: hashOf('md5', 'good'), file_size: 4 }, 'victim')).json, { file_exists: false })
  const { file } = members(await create(server, { hash }, 'victim'))
  t.match(file, { account_id: 'victim' })
  t.not(Object(file).id, id)
})

t.test('of several files with a hash the one of the right pool is found, and none that is over', async t => {
  const server = await serveTasks(t)
  const hash = hashOf('md5', TEN)
  await upload(server, TEN, { hash, pool_id: POOL })
  const { id } = members(await upload(server, TEN, { hash }))
  t.match((await create(server, { hash })).json, { file_exists: true, file: { id } })
  await upload(server, Buffer.from('over'), { hash: hashOf('md5', 'over'), expired_at: '2001-01-01' })
  t.match((await create(server, { hash: hashOf('md5', 'over'), file_size: 4 })).json, { file_exists: false })
})

t.test('the host may find files by itself, and anonymous users share none', async t => {
  const server = await serveTasks(t, {
    dedupe: async (task, request) => await request.server.chunkedUpload.get(uploadIdOf(task.hash))
  })
  const task = field(await upload(server, TEN), 'id')
  t.match((await create(server, { hash: task })).json, { file_exists: true, file: { id: task } })
  const plain = await serveTasks(t, {}, { user: () => null })
  await upload(plain, TEN, { hash: hashOf('md5', TEN) })
  t.match((await create(plain, { hash: hashOf('md5', TEN) })).json, { file_exists: false })
  const open = await serveTasks(t, {}, { user: () => null, userRestricted: false })
  await upload(open, TEN, { hash: hashOf('md5', TEN) })
  t.match((await create(open, { hash: hashOf('md5', TEN) })).json, { file_exists: true })
})

t.test('files are swept once their own time is over, if the host wants it', async t => {
  const server = await serveTasks(t, { sweepFiles: 5 })
  const over = field(await upload(server, TEN, { expired_at: '2001-01-01T00:00:00' }), 'id')
  const later = field(await upload(server, TEN, { expired_at: '2101-01-01T00:00:00Z' }), 'id')
  const never = field(await upload(server, TEN), 'id')
  const there = async (id: string): Promise<boolean> => await server.app.chunkedUpload.get(uploadIdOf(id)) !== undefined
  while (await there(over)) await new Promise(resolve => { setTimeout(resolve, 5) })
  t.ok(await there(later))
  t.ok(await there(never))
})

t.test('invariant 4: without that option nothing removes a finished file', async t => {
  const server = await serveTasks(t)
  const over = field(await upload(server, TEN, { expired_at: '2001-01-01T00:00:00' }), 'id')
  await server.app.chunkedUpload.deleteExpired()
  t.ok(await server.app.chunkedUpload.get(uploadIdOf(over)))
})

t.test('a storage that only appends takes chunks in their order and says which one comes next', async t => {
  const memory = memoryStorage()
  const storage = changedStorage(memory, { capabilities: { ...memory.capabilities, anyOffset: false } })
  const server = await serveTasks(t, {}, { storage, metadata: memoryMetadata() })
  const task = await newTask(server, THREES)
  await sendChunk(server, task, 0, '012')
  exactly(t, await sendChunk(server, task, 2, '678'), 409, {
    code: 'CHUNK_OUT_OF_ORDER', message: 'Chunk 1 has to come first.', status: 409, meta: { expected: 1 }
  })
  for (const [index, content] of [[1, '345'], [0, '012'], [2, '678'], [3, '9']] as const) {
    t.equal((await sendChunk(server, task, index, content)).status, 200)
  }
  t.equal((await complete(server, task)).status, 200)
})

t.test('trouble with the storage says to try again, and keeps what is there', async t => {
  const memory = memoryStorage()
  let full: 'ENOSPC' | 'EFBIG' | undefined
  const storage = changedStorage(memory, {
    write: async (upload, start, batches, progress) => {
      if (full !== undefined) throw Object.assign(new Error('no space'), { code: full })
      if (start === 3) throw new Error('down')
      await memory.write(upload, start, batches, progress)
    }
  })
  const server = await serveTasks(t, {}, { storage }, { mayFail: true })
  const task = await newTask(server, THREES)
  await sendChunk(server, task, 0, '012')
  const answer = await sendChunk(server, task, 1, '345')
  exactly(t, answer, 503, { code: 'SERVICE_UNAVAILABLE', message: 'Storage is not available', status: 503 })
  t.equal(answer.headers['retry-after'], '1')
  for (const reason of ['ENOSPC', 'EFBIG'] as const) {
    full = reason
    const refused = await sendChunk(server, task, 2, '678')
    exactly(t, refused, 507, { code: 'INSUFFICIENT_STORAGE', message: 'Storage is full', status: 507 })
    t.equal(refused.headers['retry-after'], undefined, 'nothing changes by trying again at once')
  }
  t.match((await get(server, `progress/${task}`)).json, { uploaded_chunks: [0] })
})

t.test('invariant 13: trouble with the storage while a chunk is compared with the one that is there says to try again', async t => {
  for (const failing of [undefined, true]) {
    const memory = memoryStorage()
    let fails = true
    const storage = changedStorage(memory, {
      read: (upload, range) => {
        if (!fails || upload.internal !== failing) return memory.read(upload, range)
        const stream = new Readable({ read: () => {} })
        process.nextTick(() => { stream.destroy(Object.assign(new Error('too many open files'), { code: 'EMFILE' })) })
        return stream
      }
    })
    const server = await serveTasks(t, {}, { storage }, { mayFail: true })
    const task = await newTask(server, THREES)
    await sendChunk(server, task, 0, '012')
    exactly(t, await sendChunk(server, task, 0, 'abc'), 503, {
      code: 'SERVICE_UNAVAILABLE', message: 'Storage is not available', status: 503
    })
    fails = false
    exactly(t, await sendChunk(server, task, 0, 'abc'), 200, '')
    t.strictSame(await bytesOf(server.app.chunkedUpload, task), Buffer.from('abc'))
  }
})

async function bytesOf (uploads: HostUploads, task: string): Promise<Buffer> {
  const upload = await uploads.get(uploadIdOf(task))
  if (upload === undefined) throw new Error('no upload')
  return await uploads.read(upload).toArray().then((parts: Buffer[]) => Buffer.concat(parts))
}
