import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { encryptedStorage } from '../../../src/storage/encrypted/index.js'
import type { EncryptedStorage } from '../../../src/storage/encrypted/index.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import type { Storage } from '../../../src/storage/contract.js'
import { storageSuite } from '../../../src/testing/index.js'
import type { ByteRange, Upload } from '../../../src/upload.js'
import {
  bodyOf, bytesOf, callerOf, changedStorage, codeOf, draftOf, engineOn, hangingBody, keepAlive, adaptersOf
} from '../../support/engine.js'
import type { UploadEngine } from '../../../src/engine/index.js'

const caller = callerOf()
const CHEAP = { segmentSize: 1000, scrypt: { cost: 16, blockSize: 8, parallelization: 1 } }
keepAlive(t)

t.test('files without a password pass as they are: the suite of storages', async t => {
  const make = (): Storage => encryptedStorage(memoryStorage(), CHEAP)
  storageSuite((name, run) => t.test(name, run), async () => ({ storage: make(), dispose: async () => {} }))
})

t.test('files without a password pass as they are, on a disk too', async t => {
  storageSuite((name, run) => t.test(name, run), async () => {
    const directory = await mkdtemp(join(tmpdir(), 'encrypted-suite-'))
    return { storage: encryptedStorage(diskStorage({ directory }), CHEAP), dispose: () => rm(directory, { recursive: true }) }
  })
})

async function newUpload (
  engine: UploadEngine, storage: EncryptedStorage, size: number, chunkSize = 3500, password = 'open sesame'
): Promise<Upload> {
  return await engine.create(caller, draftOf({ size, chunkSize, protocolState: { encryption: await storage.seal(password) } }))
}

async function put (engine: UploadEngine, upload: Upload, bytes: Buffer, index: number): Promise<void> {
  const { id, chunkSize } = upload
  const start = index * (chunkSize ?? 0)
  const chunk = bytes.subarray(start, start + (chunkSize ?? 0))
  await engine.write(caller, id, { start, length: chunk.length, body: bodyOf(chunk, 777), parallel: true, atomic: true })
}

async function read (storage: EncryptedStorage, upload: Upload, range: ByteRange, password = 'open sesame'): Promise<Buffer> {
  const key = await storage.unlock(upload, password)
  return await bytesOf(storage.read(upload, range, { key }))
}

const SIZES = [0, 1, 999, 1000, 1001, 3500, 3501, 7000, 12_345]

t.test('whatever the size, chunks in any order come back as they were, whole and in every range', async t => {
  for (const size of SIZES) {
    const storage = encryptedStorage(memoryStorage(), CHEAP)
    const engine = engineOn({ storage })
    const bytes = randomBytes(size)
    const created = await newUpload(engine, storage, size)
    const chunks = Array.from({ length: Math.ceil(size / 3500) }, (_, index) => index).reverse()
    await Promise.all(chunks.map(index => put(engine, created, bytes, index)))
    const { upload } = await engine.complete(caller, created.id)
    t.equal(upload.size, size)
    t.ok((await read(storage, upload, [0, size])).equals(bytes), `${size} bytes`)
    for (let turn = 0; turn < 20; turn++) {
      const start = Math.floor(Math.random() * size)
      const end = start + Math.floor(Math.random() * (size - start + 1))
      t.ok((await read(storage, upload, [start, end])).equals(bytes.subarray(start, end)), `${start} to ${end} of ${size}`)
    }
    await engine.shutdown()
  }
})

t.test('neither the clear bytes nor the password are stored anywhere', async t => {
  const directory = t.testdir()
  const storage = encryptedStorage(diskStorage({ directory }), CHEAP)
  const engine = engineOn({ storage })
  const bytes = Buffer.from('something that nobody may read '.repeat(400))
  const created = await newUpload(engine, storage, bytes.length)
  for (let index = 0; index * 3500 < bytes.length; index++) await put(engine, created, bytes, index)
  const { upload } = await engine.complete(caller, created.id)
  t.notMatch(JSON.stringify(upload), 'open sesame')
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  for (const file of files.filter(file => file.isFile())) {
    const stored = await readFile(join(file.parentPath, file.name))
    t.notOk(stored.includes('nobody may read'))
    t.ok(stored.length > bytes.length)
  }
  t.equal(storage.localPath?.(upload), undefined, 'nobody takes the file for what it is not')
  await engine.remove(caller, upload.id)
  t.strictSame((await readdir(directory, { recursive: true, withFileTypes: true })).filter(file => file.isFile()), [])
  await engine.shutdown()
})

t.test('reading needs the password of that file', async t => {
  const storage = encryptedStorage(memoryStorage(), CHEAP)
  const engine = engineOn({ storage })
  const bytes = randomBytes(5000)
  const [one, other, clear] = await Promise.all([
    newUpload(engine, storage, 5000), newUpload(engine, storage, 5000), engine.create(caller, draftOf({ size: 5000 }))
  ])
  await put(engine, one, bytes, 0)
  t.equal(await codeOf(bytesOf(storage.read(one, [0, 10]))), 'PASSWORD_REQUIRED')
  t.equal(await codeOf(storage.unlock(one, 'open, sesame')), 'PASSWORD_WRONG')
  t.equal(await codeOf(storage.unlock(clear, 'open sesame')), 'PASSWORD_REQUIRED')
  const key = await storage.unlock(other, 'open sesame')
  t.equal(await codeOf(bytesOf(storage.read(one, [0, 10], { key }))), 'PASSWORD_REQUIRED')
  t.equal(await codeOf(bytesOf(storage.read(one, [0, 10], { key: { uploadId: one.id } }))), 'PASSWORD_REQUIRED', 'a made-up one')
  await engine.shutdown()
})

