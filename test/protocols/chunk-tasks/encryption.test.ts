import { createHook } from 'node:async_hooks'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type EncryptedStorage, encryptedStorage } from '../../../src/storage/encrypted/index.js'
import type { Pool } from '../../../src/types.js'
import { diskStorage, uploadIdOf } from '../../../src/index.js'
import { complete, create, get, hashOf, members, newTask, randomBytes, sendChunk, serveTasks, upload } from '../../support/chunk-tasks.js'
import { type TestServer, json } from '../../support/server.js'
import { recordsIn } from '../../support/records.js'

const CHUNK = 100_000
const PASSWORD = 'open sesame'
const POOL = '11111111-2222-3333-4444-555555555555'

const CHEAP = { cost: 16, blockSize: 8, parallelization: 1 }

interface Vault {
  readonly server: TestServer
  readonly storage: EncryptedStorage
  readonly directory: string
}

async function serve (t: Test, directory = t.testdir()): Promise<Vault> {
  const storage = encryptedStorage(diskStorage({ directory: join(directory, 'files') }), { scrypt: CHEAP })
  const resolvePool = (id: string | null): Pool | null => id === null ? null : { id, allowEncryption: false }
  const server = await serveTasks(t, { encryption: storage, resolvePool }, { storage }, { directory })
  return { server, storage, directory }
}

async function read ({ server, storage }: Vault, task: string): Promise<Buffer> {
  const upload = await server.app.chunkedUpload.get(uploadIdOf(task))
  if (upload === undefined) throw new Error('no upload')
  const key = await storage.unlock(upload, PASSWORD)
  return Buffer.concat(await server.app.chunkedUpload.read(upload, undefined, { key }).toArray())
}

t.test('a file with a password is encrypted at rest, from chunks in order, and its hash verified', async t => {
  const vault = await serve(t)
  const bytes = Buffer.from('nobody may read this. '.repeat(12_000))
  const answer = await upload(vault.server, bytes, { chunk_size: CHUNK, hash: hashOf('sha256', bytes), encrypt_password: PASSWORD })
  t.match(answer, { status: 200, json: { is_encrypted: true, size: bytes.length, hash: hashOf('sha256', bytes) } })
  t.ok((await read(vault, String(members(answer)['id']))).equals(bytes))
  const files = (await readdir(vault.directory, { recursive: true, withFileTypes: true })).filter(file => file.isFile())
  for (const file of files) {
    const stored = await readFile(join(file.parentPath, file.name))
    t.notOk(stored.includes('nobody may read') || stored.includes(PASSWORD), file.name)
  }
})

t.test('a wrong hash of chunks in order is found without the password', async t => {
  const { server } = await serve(t)
  const bytes = randomBytes(250_000)
  t.match(await upload(server, bytes, { chunk_size: CHUNK, hash: hashOf('md5', 'other'), encrypt_password: PASSWORD }), {
    status: 400, json: { code: 'HASH_MISMATCH' }
  })
})

t.test('chunks out of order need the password again to have the hash verified, or no hash', async t => {
  const vault = await serve(t)
  const { server } = vault
  const bytes = randomBytes(250_000)
  const secret = { file_size: bytes.length, chunk_size: CHUNK, encrypt_password: PASSWORD }
  const task = await newTask(server, { ...secret, hash: hashOf('sha1', bytes) })
  const other = await newTask(server, { ...secret, hash: 'my own' })
  for (const id of [task, other]) {
    for (const index of [2, 0, 1]) await sendChunk(server, id, index, bytes.subarray(index * CHUNK, (index + 1) * CHUNK))
  }
  t.equal((await complete(server, task)).text, JSON.stringify({
    code: 'HASH_NOT_VERIFIABLE',
    message: 'The hash of this encrypted file can only be verified with its password: send encrypt_password with the completion.',
    status: 400
  }))
  const wrong = json({ encrypt_password: 'guess' })
  const refused = await complete(server, task, 'ann', wrong)
  t.match(refused, { status: 403, json: { code: 'FORBIDDEN', message: 'Password does not open this file' } })
  t.match(await complete(server, task, 'ann', json({ encryptPassword: PASSWORD })), { status: 200, json: { hash: hashOf('sha1', bytes) } })
  t.equal((await complete(server, other)).status, 200)
  for (const id of [task, other]) t.ok((await read(vault, id)).equals(bytes))
})

