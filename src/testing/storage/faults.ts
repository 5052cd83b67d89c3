import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Storage } from '../../storage/contract.js'
import { offsetOf } from '../../upload.js'
import { type DiskFaults, withDiskFaults } from './disk-faults.js'
import { StoredUpload, collect } from './stored-upload.js'
import type { StorageCheck } from './check.js'

const MIB = 1024 * 1024
/** Writes end late and out of order, and sometimes do a part of their work only; reads before them are quick. */
const LATE: DiskFaults = { delay: ({ name }) => /^write|sync$/.test(name) ? 6 : 0, short: 0.2 }

/**
 * Bytes that arrive whole however the disk behaves, for storages that use `node:fs`; others are asked for the same without delays. What
 * the tests write is more than any storage can have in its hands at once.
 */
export function declareFaultTests (check: StorageCheck): void {
  check('invariant 3: late writes in any order bring all bytes, from memory that is used again once it is free', async storage => {
    const contents = [randomBytes(24 * MIB + 1), randomBytes(9 * MIB), randomBytes(5 * MIB + 77)]
    const all = await withDiskFaults(LATE, async () => await Promise.all(contents.map(async bytes => {
      const stored = await StoredUpload.create(storage, { size: bytes.length })
      await writeFromRing(stored, 0, bytes)
      await stored.finish()
      return { stored, content: await stored.content() }
    })))
    for (const [index, { stored, content }] of all.entries()) {
      assertSame(content, contents[index])
      assertSame(await stored.content(), contents[index])
    }
  })

  check('invariant 3: bytes that are replaced by late writes are the new ones, and no others', async storage => {
    if (!storage.capabilities.anyOffset) return
    const [bytes, replaced] = [randomBytes(12 * MIB), randomBytes(7 * MIB)]
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    await withDiskFaults(LATE, async () => {
      await writeFromRing(stored, 0, bytes)
      await writeFromRing(stored, 2 * MIB, replaced)
    })
    replaced.copy(bytes, 2 * MIB)
    await stored.finish()
    assertSame(await stored.content(), bytes)
  })

  check('invariant 3: concat of parts of tens of MiB gives their bytes, however late and out of order its writes end', async storage => {
    if (storage.concat === undefined) return
    const contents = [randomBytes(23 * MIB + 5), randomBytes(3), randomBytes(12 * MIB), randomBytes(300_000), randomBytes(17 * MIB + 99)]
    const parts = await Promise.all(contents.map(async bytes => await finished(storage, bytes)))
    const whole = Buffer.concat(contents)
    // Two at once, as memory that two of them share would show.
    const finals = await withDiskFaults(LATE, async () => await Promise.all([0, 1].map(async () => {
      const stored = await StoredUpload.create(storage, { size: whole.length })
      await stored.concat(parts.map(part => part.complete))
      await stored.finish()
      return stored
    })))
    for (const final of finals) assertSame(await final.content(), whole)
    for (const [index, part] of parts.entries()) assertSame(await part.content(), contents[index])
  })

  check('reads that end late or do a part of their work give each reader the bytes of its range', async storage => {
    const bytes = randomBytes(3 * MIB)
    const stored = await finished(storage, bytes)
    await withDiskFaults({ delay: 6, short: 0.5 }, async () => {
      await Promise.all([0, 1, MIB - 1, 2 * MIB + 7].map(async start => {
        const left = storage.read(stored.complete, [start, bytes.length])
        left.once('readable', () => { left.destroy() })
        assertSame(await collect(storage.read(stored.complete, [start, bytes.length - 9])), bytes.subarray(start, -9))
      }))
    })
  })

  check('invariant 3: concat of many small parts gives their bytes', async storage => {
    if (storage.concat === undefined) return
    const contents = Array.from({ length: 40 }, (_, index) => randomBytes(1 + index * 1_000))
    const parts = await Promise.all(contents.map(async bytes => await finished(storage, bytes)))
    const whole = Buffer.concat(contents)
    const stored = await StoredUpload.create(storage, { size: whole.length })
    await withDiskFaults(LATE, async () => { await stored.concat(parts.map(part => part.complete)) })
    await stored.finish()
    assertSame(await stored.content(), whole)
  })

  for (const [what, calls] of [['write', ['write', 'writev']], ['sync', ['fsync', 'fdatasync', 'sync', 'datasync']]] as const) {
    check(`invariant 1: what was confirmed in front of a ${what} that fails is there, and the upload goes on from it`, async storage => {
      const bytes = randomBytes(8 * MIB)
      const stored = await StoredUpload.create(storage, { size: bytes.length })
      let count = 0
      const fail: DiskFaults['fail'] = ({ name }) => (calls as readonly string[]).includes(name) && ++count === 5 ? 'ENOSPC' : undefined
      await withDiskFaults({ ...LATE, fail }, async () => await writeFromRing(stored, 0, bytes)).catch(ignoreFault)
      const offset = offsetOf(stored.upload)
      assertSame(await collect(storage.read(stored.upload, [0, offset])), bytes.subarray(0, offset))
      await writeFromRing(stored, offset, bytes.subarray(offset))
      await stored.finish()
      assertSame(await stored.content(), bytes)
    })
  }

  check('invariant 12: concat whose writes fail can be called again', async storage => {
    if (storage.concat === undefined) return
    const contents = [randomBytes(6 * MIB), randomBytes(6 * MIB)]
    const parts = await Promise.all(contents.map(async bytes => await finished(storage, bytes)))
    const stored = await StoredUpload.create(storage, { size: 12 * MIB })
    const remembered = stored.upload
    let count = 0
    const fail: DiskFaults['fail'] = ({ name }) => (name === 'write' || name === 'writev') && ++count === 4 ? 'EIO' : undefined
    await withDiskFaults({ ...LATE, fail }, async () => { await stored.concat(parts.map(part => part.complete)) }).catch(ignoreFault)
    stored.upload = remembered
    await stored.concat(parts.map(part => part.complete))
    await stored.finish()
    assertSame(await stored.content(), Buffer.concat(contents))
  })
}

