import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { internalCaller } from '../../../src/engine/caller.js'
import type { UploadEngine } from '../../../src/engine/upload-engine.js'
import { memoryLocks } from '../../../src/locks/memory.js'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import { diskStorage } from '../../../src/storage/disk/index.js'
import type { Storage } from '../../../src/storage/contract.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import type { Upload } from '../../../src/upload.js'
import {
  bodyOf, bytesOf, callerOf, changedMetadata, changedStorage, codeOf, draftOf, engineOn, keepAlive, randomBytes, stored
} from '../../support/engine.js'

const CHUNK = 200_000
const SIZE = 3 * CHUNK - 1000
const caller = callerOf()
const inner = internalCaller(caller)

async function asideOf (engine: UploadEngine, bytes: Uint8Array): Promise<Upload> {
  const { id } = await engine.create(inner, draftOf({ size: bytes.length }))
  return (await engine.write(inner, id, { start: 0, body: bodyOf(bytes), length: bytes.length, atomic: true })).upload
}

async function uploadOf (engine: UploadEngine, bytes: Uint8Array): Promise<string> {
  const { id } = await engine.create(caller, draftOf({ size: SIZE, chunkSize: CHUNK, checksum: { algorithm: 'md5', value: null } }))
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes), length: bytes.length })
  return id
}

/** `bytes` with those from `start` on replaced. */
function withChunk (bytes: Uint8Array, start: number, chunk: Uint8Array): Buffer {
  const replaced = Buffer.from(bytes)
  replaced.set(chunk, start)
  return replaced
}

async function uploads (engine: UploadEngine): Promise<Upload[]> {
  const all: Upload[] = []
  for await (const upload of engine.scan({})) all.push(upload)
  return all
}

/** Storage that, while it breaks, writes half of what replaces bytes. */
function breakingStorage (storage: Storage): { readonly storage: Storage, breaks: boolean } {
  const state = { breaks: false }
  const breaking = changedStorage(storage, {
    write: async (upload, start, batches, progress) => {
      if (!state.breaks || upload.replacing === undefined) return await storage.write(upload, start, batches, progress)
      const half = async function * (): AsyncGenerator<readonly Uint8Array[]> {
        const { value: [first = new Uint8Array()] = [] } = await batches[Symbol.asyncIterator]().next()
        yield [first.subarray(0, first.length / 2)]
      }
      await storage.write(upload, start, half(), { ...progress, confirm: () => {} })
      throw Object.assign(new Error('the disk is gone'), { code: 'EIO' })
    }
  })
  return Object.assign(state, { storage: breaking })
}

t.test('bytes are replaced, the checksum follows, and nothing is left aside', async t => {
  for (const start of [0, CHUNK, 2 * CHUNK]) {
    const engine = engineOn()
    const bytes = randomBytes(SIZE)
    const chunk = randomBytes(Math.min(CHUNK, SIZE - start))
    const id = await uploadOf(engine, bytes)
    const { received, replacing } = await engine.replace(caller, id, start, await asideOf(engine, chunk))
    t.strictSame([received, replacing], [[[0, SIZE]], undefined])
    t.equal((await uploads(engine)).length, 1)
    const { upload } = await engine.complete(caller, id)
    const wanted = withChunk(bytes, start, chunk)
    t.ok((await stored(engine, upload)).equals(wanted))
    t.equal(upload.checksum?.value, createHash('md5').update(wanted).digest('hex'))
    await engine.shutdown()
  }
})

t.test('invariants 1, 2 and 12: storage that fails half-way takes no byte back, and the next completion does the rest', async t => {
  keepAlive(t)
  for (const inner of [memoryStorage(), diskStorage({ directory: t.testdir() })]) {
    const breaking = breakingStorage(inner)
    const metadata = memoryMetadata()
    const engine = engineOn({ storage: breaking.storage, metadata })
    const bytes = randomBytes(SIZE)
    const chunk = randomBytes(CHUNK)
    const id = await uploadOf(engine, bytes)
    breaking.breaks = true
    t.equal(await codeOf(engine.replace(caller, id, CHUNK, await asideOf(engine, chunk))), 'STORAGE')
    t.match(await engine.get(caller, id), { status: 'uploading', received: [[0, SIZE]] })
    t.equal(await codeOf(engine.complete(caller, id)), 'STORAGE')
    await engine.shutdown()

    const next = engineOn({ storage: inner, metadata })
    const { upload } = await next.complete(caller, id)
    const wanted = withChunk(bytes, CHUNK, chunk)
    t.ok((await stored(next, upload)).equals(wanted))
    t.equal(upload.checksum?.value, createHash('md5').update(wanted).digest('hex'))
    t.notOk('replacing' in upload)
    t.equal((await uploads(next)).length, 1)
    await next.shutdown()
  }
})

