import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { StorageLost } from '../../storage/contract.js'
import type { ByteRange, UploadingUpload } from '../../upload.js'
import { StoredUpload, collect, cut } from './stored-upload.js'
import type { StorageCheck } from './check.js'

/** Making a file whole and final. */
export function declareFinishTests (check: StorageCheck): void {
  check('an empty file is finished without a write', async storage => {
    const stored = await StoredUpload.create(storage, { size: 0 })
    await stored.finish()
    assert.equal((await stored.content()).length, 0)
  })

  check('an empty file may have had an empty write', async storage => {
    const stored = await StoredUpload.create(storage, { size: 0 })
    await stored.write(0, [])
    await stored.finish()
    assert.equal((await stored.content()).length, 0)
  })

  check('invariant 5: bytes beyond the size are not part of the finished file', async storage => {
    const stored = await StoredUpload.create(storage, { size: null })
    const bytes = randomBytes(6_000)
    await stored.write(0, [[bytes]])
    const remembered = stored.upload
    await stored.write(6_000, [[randomBytes(4_000)]])
    stored.upload = { ...remembered, size: 6_000 }
    await stored.finish()
    assert.deepEqual(await stored.content(), bytes)
    await assert.rejects(collect(storage.read(stored.complete, [0, 6_001])))
  })

  check('invariant 5: a file that is too short is lost, not finished', async storage => {
    const stored = await StoredUpload.create(storage, { size: 100 })
    await stored.write(0, [[randomBytes(50)]])
    stored.upload = { ...stored.upload, received: [[0, 100]] }
    await assert.rejects(stored.finish(), StorageLost)
  })

  check('invariant 12: finishing again gives the same place and changes nothing', async storage => {
    for (const location of [undefined, 'videos/holiday.mp4']) {
      const bytes = randomBytes(1_000)
      const stored = await StoredUpload.create(storage, { size: 1_000 })
      await stored.write(0, [[bytes]])
      await stored.finish(location)
      const first = stored.location
      await stored.finish(location)
      assert.equal(stored.location, first)
      assert.deepEqual(await stored.content(), bytes)
    }
  })

  check('invariants 4 and 12: empty files that were never written are finished again, each at a place of its own', async storage => {
    const places: string[] = []
    for (let turn = 0; turn < 3; turn++) {
      const stored = await StoredUpload.create(storage, { size: 0 })
      await stored.finish('same/name.txt')
      places.push(stored.location)
      await stored.finish('same/name.txt')
      assert.equal(stored.location, places.at(-1))
      assert.equal((await stored.content()).length, 0)
    }
    assert.equal(new Set(places).size, 3)
  })

  check('invariant 4: two files that want the same location both stay whole', async storage => {
    const contents = [randomBytes(500), randomBytes(700), randomBytes(900)]
    const all = await Promise.all(contents.map(async bytes => {
      const stored = await StoredUpload.create(storage, { size: bytes.length })
      await stored.write(0, [[bytes]])
      await stored.finish('same/name.bin')
      return stored
    }))
    assert.equal(new Set(all.map(stored => stored.location)).size, 3)
    for (const [index, stored] of all.entries()) assert.deepEqual(await stored.content(), contents[index])
  })

  check('a file that was finished before the host was asked goes to its target after', async storage => {
    for (const refusals of [0, 2]) {
      const bytes = randomBytes(1_000)
      const stored = await StoredUpload.create(storage, { size: 1_000 })
      await stored.write(0, [[bytes]])
      for (let turn = 0; turn <= refusals; turn++) {
        await stored.finish()
        assert.deepEqual(await stored.content(), bytes, 'the host can read it')
        if (turn < refusals) await storage.reopen?.(stored.upload)
      }
      assert.deepEqual(await collect(storage.read(stored.upload, [0, 1_000])), bytes)
      const before = stored.location
      await stored.finish(`after/${stored.upload.id}.bin`)
      assert.notEqual(stored.location, before)
      assert.deepEqual(await stored.content(), bytes)
      await storage.remove(stored.complete)
      await assert.rejects(collect(storage.read(stored.complete, [0, 1])), StorageLost)
    }
  })

  check('a finish of bytes that are gone throws StorageLost', async storage => {
    const stored = await StoredUpload.create(storage, { size: 10 })
    await stored.write(0, [[randomBytes(10)]])
    await storage.remove(stored.upload)
    await assert.rejects(stored.finish(), StorageLost)
  })
}

