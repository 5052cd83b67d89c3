import fs from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import { writeBatches } from '../../../src/storage/disk/write.js'

type Done = (error: NodeJS.ErrnoException | null, bytes: number) => void

interface Calls {
  readonly writes: Array<{ position: number, length: number, buffers: number, done: Done }>
  readonly syncs: Array<(error: Error | null) => void>
}

/** Takes the system calls of a write into the test's hands. */
function intercept (t: Test): Calls {
  const writes: Calls['writes'] = []
  const syncs: Calls['syncs'] = []
  const replaced = {
    writev: (_fd: number, buffers: Uint8Array[], position: number, done: Done) => {
      writes.push({ position, done, buffers: buffers.length, length: buffers.reduce((bytes, buffer) => bytes + buffer.byteLength, 0) })
    },
    fdatasync: (_fd: number, done: (error: Error | null) => void) => { syncs.push(done) },
    fstat: (_fd: number, done: (error: null, stats: { readonly size: number }) => void) => { done(null, { size: Infinity }) }
  }
  const { writev, fdatasync, fstat } = fs
  Object.assign(fs, replaced)
  t.teardown(() => Object.assign(fs, { writev, fdatasync, fstat }))
  return { writes, syncs }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const error = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code })

async function * of (...sizes: number[]): AsyncGenerator<Uint8Array[]> {
  for (const size of sizes) yield [new Uint8Array(size)]
}

t.test('two writes are in flight at most, and confirmed in the order of the file', async t => {
  const { writes } = intercept(t)
  const confirmed: number[] = []
  const written = writeBatches(0, 100, of(10, 20, 30, 40), { confirm: end => confirmed.push(end), durable: false })
  await turn()
  t.strictSame(writes.map(({ position, length }) => [position, length]), [[100, 10], [110, 20]])
  writes[1]?.done(null, 20)
  await turn()
  t.equal(writes.length, 3, 'a free place is used, whichever write ended')
  t.strictSame(confirmed, [])
  writes[0]?.done(null, 10)
  t.strictSame(confirmed, [130])
  await turn()
  t.equal(writes.length, 4)
  writes[3]?.done(null, 40)
  writes[2]?.done(null, 30)
  await written
  t.strictSame(confirmed, [130, 200])
})

t.test('invariant 6: a write that hangs holds the memory of four batches at most, whatever ends after it', async t => {
  const { writes } = intercept(t)
  const written = writeBatches(0, 0, of(10, 10, 10, 10, 10, 10), { confirm () {}, durable: false })
  for (let index = 1; index < 4; index++) {
    await turn()
    writes[index]?.done(null, 10)
  }
  await turn()
  t.equal(writes.length, 4)
  writes[0]?.done(null, 10)
  await turn()
  t.equal(writes.length, 6)
  for (const { done } of writes.slice(4)) done(null, 10)
  await written
})

t.test('invariant 1: nothing after a failed write is confirmed, and its error is thrown when the rest has ended', async t => {
  const { writes } = intercept(t)
  const confirmed: number[] = []
  const written = writeBatches(0, 0, of(10, 10, 10), { confirm: end => confirmed.push(end), durable: false })
  let settled = false
  written.catch(() => { settled = true })
  await turn()
  writes[0]?.done(error('ENOSPC'), 0)
  await turn()
  t.notOk(settled, 'the descriptor is still in use')
  writes[1]?.done(null, 10)
  await t.rejects(written, { code: 'ENOSPC' })
  t.strictSame(confirmed, [])
  t.equal(writes.length, 2)
})

t.test('what came in front of a failed write is confirmed', async t => {
  const { writes } = intercept(t)
  const confirmed: number[] = []
  const written = writeBatches(0, 0, of(10, 10), { confirm: end => confirmed.push(end), durable: false })
  written.catch(() => {})
  await turn()
  writes[1]?.done(error('EDQUOT'), 0)
  writes[0]?.done(null, 10)
  await t.rejects(written, { code: 'EDQUOT' })
  t.strictSame(confirmed, [10])
})

t.test('a short write goes on after its last byte, and counts when the next part fails', async t => {
  const { writes } = intercept(t)
  const confirmed: number[] = []
  async function * batches (): AsyncGenerator<Uint8Array[]> {
    yield [new Uint8Array(4), new Uint8Array(0), new Uint8Array(4), new Uint8Array(4)]
  }
  const written = writeBatches(0, 1_000, batches(), { confirm: end => confirmed.push(end), durable: false })
  written.catch(() => {})
  await turn()
  writes[0]?.done(null, 4)
  writes[1]?.done(null, 3)
  t.strictSame(writes.map(({ position, length, buffers }) => [position, length, buffers]), [[1_000, 12, 3], [1_004, 8, 2], [1_007, 5, 2]])
  writes[2]?.done(error('ENOSPC'), 0)
  await t.rejects(written, { code: 'ENOSPC' })
  t.strictSame(confirmed, [1_007])
})