t.test('a newer replacement of the same bytes goes before one that was not done, and one of others waits for it', async t => {
  const breaking = breakingStorage(memoryStorage())
  const engine = engineOn({ storage: breaking.storage })
  const bytes = randomBytes(SIZE)
  const [first, second, third] = [randomBytes(CHUNK), randomBytes(CHUNK), randomBytes(CHUNK)]
  const id = await uploadOf(engine, bytes)
  const replace = async (start: number, chunk: Buffer): Promise<string> => {
    return await codeOf(engine.replace(caller, id, start, await asideOf(engine, chunk)))
  }
  breaking.breaks = true
  t.equal(await replace(0, first), 'STORAGE')
  t.equal(await replace(0, second), 'STORAGE')
  t.equal(await replace(CHUNK, third), 'STORAGE')
  t.equal((await uploads(engine)).length, 2, 'what nobody needs any more is gone')
  breaking.breaks = false
  t.equal(await replace(CHUNK, third), 'ok')
  t.ok((await stored(engine, await engine.get(caller, id))).equals(withChunk(withChunk(bytes, 0, second), CHUNK, third)))
  t.equal((await uploads(engine)).length, 1)
  await engine.shutdown()
})

t.test('what was kept aside and is swept in the meantime has to come again', async t => {
  const breaking = breakingStorage(memoryStorage())
  const engine = engineOn({ storage: breaking.storage })
  const bytes = randomBytes(SIZE)
  const id = await uploadOf(engine, bytes)
  const aside = await asideOf(engine, randomBytes(CHUNK))
  breaking.breaks = true
  t.equal(await codeOf(engine.replace(caller, id, CHUNK, aside)), 'STORAGE')
  await engine.remove(inner, aside.id)
  breaking.breaks = false
  t.equal(await codeOf(engine.complete(caller, id)), 'INCOMPLETE')
  t.strictSame((await engine.get(caller, id)).received, [[0, CHUNK], [2 * CHUNK, SIZE]])
  await engine.write(caller, id, { start: CHUNK, length: CHUNK, body: bodyOf(bytes.subarray(CHUNK, 2 * CHUNK)), parallel: true })
  const { upload } = await engine.complete(caller, id)
  t.equal(upload.checksum?.value, createHash('md5').update(bytes).digest('hex'))
  await engine.shutdown()
})

t.test('what is kept aside and cannot be read is the storage\'s trouble, and waits for better times', async t => {
  const memory = memoryStorage()
  let fails = true
  const engine = engineOn({
    storage: changedStorage(memory, {
      read: (upload, range) => {
        if (!fails) return memory.read(upload, range)
        const stream = new Readable({ read: () => {} })
        process.nextTick(() => { stream.destroy(new Error('too many open files')) })
        return stream
      }
    })
  })
  const bytes = randomBytes(SIZE)
  const chunk = randomBytes(CHUNK)
  const id = await uploadOf(engine, bytes)
  t.equal(await codeOf(engine.replace(caller, id, 0, await asideOf(engine, chunk))), 'STORAGE')
  fails = false
  const { upload } = await engine.complete(caller, id)
  t.ok((await stored(engine, upload)).equals(withChunk(bytes, 0, chunk)))
  await engine.shutdown()
})