/** Reading ranges, finished or not. */
export function declareReadTests (check: StorageCheck): void {
  const ranges: ByteRange[] = [
    [0, 400_000], [0, 1], [399_999, 400_000], [1, 2], [65_535, 65_537], [100_000, 350_000], [0, 0], [200, 200], [400_000, 400_000]
  ]

  check('every range is read exactly, before and after finishing', async storage => {
    const bytes = randomBytes(400_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    await stored.write(0, [cut(bytes, 60_000)])
    for (const [start, end] of ranges) {
      assert.deepEqual(await collect(storage.read(stored.upload, [start, end])), bytes.subarray(start, end), `${start}-${end}, unfinished`)
    }
    await stored.finish()
    for (const [start, end] of ranges) {
      assert.deepEqual(await collect(storage.read(stored.complete, [start, end])), bytes.subarray(start, end), `${start}-${end}, finished`)
    }
  })

  check('many readers of one file do not disturb each other', async storage => {
    const bytes = randomBytes(400_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    await stored.write(0, [[bytes]])
    await stored.finish()
    const contents = await Promise.all(ranges.map(range => collect(storage.read(stored.complete, range))))
    for (const [index, [start, end]] of ranges.entries()) assert.deepEqual(contents[index], bytes.subarray(start, end))
  })

  check('a reader that leaves early does no harm', async storage => {
    const bytes = randomBytes(400_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    await stored.write(0, [[bytes]])
    await stored.finish()
    for (let turn = 0; turn < 5; turn++) {
      const stream = storage.read(stored.complete, [0, bytes.length])
      const closed = new Promise(resolve => stream.once('close', resolve))
      // Before the first byte, and after it.
      if (turn % 2 === 0) await new Promise(resolve => stream.once('readable', resolve))
      stream.destroy()
      await closed
    }
    assert.deepEqual(await stored.content(), bytes)
  })

  check('a read whose signal aborts errors, before its first byte and after it, and others go on', async storage => {
    const bytes = randomBytes(400_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    await stored.write(0, [[bytes]])
    await stored.finish()
    for (const begun of [false, true]) {
      const given = new AbortController()
      const stream = storage.read(stored.complete, [0, bytes.length], { signal: given.signal })
      const other = storage.read(stored.complete, [0, bytes.length], { signal: new AbortController().signal })
      if (begun) await new Promise(resolve => stream.once('readable', resolve))
      given.abort()
      await assert.rejects(collect(stream), { name: 'AbortError' })
      assert.deepEqual(await collect(other), bytes)
    }
    await assert.rejects(collect(storage.read(stored.complete, [0, 1], { signal: AbortSignal.abort() })), { name: 'AbortError' })
  })

  check('a stream errors with StorageLost when the bytes are gone', async storage => {
    const unfinished = await StoredUpload.create(storage, { size: 20 })
    await unfinished.write(0, [[randomBytes(10)]])
    await storage.remove(unfinished.upload)
    await assert.rejects(collect(storage.read(unfinished.upload, [0, 10])), StorageLost)

    const finished = await StoredUpload.create(storage, { size: 10 })
    await finished.write(0, [[randomBytes(10)]])
    await finished.finish()
    await storage.remove(finished.complete)
    await assert.rejects(collect(storage.read(finished.complete, [0, 10])), StorageLost)
  })

  check('a local path holds the bytes at their own offsets', async storage => {
    const bytes = randomBytes(5_000)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    const path = storage.localPath?.(stored.upload)
    if (path === undefined) return
    await stored.write(0, [[bytes]])
    assert.deepEqual(await slice(path, 1_000, 3_000), bytes.subarray(1_000, 3_000))
    await stored.finish('a/b/c.bin')
    assert.deepEqual(await slice(storage.localPath?.(stored.complete) ?? '', 0, 5_000), bytes)
  })
}

/** Removing, and nothing but what was asked for. */
export function declareRemoveTests (check: StorageCheck): void {
  check('an upload is removed in every state, and twice', async (storage, assertEmpty) => {
    for (const bytes of [null, 10, 20]) {
      const stored = await StoredUpload.create(storage, { size: 20 })
      if (bytes !== null) await stored.write(0, [[randomBytes(bytes)]])
      if (bytes === 20) await stored.finish()
      const upload = bytes === 20 ? stored.complete : stored.upload
      await storage.remove(upload)
      await storage.remove(upload)
      await assert.rejects(collect(storage.read(upload, [0, 1])), StorageLost)
      await assertEmpty()
    }
  })

  check('invariant 12: what was finished but never became complete can be read, written over, and finished again', async storage => {
    for (const target of [undefined, 'some/where/film.bin']) {
      const [old, bytes] = [randomBytes(10), randomBytes(10)]
      const stored = await StoredUpload.create(storage, { size: 10 })
      await stored.write(0, [[old]])
      await stored.finish(target)
      const first = stored.location
      assert.deepEqual(await collect(storage.read(stored.upload, [0, 10])), old)
      if (!storage.capabilities.anyOffset) continue
      await stored.write(0, [[bytes]])
      assert.deepEqual(await collect(storage.read(stored.upload, [0, 10])), bytes)
      await stored.finish(target)
      assert.equal(stored.location, first)
      assert.deepEqual(await stored.content(), bytes)
    }
  })

  check('invariant 12: what was finished but never became complete is removed from where it was wanted', async (storage, assertEmpty) => {
    for (const target of [undefined, 'some/where/film.bin']) {
      for (const size of [10, 0]) {
        const stored = await StoredUpload.create(storage, { size })
        if (size > 0) await stored.write(0, [[randomBytes(size)]])
        await stored.finish(target)
        await storage.remove(stored.upload)
        await assert.rejects(collect(storage.read({ ...stored.complete, size: 1 }, [0, 1])), StorageLost)
        await assertEmpty()
      }
    }
  })

  check('invariant 12: what a create made that did not come to its end is removed by what was planned', async (storage, assertEmpty) => {
    const planned = StoredUpload.plan(storage, { size: 10 })
    await storage.remove(planned)
    for (let turn = 0; turn < 2; turn++) {
      // An id is never used for two files: a second create goes through only where nothing was left.
      const state = await storage.create(planned)
      await storage.remove(planned)
      const upload: UploadingUpload = { ...planned, storageState: JSON.parse(JSON.stringify(state)), received: [[0, 1]] }
      await assert.rejects(collect(storage.read(upload, [0, 1])), StorageLost)
      await assertEmpty()
    }
  })

  check('a removal leaves every other upload as it is', async storage => {
    const kept = await StoredUpload.create(storage, { size: 30 })
    const finished = await StoredUpload.create(storage, { size: 10 })
    const removed = await StoredUpload.create(storage, { size: 10 })
    const bytes = randomBytes(30)
    await kept.write(0, [[bytes.subarray(0, 10)]])
    for (const stored of [finished, removed]) {
      await stored.write(0, [[bytes.subarray(0, 10)]])
      await stored.finish('same/place.bin')
    }
    await storage.remove(removed.complete)
    await kept.write(10, [[bytes.subarray(10)]])
    await kept.finish()
    assert.deepEqual(await kept.content(), bytes)
    assert.deepEqual(await finished.content(), bytes.subarray(0, 10))
  })

  check('uploads come and go at the same time', async storage => {
    await Promise.all(Array.from({ length: 12 }, async (_, index) => {
      const bytes = randomBytes(100 + index)
      for (let turn = 0; turn < 4; turn++) {
        const stored = await StoredUpload.create(storage, { size: bytes.length })
        await stored.write(0, [[bytes]])
        await stored.finish(index % 2 === 0 ? undefined : `turn/${turn}/file`)
        assert.deepEqual(await stored.content(), bytes)
        await storage.remove(stored.complete)
      }
    }))
  })
}

async function slice (path: string, start: number, end: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(end - start), 0, end - start, start)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}