t.test('one call takes 1024 buffers', async t => {
  const { writes } = intercept(t)
  async function * batches (): AsyncGenerator<Uint8Array[]> {
    yield Array.from({ length: 1_500 }, () => new Uint8Array(2))
  }
  const written = writeBatches(0, 0, batches(), { confirm () {}, durable: false })
  await turn()
  t.equal(writes[0]?.buffers, 1_024)
  writes[0]?.done(null, 2_048)
  t.strictSame([writes[1]?.buffers, writes[1]?.position], [476, 2_048])
  writes[1]?.done(null, 952)
  await written
})

t.test('a file that takes nothing is an error, no endless loop', async t => {
  const { writes } = intercept(t)
  const written = writeBatches(0, 0, of(10), { confirm () {}, durable: false })
  written.catch(() => {})
  await turn()
  writes[0]?.done(null, 0)
  await t.rejects(written, { message: 'takes no more bytes' })
})

t.test('a failure is told at once, also when the source says nothing any more', async t => {
  const { writes } = intercept(t)
  let left = false
  let asked = 0
  const silent: AsyncIterable<Uint8Array[]> = {
    [Symbol.asyncIterator]: () => ({
      next: () => asked++ === 0 ? Promise.resolve({ done: false, value: [new Uint8Array(5)] }) : new Promise(() => {}),
      return: async () => {
        left = true
        return { done: true, value: undefined }
      }
    })
  }
  const written = writeBatches(0, 0, silent, { confirm () {}, durable: false })
  written.catch(() => {})
  await turn()
  writes[0]?.done(error('EIO'), 0)
  await t.rejects(written, { code: 'EIO' })
  t.ok(left, 'the source is told to end')
})

t.test('a source that breaks its promise and throws is waited out', async t => {
  const { writes } = intercept(t)
  const confirmed: number[] = []
  async function * broken (): AsyncGenerator<Uint8Array[]> {
    yield [new Uint8Array(5)]
    throw new Error('no source')
  }
  const written = writeBatches(0, 0, broken(), { confirm: end => confirmed.push(end), durable: false })
  written.catch(() => {})
  await turn()
  writes[0]?.done(null, 5)
  await t.rejects(written, { message: 'no source' })
  t.strictSame(confirmed, [5])
})

t.test('durable: bytes are confirmed once they are synced, every 64 MiB and at the end', async t => {
  const MiB = 1024 * 1024
  const { writes, syncs } = intercept(t)
  const confirmed: number[] = []
  const written = writeBatches(0, 0, of(40 * MiB, 40 * MiB, 10), { confirm: end => confirmed.push(end), durable: true })
  await turn()
  writes[0]?.done(null, 40 * MiB)
  t.equal(syncs.length, 0)
  writes[1]?.done(null, 40 * MiB)
  t.equal(syncs.length, 1)
  await turn()
  writes[2]?.done(null, 10)
  await turn()
  t.strictSame(confirmed, [], 'not before the sync')
  t.equal(syncs.length, 1, 'one at a time')
  syncs[0]?.(null)
  t.strictSame(confirmed, [80 * MiB], 'not what was written after the sync began')
  await turn()
  t.equal(syncs.length, 2)
  syncs[1]?.(null)
  await written
  t.strictSame(confirmed, [80 * MiB, 80 * MiB + 10])
})

t.test('durable: what was written before a failure is synced, then confirmed', async t => {
  const { writes, syncs } = intercept(t)
  const confirmed: number[] = []
  const written = writeBatches(0, 0, of(10, 10), { confirm: end => confirmed.push(end), durable: true })
  written.catch(() => {})
  await turn()
  writes[0]?.done(null, 10)
  writes[1]?.done(error('ENOSPC'), 0)
  await turn()
  t.strictSame(confirmed, [])
  syncs[0]?.(null)
  await t.rejects(written, { code: 'ENOSPC' })
  t.strictSame(confirmed, [10])
})

t.test('durable: after a failed sync nothing is confirmed, for a second one could not know what was dropped', async t => {
  const { writes, syncs } = intercept(t)
  const confirmed: number[] = []
  const written = writeBatches(0, 0, of(10), { confirm: end => confirmed.push(end), durable: true })
  written.catch(() => {})
  await turn()
  writes[0]?.done(null, 10)
  await turn()
  syncs[0]?.(error('EIO'))
  await t.rejects(written, { code: 'EIO' })
  t.strictSame(confirmed, [])
  t.equal(syncs.length, 1)
})
