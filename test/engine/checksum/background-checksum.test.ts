import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import type { UploadEngine } from '../../../src/engine/upload-engine.js'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import type { Storage } from '../../../src/storage/contract.js'
import type { Upload } from '../../../src/upload.js'
import {
  bodyOf, callerOf, changedStorage, draftOf, engineOn, gate, keepAlive, randomBytes, stored, until, adaptersOf
} from '../../support/engine.js'

const MiB = 1024 * 1024
const CHUNK = 8 * MiB
const caller = callerOf()
keepAlive(t)

async function newUpload (engine: UploadEngine, size: number): Promise<Upload> {
  return await engine.create(caller, draftOf({ size, chunkSize: CHUNK, checksum: { algorithm: 'md5', value: null } }))
}

async function put (engine: UploadEngine, id: string, bytes: Buffer, index: number): Promise<void> {
  const start = index * CHUNK
  const chunk = bytes.subarray(start, start + CHUNK)
  await engine.write(caller, id, { start, length: chunk.length, body: bodyOf(chunk, MiB), parallel: true, atomic: true })
}

/** `memory`, counting the bytes that are read of it. */
function countingReads (storage: Storage): { storage: Storage, bytes: () => number } {
  let bytes = 0
  return {
    bytes: () => bytes,
    storage: changedStorage(storage, {
      read (upload, range) {
        bytes += range[1] - range[0]
        return storage.read(upload, range)
      }
    })
  }
}

t.test('invariant 7: while chunks come side by side the checksum follows them, so that completion reads little', async t => {
  const { storage, bytes: readBytes } = countingReads(memoryStorage())
  const engine = engineOn({ storage })
  const file = randomBytes(10 * CHUNK)
  const { id } = await newUpload(engine, file.length)
  for (const index of [3, 1, 2, 0, 7, 6, 4, 5, 9]) await put(engine, id, file, index)
  await until(async () => ((await engine.get(caller, id)).checksumState?.offset ?? 0) >= 7 * CHUNK)
  await put(engine, id, file, 8)
  const before = readBytes()
  const { upload } = await engine.complete(caller, id)
  t.equal(upload.checksum?.value, createHash('md5').update(file).digest('hex'))
  t.ok(readBytes() - before <= 3 * CHUNK, `completion read ${readBytes() - before} bytes`)
  await engine.shutdown()
})

t.test('invariant 7: on disk the worker follows, and another engine goes on where it was', async t => {
  const storage = diskStorage({ directory: t.testdir() })
  const first = engineOn({ storage })
  const file = randomBytes(6 * CHUNK)
  const { id } = await newUpload(first, file.length)
  for (const index of [2, 1, 0]) await put(first, id, file, index)
  await until(async () => ((await first.get(caller, id)).checksumState?.offset ?? 0) === 3 * CHUNK)
  const { metadata } = adaptersOf(first)
  await first.shutdown()
  const second = engineOn({ storage, metadata })
  for (const index of [5, 4, 3]) await put(second, id, file, index)
  const { upload } = await second.complete(caller, id)
  t.equal(upload.checksum?.value, createHash('md5').update(file).digest('hex'))
  await second.shutdown()
})

t.test('an exclusive claim stops the one that follows, and the bytes of the claimant count', async t => {
  const memory = memoryStorage()
  const reading = gate()
  const goOn = gate()
  let first = true
  const storage = changedStorage(memory, {
    read (upload, range) {
      if (!first) return memory.read(upload, range)
      first = false
      reading.open()
      return Readable.from((async function * () {
        const old = await stored(engine, upload, range)
        await goOn.passed
        yield old
      })())
    }
  })
  const engine = engineOn({ storage })
  const file = randomBytes(4 * CHUNK)
  const { id } = await newUpload(engine, file.length)
  for (const index of [2, 1, 0]) await put(engine, id, file, index)
  await reading.passed
  const replaced = Buffer.from(file)
  randomBytes(CHUNK).copy(replaced)
  const body = bodyOf(replaced.subarray(0, CHUNK))
  const replacing = engine.write(caller, id, { start: 0, length: CHUNK, body, overwrite: true, atomic: true })
  goOn.open()
  await replacing
  await put(engine, id, replaced, 3)
  const { upload } = await engine.complete(caller, id)
  t.equal(upload.checksum?.value, createHash('md5').update(replaced).digest('hex'))
  await engine.shutdown()
})

t.test('shutting down does not wait for a file to be hashed to its end', async t => {
  const engine = engineOn()
  const file = randomBytes(4 * CHUNK)
  const { id } = await newUpload(engine, file.length)
  for (const index of [2, 1, 0]) await put(engine, id, file, index)
  await engine.shutdown()
  t.strictSame((await engine.get(caller, id)).received, [[0, 3 * CHUNK]])
})
