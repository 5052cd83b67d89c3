import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Locks } from '../../../src/locks/contract.js'
import { memoryLocks } from '../../../src/locks/memory.js'
import { fileMetadata } from '../../../src/metadata/file/index.js'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { offsetOf } from '../../../src/upload.js'
import {
  OpenBody, bodyOf, stored, callerOf, changedMetadata, changedStorage, codeOf, draftOf, engineOn, keepAlive, until
} from '../../support/engine.js'

const caller = callerOf()
keepAlive(t)

/** Locks of a server that no other process knows of once `lose` was called. */
function losable (): { readonly locks: Locks, lose (): void } {
  let lost = false
  const locks = memoryLocks()
  return {
    lose: () => { lost = true },
    locks: {
      async acquire (key, request) {
        const lock = await locks.acquire(key, request)
        return { held: () => !lost, release: async () => { await lock.release() } }
      }
    }
  }
}

t.test('once the lock is lost not a byte more is written, and none of the body counts', async t => {
  const { locks, lose } = losable()
  let batches = 0
  const memory = memoryStorage()
  const storage = changedStorage(memory, {
    async write (upload, start, source, progress) {
      const counted = async function * (): AsyncGenerator<readonly Uint8Array[]> {
        for await (const batch of source) {
          batches++
          yield batch
          lose()
        }
      }
      await memory.write(upload, start, counted(), progress)
    }
  })
  const engine = engineOn({ storage, locks })
  const { id } = await engine.create(caller, draftOf({ size: 8_000_000 }))
  t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(randomBytes(8_000_000)) })), 'TAKEN_OVER')
  t.equal(batches, 1)
  t.equal(offsetOf(await engine.get(caller, id)), 0)
})

for (const parallel of [false, true]) {
  t.test(`bytes that were saved while the lock was lost are taken back, ${parallel ? 'in any order' : 'in order'}`, async t => {
    const { locks, lose } = losable()
    const metadata = memoryMetadata()
    let armed = false
    const engine = engineOn({
      locks,
      metadata: changedMetadata(metadata, {
        async update (upload) {
          const done = await metadata.update(upload)
          if (armed) lose()
          return done
        }
      })
    })
    const bytes = randomBytes(3000)
    const draft = draftOf({ size: 3000, checksum: { algorithm: 'md5', value: null } })
    const { id } = await engine.create(caller, draft)
    await engine.write(caller, id, { start: 0, length: 1000, body: bodyOf(bytes.subarray(0, 1000)), parallel })
    armed = true
    const body = bodyOf(bytes.subarray(1000, 2000))
    t.equal(await codeOf(engine.write(caller, id, { start: 1000, length: 1000, body, parallel })), 'TAKEN_OVER')
    const { received, checksumState } = await engine.get(caller, id)
    t.strictSame(received, [[0, 1000]])
    t.ok((checksumState?.offset ?? 0) <= 1000, 'nor does the checksum know them')
  })
}

t.test('two that both believe to hold the lock never make a file that is neither, but certified', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'lost-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const metadata = fileMetadata({ directory: join(directory, 'records') })
  const one = losable()
  const disk = diskStorage({ directory })
  let atDisk = (): void => {}
  let goOn = (): void => {}
  const reached = new Promise<void>(resolve => { atDisk = resolve })
  const open = new Promise<void>(resolve => { goOn = resolve })
  // Its last write was under way when the lock was lost, and comes to the disk after the other's.
  const slow = changedStorage(disk, {
    async write (upload, start, batches, progress) {
      const late = async function * (): AsyncGenerator<readonly Uint8Array[]> {
        for await (const batch of batches) {
          atDisk()
          await open
          yield batch
        }
      }
      await disk.write(upload, start, late(), progress)
    }
  })
  const first = engineOn({ storage: slow, metadata, locks: one.locks })
  const second = engineOn({ storage: disk, metadata, locks: memoryLocks() })
  const size = 200_000
  const [ours, theirs, third] = [randomBytes(size), randomBytes(size), randomBytes(size)]
  const { id } = await second.create(caller, draftOf({ size: 2 * size, checksum: { algorithm: 'md5', value: null } }))
  const zombie = codeOf(first.write(caller, id, { start: 0, length: size, body: bodyOf(ours) }))
  await reached
  one.lose()
  await second.write(caller, id, { start: 0, length: size, body: bodyOf(theirs) })
  goOn()
  t.equal(await zombie, 'TAKEN_OVER')
  const now = offsetOf(await second.get(caller, id))
  t.equal(now, 0, 'what both wrote comes again')
  await second.write(caller, id, { start: 0, length: size, body: bodyOf(third) })
  await second.write(caller, id, { start: size, length: size, body: bodyOf(ours) })
  const { upload } = await second.complete(caller, id)
  const whole = Buffer.concat([third, ours])
  t.ok((await stored(second, upload, [0, upload.size])).equals(whole))
  t.equal(upload.checksum?.value, createHash('md5').update(whole).digest('hex'))
  for (const engine of [first, second]) await engine.shutdown()
})

t.test('a writer that began before the other one let go does not count either', async t => {
  const metadata = memoryMetadata()
  const storage = memoryStorage()
  const one = losable()
  const engines = [engineOn({ storage, metadata, locks: one.locks }), engineOn({ storage, metadata, locks: memoryLocks() })] as const
  const { id } = await engines[1].create(caller, draftOf({ size: 2000 }))
  const bodies = engines.map(() => new OpenBody().send(randomBytes(500)))
  const writes = engines.map((engine, index) => codeOf(engine.write(caller, id, {
    start: 0, length: 1000, atomic: true, body: bodies[index] ?? bodyOf(randomBytes(0))
  })))
  await until(() => bodies.every(body => body.readableDidRead))
  for (const body of bodies) body.send(randomBytes(500))
  one.lose()
  bodies[0]?.end()
  t.equal(await writes[0], 'TAKEN_OVER')
  bodies[1]?.end()
  t.equal(await writes[1], 'TAKEN_OVER', 'the bytes of the other may lie over its own')
  t.strictSame((await engines[1].get(caller, id)).received, [])
})
