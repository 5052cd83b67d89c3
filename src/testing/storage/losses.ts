import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { StorageLost, StorageShort } from '../../storage/contract.js'
import type { StorageCheck } from './check.js'
import { StoredUpload, collect } from './stored-upload.js'

const SIZE = 10_000
const LEFT = 6_000

/** Bytes that are lost without the adapter's knowledge. */
export function declareLossTests (check: StorageCheck): void {
  check('bytes lost behind the back: no write goes behind them, and the error says how many are left', async (storage, _, truncate) => {
    if (truncate === undefined) return
    const bytes = randomBytes(2 * SIZE)
    const stored = await StoredUpload.create(storage, { size: 2 * SIZE })
    await stored.write(0, [[bytes.subarray(0, SIZE)]])
    await truncate(stored.upload, LEFT)
    let asked = false
    async function * rest (): AsyncGenerator<Uint8Array[]> {
      asked = true
      yield [bytes.subarray(SIZE)]
    }
    const left = await leftOf(stored.write(SIZE, rest()))
    assert.equal(asked, false, 'the body is not read')
    stored.upload = { ...stored.upload, received: left === 0 ? [] : [[0, left]] }
    await stored.write(left, [[bytes.subarray(left)]])
    await stored.finish()
    assert.deepEqual(await stored.content(), bytes)
  })

  check('bytes lost behind the back while a body comes: none goes behind them, and the error says how many are left', async (
    storage, _, truncate
  ) => {
    if (truncate === undefined) return
    for (const before of [0, SIZE]) {
      const bytes = randomBytes(before + 2 * SIZE)
      const stored = await StoredUpload.create(storage, { size: bytes.length, chunkSize: SIZE })
      if (before > 0) await stored.write(0, [[bytes.subarray(0, before)]])
      let arrived = (): void => {}
      const isThere = new Promise<void>(resolve => { arrived = resolve })
      async function * body (): AsyncGenerator<Uint8Array[]> {
        yield [bytes.subarray(before, before + SIZE)]
        await isThere
        await truncate?.(stored.upload, LEFT)
        yield [bytes.subarray(before + SIZE)]
      }
      const left = await leftOf(stored.write(before, body(), arrived, arrived))
      stored.upload = { ...stored.upload, received: left === 0 ? [] : [[0, left]] }
      await stored.write(left, [[bytes.subarray(left)]])
      await stored.finish()
      assert.deepEqual(await stored.content(), bytes)
    }
  })

  check('bytes lost behind the back: what is too short is not finished', async (storage, _, truncate) => {
    if (truncate === undefined) return
    const stored = await StoredUpload.create(storage, { size: SIZE })
    await stored.write(0, [[randomBytes(SIZE)]])
    await truncate(stored.upload, LEFT)
    await leftOf(stored.finish())
    await leftOf(stored.finish('some/where.bin'))
  })

  check('bytes lost behind the back: a reader gets none of what is too short, finished or not', async (storage, _, truncate) => {
    if (truncate === undefined) return
    const stored = await StoredUpload.create(storage, { size: SIZE })
    await stored.write(0, [[randomBytes(SIZE)]])
    await stored.finish()
    await truncate(stored.complete, LEFT)
    await leftOf(collect(storage.read(stored.complete, [0, 10])))
    const unfinished = await StoredUpload.create(storage, { size: SIZE })
    await unfinished.write(0, [[randomBytes(SIZE)]])
    await truncate(unfinished.upload, LEFT)
    await leftOf(collect(storage.read(unfinished.upload, [0, 10])))
    await leftOf(collect(storage.read(unfinished.upload, [SIZE - 1, SIZE])))
  })

  check('stored() tells what is there, and that nothing is', async (storage, _, truncate) => {
    if (storage.stored === undefined) return
    const stored = await StoredUpload.create(storage, { size: SIZE })
    await stored.write(0, [[randomBytes(SIZE)]])
    assert.equal(await storage.stored(stored.upload), SIZE)
    await stored.finish('where/it.is')
    assert.equal(await storage.stored(stored.upload), SIZE, 'also when the completion was never written down')
    assert.equal(await storage.stored(stored.complete), SIZE)
    if (truncate !== undefined) {
      await truncate(stored.complete, LEFT)
      assert.ok(await storage.stored(stored.complete) <= LEFT)
    }
    await storage.remove(stored.complete)
    await assert.rejects(async () => await storage.stored?.(stored.complete), StorageLost)
  })

  check('sync() brings a finished file to the disk, as often as it is asked, and says that there is none', async storage => {
    if (storage.sync === undefined) return
    const bytes = randomBytes(SIZE)
    const stored = await StoredUpload.create(storage, { size: SIZE })
    await stored.write(0, [[bytes]])
    await stored.finish('a/b/c.bin')
    await storage.sync(stored.complete)
    await storage.sync(stored.complete)
    assert.deepEqual(await stored.content(), bytes)
    await storage.remove(stored.complete)
    await assert.rejects(async () => await storage.sync?.(stored.complete), StorageLost)
  })
}

/** The bytes that are left, as the error says. */
async function leftOf (work: Promise<unknown>): Promise<number> {
  const error = await work.then(() => undefined, (cause: unknown) => cause)
  assert.ok(error instanceof StorageShort, `StorageShort, not ${String(error)}`)
  assert.ok(error.bytes >= 0 && error.bytes <= LEFT, `${error.bytes} bytes are left`)
  return error.bytes
}