t.test('a server that has lost the lock changes nothing any more', async t => {
  const bytes = randomBytes(SIZE)
  for (const moment of ['before the note', 'behind it']) {
    const locks = memoryLocks()
    const metadata = memoryMetadata()
    let lose = (): void => {}
    let losesAt = ''
    const breaking = breakingStorage(memoryStorage())
    const engine = engineOn({
      storage: breaking.storage,
      locks: {
        ...locks,
        acquire: async (key, request) => {
          lose = () => { request.onClaim('lost') }
          return await locks.acquire(key, request)
        }
      },
      metadata: changedMetadata(metadata, {
        get: async id => {
          if (id === losesAt) lose()
          return await metadata.get(id)
        }
      })
    })
    const id = await uploadOf(engine, bytes)
    const aside = await asideOf(engine, randomBytes(CHUNK))
    if (moment === 'behind it') {
      breaking.breaks = true
      t.equal(await codeOf(engine.replace(caller, id, 0, aside)), 'STORAGE')
      await engine.remove(inner, aside.id)
    }
    losesAt = moment === 'behind it' ? aside.id : id
    const { version } = await metadata.get(id) ?? {}
    const code = await codeOf(moment === 'behind it' ? engine.complete(caller, id) : engine.replace(caller, id, 0, aside))
    t.equal(code, 'TAKEN_OVER', moment)
    t.equal((await metadata.get(id))?.version, version)
    await engine.shutdown()
  }
})

t.test('what cannot be replaced is refused, and nothing is left aside', async t => {
  const memory = memoryStorage()
  const appending = engineOn({ storage: changedStorage(memory, { capabilities: { ...memory.capabilities, anyOffset: false } }) })
  const engine = engineOn()
  const bytes = randomBytes(CHUNK)
  const cases: ReadonlyArray<readonly [engine: UploadEngine, start: number, code: string]> = [
    [engine, CHUNK, 'OFFSET'], [engine, 1, 'OFFSET'], [appending, 0, 'OFFSET']
  ]
  for (const [engine, start, code] of cases) {
    const id = await uploadOf(engine, bytes)
    t.equal(await codeOf(engine.replace(caller, id, start, await asideOf(engine, bytes))), code)
    t.equal((await uploads(engine)).filter(({ protocol }) => protocol !== 'test').length, 0)
    t.ok((await stored(engine, await engine.get(caller, id))).equals(bytes))
  }
  await appending.shutdown()
  await engine.shutdown()
})

t.test('invariants 1, 2 and 12: whatever step a crash comes at, the chunk is there, the old one or the new one', async t => {
  const bytes = randomBytes(SIZE)
  const chunk = randomBytes(CHUNK)
  const both = [bytes, withChunk(bytes, CHUNK, chunk)]
  for (let step = 1, crashed = true; crashed; step++) {
    const storage = memoryStorage()
    const metadata = memoryMetadata()
    let left = Infinity
    const alive = async <T>(work: () => Promise<T>): Promise<T> => {
      if (--left <= 0) throw new Error('the process is gone')
      return await work()
    }
    const first = engineOn({
      locks: memoryLocks(),
      storage: changedStorage(storage, {
        remove: async upload => await alive(async () => await storage.remove(upload)),
        write: async (upload, start, batches, progress) => {
          await storage.write(upload, start, pieces(batches, async () => await alive(async () => {})), progress)
        }
      }),
      metadata: changedMetadata(metadata, {
        update: async upload => await alive(async () => await metadata.update(upload)),
        delete: async (id, version) => await alive(async () => await metadata.delete(id, version))
      })
    })
    const id = await uploadOf(first, bytes)
    const aside = await asideOf(first, chunk)
    left = step
    const acknowledged = await codeOf(first.replace(caller, id, CHUNK, aside)) === 'ok'
    crashed = left <= 0

    const second = engineOn({ storage, metadata })
    t.strictSame((await second.get(caller, id)).received, [[0, SIZE]], `step ${step}`)
    const { upload } = await second.complete(caller, id)
    const found = both.findIndex(wanted => upload.checksum?.value === createHash('md5').update(wanted).digest('hex'))
    t.ok(acknowledged ? found === 1 : found >= 0, `step ${step}: ${found}`)
    t.ok((await stored(second, upload)).equals(both[found] ?? Buffer.alloc(0)), `step ${step}: the checksum is that of the bytes`)
    await second.shutdown()
  }
})

/** Hands on small pieces, and asks before each. */
async function * pieces (
  batches: AsyncIterable<readonly Uint8Array[]>, ask: () => Promise<void>
): AsyncGenerator<readonly Uint8Array[]> {
  for await (const batch of batches) {
    const bytes = await bytesOf(Readable.from(batch))
    for (let at = 0; at < bytes.length; at += 64_000) {
      await ask()
      yield [bytes.subarray(at, at + 64_000)]
    }
  }
}
