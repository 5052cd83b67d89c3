import { randomUUID } from 'node:crypto'
import t from 'tap'
import { taskIdOf, uploadIdOf } from '../../../src/index.js'
import type { ChunkTasksOptions } from '../../../src/index.js'
import { PATH, create, createMessage, get, hashOf, members, newTask, serveTasks, upload, type Wanted } from '../../support/chunk-tasks.js'
import { json, type Message } from '../../support/server.js'

const POOL = '11111111-2222-3333-4444-555555555555'
const invalid = (errors: Record<string, string[]>): object =>
  ({ code: 'VALIDATION_ERROR', message: 'One or more validation errors occurred.', status: 400, errors })
const forbidden = (message = 'You do not have permission to perform this action.'): object => ({ code: 'FORBIDDEN', message, status: 403 })
const fieldError = (name: string, words: string): object => invalid({ [name]: [`The ${name} field ${words}.`] })

interface Row {
  readonly name: string
  readonly wanted?: Wanted
  readonly message?: Message
  readonly options?: ChunkTasksOptions
  readonly user?: string
  readonly status: number
  readonly body: object
  readonly text?: string
  readonly textStatus?: number
}

const pool = (policy: object): ChunkTasksOptions => ({ resolvePool: id => id === null ? null : { id, ...policy } })
const TEXT = 'a string of up to 4096 characters'
const SIZE = 'a whole number, 0 or more'
const WRONG: ReadonlyArray<readonly [name: string, wanted: Wanted, wrong: string, words: string]> = [
  ['a name that is no text', { file_name: 7 }, 'fileName', TEXT],
  ['a name of many pages', { file_name: 'a'.repeat(4097) }, 'fileName', TEXT],
  ['a type of many pages', { content_type: 'a'.repeat(4097) }, 'contentType', TEXT],
  ['a size below 0', { file_size: -1 }, 'fileSize', SIZE],
  ['a size with a fraction', { file_size: 1.5 }, 'fileSize', SIZE],
  ['a size as text', { file_size: '10' }, 'fileSize', SIZE],
  ['a size beyond counting', { file_size: 2 ** 60 }, 'fileSize', SIZE],
  ['chunks of 0 bytes', { chunk_size: 0 }, 'chunkSize', 'a whole number above 0'],
  ['chunks of fewer than 0 bytes', { chunk_size: -5 }, 'chunkSize', 'a whole number above 0'],
  ['a pool that is no UUID', { pool_id: 'mine' }, 'poolId', 'a UUID'],
  ['a bundle that is no UUID', { bundle_id: 3 }, 'bundleId', 'a UUID'],
  ['an expiry that is no time', { expired_at: 'soon' }, 'expiredAt', 'an ISO 8601 time'],
  ['an expiry that no month has', { expired_at: '2030-13-01' }, 'expiredAt', 'an ISO 8601 time']
]

