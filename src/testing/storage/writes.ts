import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { StorageLost } from '../../storage/contract.js'
import type { Storage } from '../../storage/contract.js'
import { offsetOf } from '../../upload.js'
import type { ByteRange } from '../../upload.js'
import { StoredUpload, collect, cut } from './stored-upload.js'
import type { StorageCheck } from './check.js'

/** Writing one after the other, as every storage can. */
export function declareWriteTests (check: StorageCheck): void {
  check('create gives a state that survives JSON', async storage => {
    const state = await storage.create(StoredUpload.plan(storage, { size: 1 }))
    assert.deepEqual(JSON.parse(JSON.stringify(state)), state)
  })

  check('bytes of many batches are confirmed in order, to the last one', async storage => {
    const bytes = randomBytes(300_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    await stored.write(0, cut(bytes, 7_000).map(buffer => cut(buffer, 1_000)))
    assert.deepEqual(stored.upload.received, [[0, bytes.length]])
    assert.deepEqual(await stored.content(), bytes)
  })

  check('invariant 1: what was confirmed can be read at that moment', async storage => {
    const bytes = randomBytes(200_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    const reads: Array<Promise<Buffer>> = []
    const ends: number[] = []
    await stored.write(0, cut(bytes, 50_000).map(buffer => [buffer]), end => {
      ends.push(end)
      reads.push(collect(storage.read(stored.upload, [0, end])))
    })
    for (const [index, content] of (await Promise.all(reads)).entries()) {
      assert.deepEqual(content, bytes.subarray(0, ends[index]))
    }
    assert.equal(ends.at(-1), bytes.length)
  })

  check('a body that ends early is confirmed as far as it came, and resumed there', async storage => {
    const bytes = randomBytes(100_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    for (const [start, end] of [[0, 1], [1, 2], [2, 40_000], [40_000, 40_001], [40_001, 100_000]] as const) {
      await stored.write(start, [[bytes.subarray(start, end)]])
      assert.equal(offsetOf(stored.upload), end)
    }
    await stored.finish()
    assert.deepEqual(await stored.content(), bytes)
  })

  for (const [what, batches] of oddBatches()) {
    check(`batches may be odd: ${what}`, async storage => {
      const bytes = Buffer.concat(batches.flat())
      const stored = await StoredUpload.create(storage, { size: bytes.length + 5 })
      const before = randomBytes(5)
      await stored.write(0, [[before]])
      await stored.write(5, batches)
      assert.equal(offsetOf(stored.upload), bytes.length + 5)
      await stored.finish()
      assert.deepEqual(await stored.content(), Buffer.concat([before, bytes]))
    })
  }

  check('buffers are views of larger memory', async storage => {
    const memory = randomBytes(3_000)
    const views = [new Uint8Array(memory.buffer, memory.byteOffset + 10, 500), memory.subarray(1_000, 1_001), memory.subarray(2_000)]
    const stored = await StoredUpload.create(storage, { size: 1_501 })
    await stored.write(0, [views])
    assert.deepEqual(await stored.content(), Buffer.concat(views))
  })

  check('a slow source loses nothing', async storage => {
    const bytes = randomBytes(5_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    async function * slow (): AsyncGenerator<Uint8Array[]> {
      for (const buffer of cut(bytes, 1_000)) {
        await new Promise(resolve => setTimeout(resolve, 3))
        yield [buffer]
      }
    }
    await stored.write(0, slow())
    assert.deepEqual(await stored.content(), bytes)
  })

  check('invariant 12: bytes that a crash kept from the record are replaced when the upload resumes', async storage => {
    const stored = await StoredUpload.create(storage, { size: 9_000 })
    const first = randomBytes(3_000)
    await stored.write(0, [[first]])
    const remembered = stored.upload
    await stored.write(3_000, [[randomBytes(5_000)]])
    stored.upload = remembered
    const second = randomBytes(6_000)
    await stored.write(3_000, cut(second, 1_500).map(buffer => [buffer]))
    await stored.finish()
    assert.deepEqual(await stored.content(), Buffer.concat([first, second]))
  })

  check('uploads side by side do not mix', async storage => {
    const contents = Array.from({ length: 8 }, () => randomBytes(20_000))
    const all = await Promise.all(contents.map(async bytes => {
      const stored = await StoredUpload.create(storage, { size: bytes.length })
      await stored.write(0, cut(bytes, 3_000).map(buffer => [buffer]))
      await stored.finish()
      return stored
    }))
    for (const [index, stored] of all.entries()) assert.deepEqual(await stored.content(), contents[index])
  })

  check('a write to bytes that are gone throws StorageLost and confirms nothing', async storage => {
    const stored = await StoredUpload.create(storage, { size: 20 })
    await stored.write(0, [[randomBytes(10)]])
    await storage.remove(stored.upload)
    await assert.rejects(stored.write(10, [[randomBytes(10)]]), StorageLost)
    assert.equal(offsetOf(stored.upload), 10)
  })
}

/** Writing in any order, for storages with `anyOffset`. */
export function declareAnyOffsetTests (check: StorageCheck): void {
  const grid = async (storage: Storage): Promise<{ stored: StoredUpload, bytes: Buffer, chunks: ByteRange[] }> => {
    const chunkSize = Math.max(storage.capabilities.minChunkSize, 10_000)
    const bytes = randomBytes(chunkSize * 4 + 77)
    const chunks = [0, 1, 2, 3, 4].map(index => [index * chunkSize, Math.min((index + 1) * chunkSize, bytes.length)] as const)
    return { stored: await StoredUpload.create(storage, { size: bytes.length, chunkSize }), bytes, chunks }
  }

  check('chunks of a grid arrive in any order', async storage => {
    if (!storage.capabilities.anyOffset) return
    const { stored, bytes, chunks } = await grid(storage)
    for (const index of [4, 1, 3, 0, 2]) {
      const [start, end] = chunks[index] ?? [0, 0]
      await stored.write(start, cut(bytes.subarray(start, end), 4_000).map(buffer => [buffer]))
    }
    assert.deepEqual(stored.upload.received, [[0, bytes.length]])
    await stored.finish()
    assert.deepEqual(await stored.content(), bytes)
  })

  check('chunks of a grid arrive side by side', async storage => {
    if (!storage.capabilities.anyOffset) return
    const { stored, bytes, chunks } = await grid(storage)
    await Promise.all(chunks.map(([start, end]) => stored.write(start, cut(bytes.subarray(start, end), 1_000).map(buffer => [buffer]))))
    assert.deepEqual(stored.upload.received, [[0, bytes.length]])
    await stored.finish()
    assert.deepEqual(await stored.content(), bytes)
  })

  check('a chunk in the middle is readable before the ones in front of it', async storage => {
    if (!storage.capabilities.anyOffset) return
    const { stored, bytes, chunks } = await grid(storage)
    const [start, end] = chunks[2] ?? [0, 0]
    await stored.write(start, [[bytes.subarray(start, end)]])
    assert.deepEqual(stored.upload.received, [[start, end]])
    assert.deepEqual(await collect(storage.read(stored.upload, [start, end])), bytes.subarray(start, end))
  })

  check('a chunk that comes again replaces the older one and nothing else', async storage => {
    if (!storage.capabilities.anyOffset) return
    const { stored, bytes, chunks } = await grid(storage)
    for (const [start, end] of chunks) await stored.write(start, [[bytes.subarray(start, end)]])
    const [start, end] = chunks[1] ?? [0, 0]
    randomBytes(end - start).copy(bytes, start)
    await stored.write(start, [[bytes.subarray(start, end)]])
    await stored.finish()
    assert.deepEqual(await stored.content(), bytes)
  })
}

/** Filling an upload from others, for storages with `concat`. */
export function declareConcatTests (check: StorageCheck): void {
  check('concat fills an upload with its parts, in their order, and leaves them', async storage => {
    if (storage.concat === undefined) return
    const contents = [randomBytes(2_500_000), randomBytes(0), randomBytes(1), randomBytes(1_100_000)]
    const parts = await Promise.all(contents.map(async bytes => {
      const part = await StoredUpload.create(storage, { size: bytes.length })
      await part.write(0, [[bytes]])
      await part.finish()
      return part
    }))
    const whole = Buffer.concat(contents)
    const stored = await StoredUpload.create(storage, { size: whole.length })
    await stored.concat(parts.map(part => part.complete))
    assert.deepEqual(stored.upload.received, [[0, whole.length]])
    await stored.finish()
    assert.deepEqual(await stored.content(), whole)
    for (const [index, part] of parts.entries()) assert.deepEqual(await part.content(), contents[index])
  })

  check('concat again gives the same file', async storage => {
    if (storage.concat === undefined) return
    const part = await StoredUpload.create(storage, { size: 1_000 })
    const bytes = randomBytes(1_000)
    await part.write(0, [[bytes]])
    await part.finish()
    const stored = await StoredUpload.create(storage, { size: 2_000 })
    const remembered = stored.upload
    await stored.concat([part.complete, part.complete])
    stored.upload = remembered
    await stored.concat([part.complete, part.complete])
    await stored.finish()
    assert.deepEqual(await stored.content(), Buffer.concat([bytes, bytes]))
  })

  check('concat that is told to stop ends before its work is done, and can be called again', async storage => {
    if (storage.concat === undefined) return
    const part = await StoredUpload.create(storage, { size: 2_500_000 })
    const bytes = randomBytes(2_500_000)
    await part.write(0, [[bytes]])
    await part.finish()
    const stored = await StoredUpload.create(storage, { size: 5_000_000 })
    const remembered = stored.upload
    // What it throws then, if anything, is its own.
    await stored.concat([part.complete, part.complete], AbortSignal.abort()).catch(() => {})
    assert.ok(offsetOf(stored.upload) < 5_000_000)
    stored.upload = remembered
    await stored.concat([part.complete, part.complete])
    await stored.finish()
    assert.deepEqual(await stored.content(), Buffer.concat([bytes, bytes]))
  })

  check('concat of a part that is gone throws StorageLost', async storage => {
    if (storage.concat === undefined) return
    const parts = await Promise.all([0, 1].map(async () => {
      const part = await StoredUpload.create(storage, { size: 1_000 })
      await part.write(0, [[randomBytes(1_000)]])
      await part.finish()
      return part.complete
    }))
    for (const part of parts.slice(1)) await storage.remove(part)
    const stored = await StoredUpload.create(storage, { size: 2_000 })
    await assert.rejects(stored.concat(parts), StorageLost)
    assert.ok(offsetOf(stored.upload) <= 1_000)
  })
}

/** Large batches of a body come in such memory, as another thread may be reading them. */
function shared (bytes: Uint8Array): Uint8Array {
  const memory = Buffer.from(new SharedArrayBuffer(bytes.length))
  memory.set(bytes)
  return memory
}

function oddBatches (): Array<[string, Uint8Array[][]]> {
  const empty = Buffer.alloc(0)
  return [
    ['none at all', []],
    ['an empty list', [[]]],
    ['empty lists and empty buffers between others', [[], [empty], [randomBytes(3)], [], [empty, randomBytes(2), empty], []]],
    ['1000 buffers of one byte', [Array.from({ length: 1_000 }, () => randomBytes(1))]],
    ['100 lists of one byte', Array.from({ length: 100 }, () => [randomBytes(1)])],
    ['more buffers than one system call takes', [Array.from({ length: 2_600 }, (_, index) => randomBytes(index % 5)), [randomBytes(9)]]],
    ['one large buffer', [[randomBytes(3_000_000)]]],
    ['shared memory', [[shared(randomBytes(1_100_000))], [randomBytes(7), shared(randomBytes(300_000))]]],
    ['growing buffers', Array.from({ length: 12 }, (_, index) => [randomBytes(2 ** index), randomBytes(3 ** (index % 9))])]
  ]
}