async function finished (storage: Storage, bytes: Buffer): Promise<StoredUpload> {
  const part = await StoredUpload.create(storage, { size: bytes.length })
  await part.write(0, [[bytes]])
  await part.finish()
  return part
}

/** Writes from blocks of 1 MiB, each of which is spoilt and filled anew as soon as the storage lets go of it, as the engine's are. */
async function writeFromRing (stored: StoredUpload, start: number, bytes: Buffer): Promise<void> {
  const free: Buffer[] = []
  const lent: Array<{ readonly block: Buffer, readonly end: number }> = []
  const release = (end: number): void => {
    while (lent[0] !== undefined && lent[0].end <= end) free.push(...lent.splice(0, 1).map(({ block }) => block.fill(0xaa)))
  }
  async function * batches (): AsyncGenerator<readonly Uint8Array[]> {
    for (let position = 0; position < bytes.length;) {
      const block = free.pop() ?? Buffer.from(new SharedArrayBuffer(MIB))
      const length = bytes.copy(block, 0, position)
      position += length
      lent.push({ block, end: start + position })
      yield [block.subarray(0, length / 2), block.subarray(length / 2, length)]
    }
  }
  await stored.write(start, batches(), release, release)
}

function assertSame (content: Buffer, expected: Buffer | undefined): void {
  assert.ok(expected !== undefined)
  assert.equal(content.length, expected.length)
  if (content.equals(expected)) return
  const first = content.findIndex((byte, index) => byte !== expected[index])
  assert.fail(`byte ${first} of ${expected.length} and others are wrong`)
}

/** A storage that does not use `node:fs` meets no fault, one that does throws it. */
function ignoreFault (error: unknown): void {
  if (!(error instanceof Error) || !('code' in error)) throw error
}