const ROWS: readonly Row[] = [
  {
    name: 'nobody is authenticated',
    message: json({ nonsense: true }),
    options: { requireUser: true },
    status: 401,
    body: { code: 'UNAUTHORIZED', message: 'Authentication is required.', status: 401 },
    text: 'Authentication is required.'
  },
  ...(['hash', 'file_name', 'file_size', 'content_type'] as const).map(name => ({
    name: `${name} is missing`,
    wanted: { [name]: undefined },
    status: 400,
    body: fieldError(name.replace(/_(.)/, (_, letter: string) => letter.toUpperCase()), 'is required')
  })),
  ...WRONG.map(([name, wanted, wrong, words]) => ({ name, wanted, status: 400, body: fieldError(wrong, `must be ${words}`) })),
  {
    name: 'several fields wrong at once',
    message: json({ hash: 1 }),
    status: 400,
    body: invalid({
      hash: [`The hash field must be ${TEXT}.`],
      fileName: ['The fileName field is required.'],
      fileSize: ['The fileSize field is required.'],
      contentType: ['The contentType field is required.']
    }),
    text: `The hash field must be ${TEXT}.`
  },
  {
    name: 'a body that is no object',
    message: json([1]),
    status: 400,
    body: invalid({ $: ['Form is invalid: an object is expected'] })
  },
  {
    name: 'a form instead of JSON',
    message: { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'hash=1' },
    status: 415,
    body: {
      code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Unsupported media type "application/x-www-form-urlencoded" in request.', status: 415
    }
  },
  { name: 'no permission to create files', options: { authorize: () => false }, status: 403, body: forbidden() },
  {
    name: 'an unknown pool',
    wanted: { pool_id: POOL },
    options: { resolvePool: () => undefined },
    status: 404,
    body: { code: 'NOT_FOUND', message: "The requested resource 'Pool' was not found.", status: 404, detail: 'Pool' },
    text: 'Pool not found',
    textStatus: 400
  },
  {
    name: "a tier below the pool's",
    wanted: { pool_id: POOL },
    options: pool({ tier: { required: 3, actual: 1 } }),
    status: 403,
    body: forbidden('Tier 3 is needed to use this pool, yours is 1'),
    text: 'You need Stellar Program tier 3 to use this pool, you are tier 1'
  },
  {
    name: 'a password where nothing is encrypted',
    wanted: { encrypt_password: 'secret' },
    status: 403,
    body: forbidden('File encryption is not allowed in this pool'),
    text: 'File encryption is not allowed in this pool'
  },
  {
    name: 'no type where the pool restricts types',
    wanted: { pool_id: POOL, content_type: '' },
    options: pool({ acceptTypes: ['image/*'] }),
    status: 400,
    body: invalid({ contentType: ["Content type is required by the pool's policy"] }),
    text: "Content type is required by the pool's policy"
  },
  {
    name: 'a type that the pool does not take',
    wanted: { pool_id: POOL, content_type: 'imagery/png' },
    options: pool({ acceptTypes: ['image/*', 'video/mp4'] }),
    status: 403,
    body: forbidden("Content type imagery/png is not allowed by the pool's policy"),
    text: "Content type imagery/png is not allowed by the pool's policy"
  },
  {
    name: 'a file larger than the pool takes',
    wanted: { pool_id: POOL, file_size: 101 },
    options: pool({ maxFileSize: 100 }),
    status: 403,
    body: forbidden("File size 101 is larger than the pool's maximum file size 100"),
    text: "File size 101 is larger than the pool's maximum file size 100"
  },
  {
    name: 'a file beyond the quota, weighed by its pool',
    wanted: { pool_id: POOL, file_size: 3 * 1024 * 1024 + 1 },
    options: { ...pool({ costMultiplier: 2 }), quota: () => ({ limit: 10, used: 4 }) },
    status: 403,
    body: forbidden("File size 7 MiB is exceeded the user's quota 10 MiB"),
    text: "File size 7 MiB is exceeded the user's quota 10 MiB"
  }
]

t.test('each check of create answers with its own words, in both styles', async t => {
  for (const row of ROWS) {
    for (const errorStyle of ['api', 'text'] as const) {
      await t.test(`${row.name}, as ${errorStyle}`, async t => {
        const server = await serveTasks(t, { ...row.options, errorStyle })
        const answer = await server.send('POST', `${PATH}/create`, row.message ?? createMessage(row.wanted))
        if (errorStyle === 'api') {
          t.equal(answer.status, row.status)
          t.equal(answer.text, JSON.stringify(row.body))
        } else {
          t.equal(answer.status, row.textStatus ?? row.status)
          t.match(answer.headers['content-type'], 'text/plain')
          if (row.text !== undefined) t.equal(answer.text, row.text)
        }
      })
    }
  }
})

t.test('JSON that cannot be parsed is an error of validation', async t => {
  const server = await serveTasks(t)
  const answer = await server.send('POST', `${PATH}/create/`, { headers: { 'content-type': 'application/json' }, body: '{"hash":' })
  t.equal(answer.status, 400)
  t.match(answer.json, { code: 'VALIDATION_ERROR', errors: { $: [/JSON/] } })
})