t.test('an upload that never opened keeps being written to by servers that know no password', async t => {
  const memory = memoryStorage()
  const first = encryptedStorage(memory, CHEAP)
  const engine = engineOn({ storage: first })
  const bytes = randomBytes(7000)
  const created = await newUpload(engine, first, bytes.length)
  await put(engine, created, bytes, 1)
  const second = encryptedStorage(memory, { ...CHEAP, segmentSize: 50 })
  const other = engineOn({ storage: second, metadata: adaptersOf(engine).metadata })
  await put(other, created, bytes, 0)
  const { upload } = await other.complete(caller, created.id)
  t.ok((await read(second, upload, [0, 7000])).equals(bytes), 'the layout is that of its creation')
  await Promise.all([engine.shutdown(), other.shutdown()])
})

t.test('a chunk that is cut does not count, and comes again under another key', async t => {
  const inner = memoryStorage()
  const starts: string[] = []
  const watched = changedStorage(inner, {
    write: async (upload, start, batches, progress) => {
      const seen = async function * () {
        let first = true
        for await (const batch of batches) {
          if (first) starts.push(Buffer.from(batch[0] ?? []).toString('hex'))
          first = false
          yield batch
        }
      }
      await inner.write(upload, start, seen(), progress)
    }
  })
  const storage = encryptedStorage(watched, CHEAP)
  const engine = engineOn({ storage })
  const bytes = randomBytes(7000)
  const created = await newUpload(engine, storage, 7000)
  for (const atomic of [true, false]) {
    const cut = hangingBody(bytes.subarray(0, 2500))
    const writing = engine.write(caller, created.id, { start: 0, length: 3500, body: cut, parallel: true, atomic })
    setTimeout(() => { cut.cut() }, 50)
    t.equal(await codeOf(writing), 'BODY_CUT')
    t.strictSame((await engine.get(caller, created.id)).received, [])
  }
  for (const index of [1, 0]) await put(engine, created, bytes, index)
  t.equal(new Set(starts).size, starts.length, 'no key encrypts twice')
  const { upload } = await engine.complete(caller, created.id)
  t.ok((await read(storage, upload, [0, 7000])).equals(bytes))
  await engine.shutdown()
})

t.test('stored bytes that were changed, moved or cut are noticed', async t => {
  const directory = t.testdir()
  const storage = encryptedStorage(diskStorage({ directory }), CHEAP)
  const engine = engineOn({ storage })
  const bytes = randomBytes(7000)
  const created = await newUpload(engine, storage, 7000)
  for (const index of [0, 1]) await put(engine, created, bytes, index)
  const { upload } = await engine.complete(caller, created.id)
  const [file] = (await readdir(directory, { recursive: true, withFileTypes: true })).filter(file => file.isFile())
  if (file === undefined) throw new Error('no file')
  const path = join(file.parentPath, file.name)
  const stored = await readFile(path)
  const half = stored.length / 2
  const flipped = Buffer.from(stored)
  flipped.writeUInt8(flipped.readUInt8(100) ^ 1, 100)
  const damages: ReadonlyArray<readonly [name: string, damaged: Buffer]> = [
    ['one bit', flipped],
    ['chunks that change places', Buffer.concat([stored.subarray(half), stored.subarray(0, half)])],
    ['segments that change places', Buffer.concat([
      stored.subarray(0, 32), stored.subarray(1048, 2064), stored.subarray(32, 1048), stored.subarray(2064)
    ])],
    ['the end missing', stored.subarray(0, -1)]
  ]
  for (const [name, damaged] of damages) {
    await writeFile(path, damaged)
    await t.rejects(read(storage, upload, [0, 7000]), { name: /^Storage(?:Lost|Short)$/ }, name)
  }
  await writeFile(path, stored)
  t.ok((await read(storage, upload, [0, 7000])).equals(bytes))
  await engine.shutdown()
})

t.test('an inner storage sees sizes, chunks and ranges of what is stored, and its notes are kept', async t => {
  const memory = memoryStorage()
  const seen: Upload[] = []
  const noting: Storage = changedStorage(memory, {
    create: async upload => {
      seen.push(upload)
      await memory.create(upload)
      return { parts: 0 }
    },
    write: async (upload, start, batches, progress) => {
      seen.push(upload)
      await memory.write(upload, start, batches, { confirm: end => { progress.confirm(end, () => ({ parts: end })) } })
    }
  })
  const storage = encryptedStorage(noting, CHEAP)
  const engine = engineOn({ storage })
  const bytes = randomBytes(7001)
  const created = await newUpload(engine, storage, 7001)
  for (const index of [0, 1, 2]) await put(engine, created, bytes, index)
  const stride = 32 + 3500 + 4 * 16
  const size = 2 * stride + 32 + 1 + 16
  t.match(seen[0], { size, chunkSize: stride, received: [], storageState: null })
  t.match(seen[3], { size, chunkSize: stride, received: [[0, 2 * stride]], storageState: { parts: 2 * stride } })
  t.match((await engine.get(caller, created.id)).storageState, { inner: { parts: size } })
  await engine.shutdown()
})

t.test('what cannot be encrypted is refused when it is created', async t => {
  const storage = encryptedStorage(memoryStorage(), CHEAP)
  const engine = engineOn({ storage })
  const protocolState = { encryption: await storage.seal('a') }
  t.equal(await codeOf(engine.create(caller, draftOf({ protocolState, size: 10 }))), 'CHUNK_SIZE')
  t.equal(await codeOf(engine.create(caller, draftOf({ protocolState, chunkSize: 10 }))), 'CHUNK_SIZE')
  await engine.shutdown()
})