t.test('a chunk of an encrypted file that comes again changes nothing', async t => {
  const vault = await serve(t)
  const { server } = vault
  const bytes = randomBytes(150_000)
  const task = await newTask(server, { file_size: bytes.length, chunk_size: CHUNK, encrypt_password: PASSWORD })
  for (const content of [bytes.subarray(0, CHUNK), randomBytes(CHUNK)]) t.equal((await sendChunk(server, task, 0, content)).status, 200)
  t.equal((await sendChunk(server, task, 1, bytes.subarray(CHUNK))).status, 200)
  t.equal((await complete(server, task)).status, 200)
  t.ok((await read(vault, task)).equals(bytes))
  t.equal((await recordsIn(server.directory)).length, 1, 'nothing is kept aside in clear')
})

t.test('encrypted files are never instant uploads, and a pool may forbid them', async t => {
  const { server } = await serve(t)
  const bytes = Buffer.from('0123456789')
  const hash = hashOf('md5', bytes)
  await upload(server, bytes, { hash, encrypt_password: PASSWORD })
  t.match((await create(server, { hash })).json, { file_exists: false })
  await upload(server, bytes, { hash })
  t.match((await create(server, { hash })).json, { file_exists: true })
  t.match((await create(server, { hash, encrypt_password: PASSWORD })).json, { file_exists: false })
  t.match(await create(server, { pool_id: POOL, encrypt_password: PASSWORD }), {
    status: 403, json: { message: 'File encryption is not allowed in this pool' }
  })
  t.equal((await create(server, { encrypt_password: '' })).status, 200, 'an empty password is none')
  t.notMatch((await get(server, 'tasks')).text, PASSWORD)
})

t.test('what is refused costs no key, and what is taken asks the host once', async t => {
  const storage = encryptedStorage(diskStorage({ directory: t.testdir() }), { scrypt: CHEAP })
  let sealed = 0
  let asked = 0
  const encryption = { ...storage, seal: async (password: string) => { sealed++; return await storage.seal(password) } }
  const server = await serveTasks(t, { encryption }, {
    storage,
    maxBytes: 100,
    allowedTypes: ['image/*'],
    maxOpenUploads: 1,
    onCreate: draft => {
      asked++
      if (draft.filename === 'refused') throw Object.assign(new Error('not this one'), { statusCode: 402 })
      return { ...draft, protocolState: { ...draft.protocolState, mine: true } }
    }
  })
  const secret = { content_type: 'image/png', encrypt_password: PASSWORD }
  t.equal((await create(server, { ...secret, file_size: 101 })).status, 413)
  t.equal((await create(server, { ...secret, content_type: 'text/plain' })).status, 415)
  t.equal((await create(server, { ...secret, file_name: 'refused' })).status, 402)
  t.equal(sealed, 0)
  asked = 0
  const task = await newTask(server, secret)
  t.equal(asked, 1)
  t.equal(sealed, 1)
  t.equal((await create(server, secret)).status, 429)
  t.equal(sealed, 1)
  const { protocolState } = await server.app.chunkedUpload.get(uploadIdOf(task)) ?? {}
  t.match(protocolState, { mine: true, encryption: { publicKey: String } }, 'what the host has put there stays')
})

t.test('keys are made two at a time, of all storages and for all who ask: other work finds a thread', async t => {
  const directory = t.testdir()
  const vaults = [await serve(t, join(directory, 'one')), await serve(t, join(directory, 'other'))]
  const secret = { file_size: 10, encrypt_password: PASSWORD }
  const [task] = await Promise.all(vaults.map(({ server }) => newTask(server, secret)))
  const upload = await vaults[0]?.server.app.chunkedUpload.get(uploadIdOf(task ?? ''))
  if (upload === undefined) throw new Error('no upload')
  const running = new Set<number>()
  const counts: number[] = []
  const hook = createHook({
    init: (id, type) => {
      if (type === 'SCRYPTREQUEST') counts.push(running.add(id).size)
    },
    before: id => { running.delete(id) }
  }).enable()
  t.teardown(() => { hook.disable() })
  const ask = async ({ server, storage }: Vault): Promise<unknown> => await Promise.all([
    ...Array.from({ length: 8 }, () => create(server.client(), secret)),
    ...Array.from({ length: 4 }, () => storage.unlock(upload, 'a guess').catch(() => {}))
  ])
  await Promise.all(vaults.map(ask))
  t.equal(counts.length, 24)
  t.equal(Math.max(...counts), 2)
})