t.test('checks come in the order of the contract: quota before the hash, the pool before its rules', async t => {
  const asked: string[] = []
  const server = await serveTasks(t, {
    authorize: task => { asked.push(`authorize ${task.fileName} ${String(task.user)} ${task.encrypted}`); return true },
    resolvePool: id => { asked.push('pool'); return id === null ? null : { id, maxFileSize: 100 } },
    quota: () => { asked.push('quota'); return { limit: 1, used: quotaUsed } }
  })
  let quotaUsed = 0
  const bytes = Buffer.from('the same')
  t.equal((await upload(server, bytes, { hash: hashOf('md5', bytes) })).status, 200)
  t.strictSame(asked.slice(0, 3), ['authorize a.bin ann false', 'pool', 'quota'])
  quotaUsed = 1
  const answer = await create(server, { hash: hashOf('md5', bytes), file_size: bytes.length })
  t.equal(answer.status, 403, 'a user over quota is refused even when the file exists')
  asked.length = 0
  await create(server, { pool_id: POOL, file_size: 101 })
  t.strictSame(asked, ['authorize a.bin ann false', 'pool'])
})

t.test('an error that a hook throws is the host\'s to word', async t => {
  const server = await serveTasks(t, { authorize: () => { throw Object.assign(new Error('pay first'), { statusCode: 402 }) } })
  t.match((await create(server)).json, { statusCode: 402, message: 'pay first' })
})

t.test('a new task answers all members, with 21 characters as its id, in both spellings of the request', async t => {
  const server = await serveTasks(t)
  const answer = await create(server, { file_size: 5_242_881 })
  const { task_id: id } = members(answer)
  t.match(id, /^[\w-]{21}$/)
  t.equal(answer.text, `{"file_exists":false,"file":null,"task_id":"${String(id)}","chunk_size":5242880,"chunks_count":2}`)
  const spelled = json({ hash: '', fileName: 'b', fileSize: 7, contentType: '', chunkSize: 2, poolId: null })
  const camel = await server.send('POST', `${PATH}/create/`, spelled)
  t.match(camel.json, { file_exists: false, chunk_size: 2, chunks_count: 4 })
})

const SIZES: ReadonlyArray<readonly [name: string, options: ChunkTasksOptions, wanted: Wanted, answer: readonly [number, number]]> = [
  ['an empty file has no chunks', {}, { file_size: 0 }, [5_242_880, 0]],
  ['one larger than the limit is lowered', { maxChunkSize: 100 }, { file_size: 1000, chunk_size: 5000 }, [100, 10]],
  ['one below the least is raised', { minChunkSize: 64 }, { file_size: 1000, chunk_size: 10 }, [64, 16]],
  ['so many that they would never end get larger', { maxChunks: 100 }, { file_size: 100_001, chunk_size: 1 }, [1001, 100]],
  ['as many as there may be of the largest size', { maxChunks: 2, maxChunkSize: 10 }, { file_size: 20, chunk_size: 1 }, [10, 2]],
  ['the default is the host\'s', { chunkSize: 3 }, { file_size: 9 }, [3, 3]],
  ['a last chunk may be the rest', {}, { file_size: 10, chunk_size: 4 }, [4, 3]]
]

t.test('the size of chunks is a wish, and the answer says what holds', async t => {
  for (const [name, options, wanted, [size, count]] of SIZES) {
    await t.test(name, async t => {
      const server = await serveTasks(t, options)
      t.match((await create(server, wanted)).json, { chunk_size: size, chunks_count: count })
    })
  }
})

t.test('a file of more chunks than there may be of the largest size is refused, unless its size alone is too much', async t => {
  const message = 'Chunk size is not possible here: a file can have at most'
  const largest = { file_size: Number.MAX_SAFE_INTEGER, chunk_size: 1 }
  for (const [options, wanted, most] of [
    [{}, largest, '10000 chunks of at most 104857600 bytes'],
    [{ maxChunks: 2, maxChunkSize: 10 }, { file_size: 21 }, '2 chunks of at most 10 bytes']
  ] as const) {
    const answer = await create(await serveTasks(t, options), wanted)
    t.equal(answer.status, 400)
    t.equal(answer.text, JSON.stringify({ code: 'BAD_REQUEST', message: `${message} ${most}`, status: 400 }))
    const text = await create(await serveTasks(t, { ...options, errorStyle: 'text' }), wanted)
    t.equal(text.status, 400)
    t.equal(text.text, `${message} ${most}`)
  }
  const small = await serveTasks(t, {}, { maxBytes: 100 })
  t.match(await create(small, largest), { status: 413, json: { code: 'FILE_TOO_LARGE' } })
})

t.test('limits of the registration hold beside those of pools', async t => {
  const server = await serveTasks(t, {}, { maxBytes: 100, allowedTypes: ['image/*'], maxOpenUploads: 1 })
  const image = { content_type: 'image/png' }
  t.match(await create(server, { ...image, file_size: 101 }), { status: 413, json: { code: 'FILE_TOO_LARGE', status: 413 } })
  t.match(await create(server), { status: 415, json: { code: 'UNSUPPORTED_MEDIA_TYPE' } })
  t.equal((await create(server, image)).status, 200)
  t.match(await create(server, image), { status: 429, json: { code: 'TOO_MANY_TASKS' } })
})

t.test('every route asks for a user where one is required', async t => {
  const server = await serveTasks(t, { requireUser: true })
  const task = await newTask(server)
  for (const [method, path] of [
    ['POST', 'create'], ['POST', `chunk/${task}/0`], ['POST', `complete/${task}`], ['GET', 'tasks'], ['GET', `progress/${task}`],
    ['GET', `resume/${task}`], ['DELETE', `task/${task}`], ['GET', 'stats'], ['GET', 'tasks/recent'], ['GET', `tasks/${task}/details`],
    ['DELETE', 'tasks/cleanup'], ['POST', 'direct']
  ] as const) {
    const answer = await server.send(method, `${PATH}/${path}`)
    t.equal(answer.text, '{"code":"UNAUTHORIZED","message":"Authentication is required.","status":401}', `${method} ${path}`)
    t.equal(answer.status, 401)
  }
  t.equal((await get(server, `resume/${task}`)).status, 200)
})

t.test('other methods hear which ones there are', async t => {
  const server = await serveTasks(t)
  const answer = await server.send('GET', `${PATH}/create`)
  t.equal(answer.status, 405)
  t.equal(answer.headers.allow, 'POST, OPTIONS')
  t.equal(answer.text, '{"detail":"Method \\"GET\\" not allowed."}')
})

t.test('the id of a task is that of its upload, in fewer characters', async t => {
  for (let count = 0; count < 200; count++) {
    // A UUID of version 7 (RFC 9562), as those of uploads.
    const id = (count * 1e10).toString(16).padStart(12, '0') + randomUUID().replaceAll('-', '').slice(12).replace(/^./, '7')
    t.match(taskIdOf(id), /^[\w-]{21}$/)
    t.equal(uploadIdOf(taskIdOf(id)), id)
    t.equal(uploadIdOf(id.toUpperCase()), id)
  }
  t.equal(taskIdOf('of-another-kind'), 'of-another-kind')
  t.equal(uploadIdOf('_'.repeat(21)), '', 'more bits than an id has')
  t.equal(uploadIdOf('../../etc/passwd'), '')
})

t.test('options that cannot work are refused when registering', async t => {
  const { chunkTasks } = await import('../../../src/index.js')
  for (const options of [
    { chunkSize: 0 }, { errorStyle: 'xml' }, { requireUser: 1 }, { dedupe: 'mine' }, { repeats: 'no' }, { sweepFiles: -1 },
    { encryption: {} }, { quota: 5 }
  ]) {
    t.throws(() => Reflect.apply(chunkTasks, undefined, [options]), { code: 'FST_CHUNKED_UPLOAD_INVALID_OPTION' }, JSON.stringify(options))
  }
})
