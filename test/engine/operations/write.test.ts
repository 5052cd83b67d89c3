import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import t from 'tap'
import type { UploadEngine } from '../../../src/engine/upload-engine.js'
import type { Locks } from '../../../src/locks/contract.js'
import { memoryLocks } from '../../../src/locks/memory.js'
import { fileMetadata } from '../../../src/metadata/file/index.js'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import type { Storage } from '../../../src/storage/contract.js'
import { StorageLost } from '../../../src/storage/contract.js'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import { type JsonObject, type Upload, offsetOf } from '../../../src/upload.js'
import {
  OpenBody, bodyOf, callerOf, changedMetadata, changedStorage, codeOf, draftOf, engineOn, gate, hangingBody, keepAlive, randomBytes, stored,
  until, recordsOf
} from '../../support/engine.js'

const MIB = 1024 * 1024
const caller = callerOf()
keepAlive(t)

function md5 (bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

function full (code: 'ENOSPC' | 'EIO'): Error {
  return Object.assign(new Error(code), { code })
}

interface SlowStorage {
  readonly storage: Storage
  /** Confirms the oldest batches, all of them without a number. */
  confirm (batches?: number): void
  /** Batches that wait for that. */
  waiting (): number
  confirmed (): number
}

/** A storage that confirms its batches only when told, or fails after some bytes. */
function slowStorage ({ failAfter = Infinity, error = full('EIO') } = {}): SlowStorage {
  const inner = memoryStorage()
  const pending: Array<() => void> = []
  let total = 0
  return {
    storage: changedStorage(inner, {
      async write (upload, start, batches, progress) {
        let end = start
        for await (const batch of batches) {
          const length = batch.reduce((sum, bytes) => sum + bytes.byteLength, 0)
          if (end - start + length > failAfter) throw error
          await inner.write(upload, end, (async function * () { yield batch })(), { confirm: () => {} })
          end += length
          const until = end
          pending.push(() => {
            total = until
            progress.confirm(until)
          })
        }
        while (pending.length > 0) await new Promise(setImmediate)
      }
    }),
    confirm: (batches = Infinity) => { for (const step of pending.splice(0, batches)) step() },
    waiting: () => pending.length,
    confirmed: () => total
  }
}

async function uploadOf (engine: UploadEngine, overrides: Parameters<typeof draftOf>[0] = {}): Promise<Upload> {
  return await engine.create(caller, draftOf(overrides))
}

t.test('invariant 1: a body is acknowledged only once storage has confirmed it', async t => {
  const slow = slowStorage()
  const engine = engineOn({ storage: slow.storage })
  const { id } = await uploadOf(engine)
  let done = false
  const writing = engine.write(caller, id, { start: 0, body: bodyOf(randomBytes(2 * MIB)) }).then(() => { done = true })
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
  t.notOk(done)
  t.equal(offsetOf(await engine.get(caller, id)), 0)
  const confirming = setInterval(() => { slow.confirm() }, 1)
  await writing
  clearInterval(confirming)
  t.equal(offsetOf(await engine.get(caller, id)), 2 * MIB)
})

t.test('invariant 1: a storage that does not confirm all, or stops reading, is trouble, not success', async t => {
  const bytes = randomBytes(100)
  for (const write of [
    async (_upload, start, batches, progress) => {
      for await (const batch of batches) if (batch.length > 0) progress.confirm(start + 10)
    },
    async () => {},
    () => { throw full('EIO') }
  ] satisfies Array<Storage['write']>) {
    const engine = engineOn({ storage: changedStorage(memoryStorage(), { write }) })
    const { id } = await uploadOf(engine)
    const body = bodyOf(bytes)
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body })), 'STORAGE')
    t.equal(offsetOf(await engine.get(caller, id)), 0)
    t.equal(body.listenerCount('data'), 0)
  }
})

t.test('invariant 1: confirmations that come after a failure change nothing', async t => {
  let late = (): void => {}
  const engine = engineOn({
    saveEvery: { bytes: 1, ms: 60_000 },
    storage: changedStorage(memoryStorage(), {
      async write (_upload, start, batches, progress) {
        for await (const batch of batches) if (batch.length > 0) break
        late = () => { progress.confirm(start + 100) }
        throw full('EIO')
      }
    })
  })
  const { id } = await uploadOf(engine)
  t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(randomBytes(100)) })), 'STORAGE')
  late()
  await new Promise(setImmediate)
  t.equal((await engine.get(caller, id)).version, 1)
})

t.test('invariant 2: only a body that starts where the bytes end is taken', async t => {
  const engine = engineOn()
  const { id } = await uploadOf(engine, { size: 20 })
  const bytes = randomBytes(20)
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes.subarray(0, 10)) })
  for (const start of [0, 9, 11, 20, -1, NaN]) {
    const body = bodyOf(bytes)
    await t.rejects(engine.write(caller, id, { start, body, length: 1 }), { code: 'FST_CHUNKED_UPLOAD_OFFSET', expected: 10 }, `${start}`)
    t.equal(body.readableDidRead, false, 'the body is left unread')
  }
  const { upload } = await engine.write(caller, id, { start: 'end', body: bodyOf(bytes.subarray(10)) })
  t.strictSame(upload.received, [[0, 20]])
  t.ok((await stored(engine, upload)).equals(bytes))
})

for (const [name, locks] of [
  ['one server', (shared: Locks) => shared],
  ['two servers that share the directory but by mistake no locks', () => memoryLocks()]
] as const) {
  t.test(`invariant 3: of four identical writes at once exactly one succeeds, with ${name}`, async t => {
    const directory = await mkdtemp(join(tmpdir(), 'write-'))
    t.teardown(() => rm(directory, { recursive: true }))
    const shared = memoryLocks()
    const engines = [1, 2].map(() => engineOn({
      storage: diskStorage({ directory }),
      metadata: fileMetadata({ directory: join(directory, 'records') }),
      locks: locks(shared)
    }))
    const [first, second] = engines
    if (first === undefined || second === undefined) throw new Error('two engines')
    const chunk = 3 * MIB + 5
    const bytes = randomBytes(4 * chunk)
    const { id } = await uploadOf(first, { size: bytes.length, checksum: { algorithm: 'md5', value: null } })
    for (let round = 0; round < 4; round++) {
      const start = round * chunk
      const results = await Promise.all([first, second, first, second].map(engine => codeOf(engine.write(caller, id, {
        start, body: bodyOf(bytes.subarray(start, start + chunk)), length: chunk, size: bytes.length, atomic: true
      }))))
      t.strictSame(results.sort(), ['OFFSET', 'OFFSET', 'OFFSET', 'ok'])
      t.strictSame((await second.get(caller, id)).received, [[0, start + chunk]])
    }
    const { upload } = await second.complete(caller, id, { checksum: md5(bytes) })
    t.ok((await stored(second, upload)).equals(bytes))
    for (const engine of engines) await engine.shutdown()
  })
}

t.test('invariant 3: a claim to stop takes a hanging upload over at once, and its bytes count', async t => {
  const engine = engineOn()
  const { id } = await uploadOf(engine)
  const body = hangingBody(Buffer.from('abc'))
  const hanging = codeOf(engine.write(caller, id, { start: 0, body }))
  await until(() => body.readableDidRead)
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  const settled = await engine.stopWriters(caller, id)
  t.equal(offsetOf(settled), 3)
  t.equal(await hanging, 'TAKEN_OVER')
  const { upload } = await engine.write(caller, id, { start: 3, body: bodyOf(Buffer.from('def')), claim: 'stop' })
  t.equal((await stored(engine, upload)).toString(), 'abcdef')
})

t.test('invariant 3: a polite claim takes an idle upload over, and waits for one that flows', async t => {
  const engine = engineOn()
  const { id } = await uploadOf(engine)
  const body = hangingBody(Buffer.from('abc'))
  const hanging = codeOf(engine.write(caller, id, { start: 0, body }))
  await until(() => body.readableDidRead)
  const [first, second] = await Promise.all([hanging, codeOf(engine.write(caller, id, { start: 3, body: bodyOf(Buffer.from('def')) }))])
  t.strictSame([first, second], ['TAKEN_OVER', 'ok'])

  const flowing = new OpenBody()
  const events: string[] = []
  const older = engine.write(caller, id, { start: 6, body: flowing }).then(() => { events.push('older') })
  await until(() => flowing.readableFlowing === true)
  const newer = engine.write(caller, id, { start: 8, body: bodyOf(Buffer.from('ij')) }).then(() => { events.push('newer') })
  flowing.send(Buffer.from('g'))
  await new Promise(resolve => { setTimeout(resolve, 300) })
  flowing.send(Buffer.from('h')).end()
  await Promise.all([older, newer])
  t.strictSame(events, ['older', 'newer'])
  t.equal((await stored(engine, await engine.get(caller, id))).toString(), 'abcdefghij')
})

t.test('invariant 3: a claim that comes before the body is read still stops it', async t => {
  const read = gate()
  let reading = false
  const metadata = memoryMetadata()
  const engine = engineOn({
    metadata: changedMetadata(metadata, {
      async get (id) {
        if (reading) await read.passed
        return await metadata.get(id)
      }
    })
  })
  const { id } = await uploadOf(engine)
  reading = true
  const first = codeOf(engine.write(caller, id, { start: 0, body: hangingBody(Buffer.from('abc')) }))
  const second = engine.stopWriters(caller, id)
  await new Promise(setImmediate)
  reading = false
  read.open()
  await second
  t.equal(await first, 'TAKEN_OVER')
})

t.test('invariant 3: nothing is saved once the lock was lost', async t => {
  const inner = memoryLocks()
  let lose = (): void => {}
  const engine = engineOn({
    locks: {
      acquire: async (key, request) => {
        lose = () => { request.onClaim('lost') }
        return await inner.acquire(key, request)
      }
    }
  })
  const { id } = await uploadOf(engine)
  const body = hangingBody(randomBytes(100))
  const writing = codeOf(engine.write(caller, id, { start: 0, body }))
  await until(() => body.readableDidRead)
  lose()
  t.equal(await writing, 'TAKEN_OVER')
  t.strictSame((await engine.get(caller, id)).received, [])

  await engine.write(caller, id, { start: 0, body: bodyOf(randomBytes(10)) })
  const completing = callerOf({ hooks: { onComplete: async () => { lose(); return undefined } } })
  t.equal(await codeOf(engine.complete(completing, id)), 'TAKEN_OVER')
  t.equal((await engine.get(caller, id)).status, 'uploading')
})

t.test('what a cut body brought is kept, unless it is all or nothing', async t => {
  for (const [atomic, kept] of [[false, 3], [true, 0]] as const) {
    const engine = engineOn()
    const { id } = await uploadOf(engine)
    const body = hangingBody(Buffer.from('abc'))
    const change = (): { protocolState: JsonObject } => ({ protocolState: { x: 1 } })
    const writing = codeOf(engine.write(caller, id, { start: 0, body, atomic, length: 10, change }))
    await until(() => body.readableDidRead)
    await new Promise(setImmediate)
    body.cut()
    t.equal(await writing, 'BODY_CUT')
    const upload = await engine.get(caller, id)
    t.equal(offsetOf(upload), kept)
    t.strictSame(upload.protocolState, {}, 'a cut body changes nothing else')
    await engine.write(caller, id, { start: kept, body: bodyOf(Buffer.from('abcdef').subarray(kept)), change })
    t.equal((await stored(engine, await engine.get(caller, id))).toString(), 'abcdef')
    t.strictSame((await engine.get(caller, id)).protocolState, { x: 1 })
  }
})

t.test('a long body saves its progress on the way, and an atomic one does not', async t => {
  for (const [atomic, least] of [[false, 4], [true, 0]] as const) {
    const engine = engineOn({ saveEvery: { bytes: MIB, ms: 60_000 } })
    const offsets: number[] = []
    engine.on('progress', upload => { offsets.push(offsetOf(upload)) })
    const { id } = await uploadOf(engine, { checksum: { algorithm: 'md5', value: null } })
    const bytes = randomBytes(8 * MIB)
    const { upload } = await engine.write(caller, id, { start: 0, body: bodyOf(bytes), atomic })
    t.ok(offsets.length > least, `${offsets.length} saves`)
    t.strictSame(offsets, [...offsets].sort((a, b) => a - b), 'invariant 2: offsets grow')
    t.equal(offsetOf(upload), bytes.length)
    t.equal((await engine.complete(caller, id)).upload.checksum?.value, md5(bytes))
  }
})

t.test('time alone makes a slow body save', async () => {
  const engine = engineOn({ saveEvery: { bytes: Infinity, ms: 50 } })
  const { id } = await uploadOf(engine)
  const body = new OpenBody()
  const writing = engine.write(caller, id, { start: 0, body })
  const sending = setInterval(() => { body.send(Buffer.from('x')) }, 10)
  await until(async () => offsetOf(await engine.get(caller, id)) > 0)
  clearInterval(sending)
  body.end()
  await writing
})

t.test('invariant 7: the saved checksum fits the saved offset, also where storage confirms late and partly', async t => {
  const slow = slowStorage()
  const engine = engineOn({ storage: slow.storage, saveEvery: { bytes: 1, ms: 60_000 } })
  const { id } = await uploadOf(engine, { checksum: { algorithm: 'md5', value: null } })
  const bytes = randomBytes(6 * MIB)
  const body = new OpenBody()
  const seen: Upload[] = []
  engine.on('progress', upload => { seen.push(upload) })
  const writing = codeOf(engine.write(caller, id, { start: 0, body }))
  for (let sent = 0; sent < 6; sent++) body.send(bytes.subarray(sent * MIB, (sent + 1) * MIB))
  // With the fourth one on its way, three are hashed: the thread that does it may just be starting.
  await until(() => slow.waiting() > 3)
  for (let step = 0; step < 3; step++) {
    const { length } = seen
    slow.confirm(1)
    await until(() => seen.length > length)
  }
  body.cut()
  const confirming = setInterval(() => { slow.confirm() }, 1)
  t.equal(await writing, 'BODY_CUT')
  clearInterval(confirming)
  t.ok(seen.length >= 4)
  for (const upload of seen) t.equal(upload.checksumState?.offset, offsetOf(upload))
  const offset = offsetOf(await engine.get(caller, id))
  const rest = engine.write(caller, id, { start: offset, body: bodyOf(bytes.subarray(offset)) })
  const again = setInterval(() => { slow.confirm() }, 1)
  await rest
  clearInterval(again)
  t.equal((await engine.complete(caller, id)).upload.checksum?.value, md5(bytes))
})

t.test('invariant 7: a checksum that a crash left behind the offset catches up with the next body', async t => {
  const metadata = memoryMetadata()
  const engine = engineOn({ metadata })
  const { id } = await uploadOf(engine, { checksum: { algorithm: 'md5', value: null } })
  const bytes = randomBytes(100_000)
  const { upload } = await engine.write(caller, id, { start: 0, body: bodyOf(bytes.subarray(0, 40_000)) })
  await engine.write(caller, id, { start: 40_000, body: bodyOf(bytes.subarray(40_000, 60_000)) })
  await recordsOf(engine).update(id, current => ({ ...current, checksumState: upload.checksumState }))
  const after = await engine.write(caller, id, { start: 60_000, body: bodyOf(bytes.subarray(60_000)) })
  t.equal(after.upload.checksumState?.offset, bytes.length)
  await recordsOf(engine).update(id, current => ({ ...current, checksumState: { offset: 60_000, state: 'AAAA' } }))
  t.equal((await engine.complete(caller, id, { checksum: md5(bytes).toUpperCase() })).upload.checksum?.value, md5(bytes))
})

t.test('ranges', async t => {
  const bytes = randomBytes(100)

  await t.test('invariant 2: bodies in any order and side by side become one file', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine, { size: 100, chunkSize: 10, checksum: { algorithm: 'md5', value: null } })
    const order = [3, 9, 0, 1, 7, 2, 8, 5, 6, 4]
    const bodies = order.map(index => ({ start: index * 10, body: new OpenBody() }))
    const complete: string[] = []
    const writes = bodies.map(async ({ start, body }) => {
      const { completed } = await engine.write(caller, id, { start, body, parallel: true, complete: { when: 'full' } })
      if (completed !== undefined) complete.push(completed.upload.id)
    })
    await until(() => bodies.every(({ body }) => body.readableFlowing === true))
    t.pass('all of them are read at the same time')
    for (const { start, body } of bodies) body.send(bytes.subarray(start, start + 10)).end()
    await Promise.all(writes)
    t.strictSame(complete, [id], 'invariant 5: one of them completes it')
    const upload = await engine.get(caller, id)
    t.equal(upload.checksum?.value, md5(bytes))
    t.ok((await stored(engine, upload)).equals(bytes))
  })

  await t.test('offsets name only the contiguous bytes from 0', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine, { size: 100 })
    const write = (start: number, end: number): Promise<unknown> =>
      engine.write(caller, id, { start, body: bodyOf(bytes.subarray(start, end)), parallel: true, length: end - start })
    const offsets: number[] = []
    for (const [start, end] of [[50, 60], [10, 20], [0, 10], [20, 50], [60, 100]] as const) {
      await write(start, end)
      offsets.push(offsetOf(await engine.get(caller, id)))
    }
    t.strictSame(offsets, [0, 0, 20, 60, 100])
  })

  await t.test('invariant 3: a range of which a byte is there, or is on its way, is refused unread', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine, { size: 100 })
    await engine.write(caller, id, { start: 40, body: bodyOf(bytes.subarray(40, 60)), parallel: true, length: 20 })
    const flying = new OpenBody()
    const first = engine.write(caller, id, { start: 0, body: flying, parallel: true, length: 10 })
    await until(() => flying.readableFlowing === true)
    for (const [start, length] of [[40, 20], [50, 5], [59, 2], [30, 11], [5, 10], [9, 1]] as const) {
      const body = bodyOf(bytes)
      t.equal(await codeOf(engine.write(caller, id, { start, body, parallel: true, length })), 'OFFSET', `${start} + ${length}`)
      t.equal(body.readableDidRead, false)
    }
    flying.send(bytes.subarray(0, 10)).end()
    await first
    await engine.write(caller, id, { start: 10, body: bodyOf(bytes.subarray(10, 40)), parallel: true, length: 30 })
    const { upload } = await engine.write(caller, id, { start: 60, body: bodyOf(bytes.subarray(60)), parallel: true })
    t.ok((await stored(engine, upload)).equals(bytes))
  })

  await t.test('invariant 3: of four identical ranges at once exactly one succeeds', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine, { size: 100, chunkSize: 10 })
    const results = await Promise.all([1, 2, 3, 4].map(() =>
      codeOf(engine.write(caller, id, { start: 30, body: bodyOf(bytes.subarray(30, 40)), parallel: true, atomic: true }))))
    t.strictSame(results.sort(), ['OFFSET', 'OFFSET', 'OFFSET', 'ok'])
  })

  await t.test('invariant 3: a hanging range is taken over by its repetition, the others go on', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine, { size: 100, chunkSize: 10 })
    const hanging = hangingBody(bytes.subarray(30, 33))
    const other = new OpenBody()
    const first = codeOf(engine.write(caller, id, { start: 30, body: hanging, parallel: true, atomic: true }))
    const second = codeOf(engine.write(caller, id, { start: 50, body: other, parallel: true, atomic: true }))
    await until(() => hanging.readableDidRead && other.readableFlowing === true)
    await engine.write(caller, id, { start: 30, body: bodyOf(bytes.subarray(30, 40)), parallel: true, atomic: true, claim: 'stop' })
    t.equal(await first, 'TAKEN_OVER')
    other.send(bytes.subarray(50, 60)).end()
    t.equal(await second, 'ok')
    t.strictSame((await engine.get(caller, id)).received, [[30, 40], [50, 60]])
  })

  await t.test('a body of unknown length may not leave its chunk', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine, { size: 100, chunkSize: 30 })
    t.equal(await codeOf(engine.write(caller, id, { start: 30, body: bodyOf(bytes.subarray(0, 31)), parallel: true })), 'LENGTH')
    t.equal(await codeOf(engine.write(caller, id, { start: 90, body: bodyOf(bytes.subarray(90)), parallel: true })), 'ok')
  })

  await t.test('invariant 1: a body that reaches bytes behind a gap does not write over them', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine)
    await engine.write(caller, id, { start: 50, body: bodyOf(bytes.subarray(50, 60)), parallel: true })
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(randomBytes(55)), length: 55 })), 'OFFSET')
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(randomBytes(55)) })), 'LENGTH')
    await engine.write(caller, id, { start: 0, body: bodyOf(bytes.subarray(0, 50)) })
    const upload = await engine.get(caller, id)
    t.strictSame(upload.received, [[0, 60]])
    t.ok((await stored(engine, upload)).equals(bytes.subarray(0, 60)))
  })

  await t.test('a storage that only appends takes ranges in their order', async t => {
    const memory = memoryStorage()
    const engine = engineOn({ storage: changedStorage(memory, { capabilities: { ...memory.capabilities, anyOffset: false } }) })
    const { id } = await uploadOf(engine, { size: 100, chunkSize: 10 })
    const write = (start: number, options: { overwrite?: boolean } = {}): Promise<string> =>
      codeOf(engine.write(caller, id, { start, body: bodyOf(bytes.subarray(start, start + 10)), parallel: true, ...options }))
    t.strictSame([await write(10), await write(0), await write(10), await write(0, { overwrite: true })], ['OFFSET', 'ok', 'ok', 'OFFSET'])
  })

  await t.test('invariant 5: bytes that are replaced, even by half, count in the checksum as they are', async t => {
    const engine = engineOn()
    const { id } = await uploadOf(engine, { size: 100, checksum: { algorithm: 'md5', value: null } })
    await engine.write(caller, id, { start: 0, body: bodyOf(randomBytes(50)) })
    const body = hangingBody(bytes.subarray(0, 20))
    const cut = codeOf(engine.write(caller, id, { start: 0, body, overwrite: true, atomic: true }))
    await until(() => body.readableDidRead)
    await new Promise(resolve => { setTimeout(resolve, 60) })
    body.cut()
    t.equal(await cut, 'BODY_CUT')
    t.equal(offsetOf(await engine.get(caller, id)), 50, 'invariant 2: the offset stays')
    await engine.write(caller, id, { start: 50, body: bodyOf(bytes.subarray(50)) })
    await engine.write(caller, id, { start: 20, body: bodyOf(bytes.subarray(20, 50)), overwrite: true })
    const { upload } = await engine.complete(caller, id)
    t.equal(upload.checksum?.value, md5(await stored(engine, upload)))
    t.equal(upload.checksum?.value, md5(bytes))
  })
})

t.test('a body that breaks while it waits for its turn ends its request, and not the process', async t => {
  keepAlive(t)
  const engine = engineOn()
  const { id } = await engine.create(caller, draftOf())
  const first = hangingBody(randomBytes(10))
  const writing = engine.write(caller, id, { start: 0, body: first })
  await until(() => first.readableDidRead)
  const second = hangingBody(randomBytes(10))
  const waiting = codeOf(engine.write(caller, id, { start: 'end', body: second }))
  second.cut()
  await new Promise(resolve => { setImmediate(resolve) })
  first.end()
  await writing
  t.equal(await waiting, 'BODY_CUT')
})

t.test('limits', async t => {
  const bytes = randomBytes(100)
  type Draft = Parameters<typeof draftOf>[0]
  type Case = readonly [name: string, draft: Draft, maxBytes: number | null, received: number, request: object, code: string, kept: number]
  const cases: readonly Case[] = [
    ['a declared size over the limit', {}, 50, 0, { start: 0, size: 51 }, 'TOO_LARGE', 0],
    ['a length over the limit', {}, 50, 10, { start: 10, length: 41 }, 'TOO_LARGE', 10],
    ['a length beyond the size', { size: 50 }, null, 10, { start: 10, length: 41 }, 'BEYOND_SIZE', 10],
    ['another size than declared', { size: 50 }, null, 10, { start: 10, size: 51 }, 'SIZE_CONFLICT', 10],
    ['a size below what is there', {}, null, 10, { start: 10, size: 9 }, 'BEYOND_SIZE', 10],
    ['the same size again', { size: 100 }, null, 0, { start: 0, size: 100 }, 'ok', 100],
    ['a wrong offset before a length that does not fit', { size: 50 }, null, 10, { start: 0, length: 100 }, 'OFFSET', 10],
    ['counted bytes over the limit', {}, 50, 10, { start: 10 }, 'TOO_LARGE', 10],
    ['counted bytes beyond the size', { size: 50 }, null, 10, { start: 10 }, 'BEYOND_SIZE', 10],
    ['counted bytes beyond a size told with them', {}, 60, 10, { start: 10, size: 50 }, 'BEYOND_SIZE', 10],
    ['counted bytes beyond the size, keeping what fits', { size: 50 }, null, 10, { start: 10, overflow: 'keep' }, 'BEYOND_SIZE', 50],
    ['counted bytes beyond, atomic', { size: 50 }, null, 10, { start: 10, overflow: 'keep', atomic: true }, 'BEYOND_SIZE', 10],
    ['counted bytes beyond the length', {}, null, 10, { start: 10, length: 99 }, 'LENGTH', 10],
    ['fewer bytes than the length', {}, null, 10, { start: 10, length: 101 }, 'LENGTH', 10],
    ['exactly the limit', {}, 110, 10, { start: 10 }, 'ok', 110],
    ['exactly the size', { size: 100 }, 100, 0, { start: 0 }, 'ok', 100]
  ]
  for (const [name, draft, maxBytes, received, request, code, kept] of cases) {
    await t.test(`invariant 11: ${name}`, async t => {
      const engine = engineOn()
      const limited = callerOf({ maxBytes })
      const { id } = await engine.create(limited, draftOf(draft))
      if (received > 0) await engine.write(limited, id, { start: 0, body: bodyOf(bytes.subarray(0, received)) })
      const body = bodyOf(bytes)
      t.equal(await codeOf(engine.write(limited, id, { start: 0, ...request, body })), code)
      t.equal(offsetOf(await engine.get(limited, id)), kept)
    })
  }

  await t.test('invariant 11: what the storage can take limits an upload of unknown size', async t => {
    const memory = memoryStorage()
    for (const capabilities of [{ maxSize: 50 }, { maxChunks: 5 }]) {
      const engine = engineOn({ storage: changedStorage(memory, { capabilities: { ...memory.capabilities, ...capabilities } }) })
      const { id } = await uploadOf(engine, { chunkSize: 10 })
      t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes) })), 'TOO_LARGE')
      t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes.subarray(0, 50)) })), 'ok')
    }
  })

  await t.test('a body is stalled when nothing comes', async t => {
    const engine = engineOn({ pace: { stallTimeout: 50 } })
    const { id } = await uploadOf(engine)
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: hangingBody(Buffer.from('abc')) })), 'STALLED')
    t.equal(offsetOf(await engine.get(caller, id)), 3)
  })
})

t.test('digests of a body drop it whole when they are wrong', async t => {
  const engine = engineOn({ saveEvery: { bytes: 1, ms: 0 } })
  const { id } = await uploadOf(engine)
  const bytes = randomBytes(3 * MIB)
  const digest = (value: Uint8Array): { algorithm: 'md5', expected (): Uint8Array } => ({ algorithm: 'md5', expected: () => value })
  const write = (value: Uint8Array): Promise<string> =>
    codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes), digests: [digest(value)] }))
  t.equal(await write(Buffer.alloc(16)), 'CHECKSUM')
  t.equal((await engine.get(caller, id)).version, 1)
  t.equal(await write(createHash('md5').update(bytes).digest()), 'ok')
})

t.test('a check refuses under the lock, before a byte is read', async t => {
  const engine = engineOn()
  const { id } = await uploadOf(engine)
  const body = bodyOf(Buffer.from('abc'))
  await t.rejects(engine.write(caller, id, { start: 0, body, check: () => { throw new Error('no') } }), { message: 'no' })
  t.equal(body.readableDidRead, false)
})

t.test('faults', async t => {
  const bytes = randomBytes(4 * MIB)

  for (const [error, code] of [
    [full('ENOSPC'), 'STORAGE_FULL'],
    [full('EIO'), 'STORAGE'],
    [new StorageLost('gone'), 'GONE'],
    [Object.assign(new Error('gone, in the words of another build'), { name: 'StorageLost' }), 'GONE']
  ] as const) {
    await t.test(`invariant 13: a storage that fails midway is ${code}, and what it had confirmed stays`, async t => {
      const slow = slowStorage({ failAfter: 2.5 * MIB, error })
      const engine = engineOn({ storage: slow.storage })
      const { id } = await uploadOf(engine)
      await until(async () => true)
      const confirming = setInterval(() => { slow.confirm() }, 1)
      const body = bodyOf(bytes)
      t.equal(await codeOf(engine.write(caller, id, { start: 0, body })), code)
      clearInterval(confirming)
      t.equal(offsetOf(await engine.get(caller, id)), slow.confirmed())
      t.equal(body.listenerCount('data'), 0, 'the body is left')
      t.ok(body.isPaused())
    })
  }

  await t.test('invariant 13: a storage that fails while nothing comes ends the request at once', async t => {
    const fail = gate()
    const engine = engineOn({
      storage: changedStorage(memoryStorage(), {
        async write (_upload, _start, batches) {
          const iterator = batches[Symbol.asyncIterator]()
          await iterator.next()
          iterator.next().catch(() => {})
          await fail.passed
          throw full('EIO')
        }
      })
    })
    const { id } = await uploadOf(engine)
    const writing = codeOf(engine.write(caller, id, { start: 0, body: hangingBody(Buffer.from('abc')) }))
    await new Promise(resolve => { setTimeout(resolve, 50) })
    fail.open()
    t.equal(await writing, 'STORAGE')
  })

  await t.test('invariant 13: a metadata store that fails is trouble, and nothing is acknowledged', async t => {
    const metadata = memoryMetadata()
    let failing = false
    const engine = engineOn({
      metadata: changedMetadata(metadata, {
        async update (upload) {
          if (failing) throw full('EIO')
          return await metadata.update(upload)
        }
      })
    })
    const { id } = await uploadOf(engine)
    failing = true
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes) })), 'STORAGE')
    failing = false
    t.equal(offsetOf(await engine.get(caller, id)), 0)
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes) })), 'ok')
  })

  await t.test('a save on the way that fails is made good by the next', async t => {
    const metadata = memoryMetadata()
    let updates = 0
    const engine = engineOn({
      saveEvery: { bytes: 1, ms: 60_000 },
      metadata: changedMetadata(metadata, {
        async update (upload) {
          if (updates++ === 0) throw full('EIO')
          return await metadata.update(upload)
        }
      })
    })
    const { id } = await uploadOf(engine)
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes) })), 'ok')
    t.equal(offsetOf(await engine.get(caller, id)), bytes.length)
  })

  await t.test('a body whose upload was removed by another server is not read to its end', async t => {
    const engine = engineOn({ saveEvery: { bytes: 1, ms: 60_000 } })
    const { id } = await uploadOf(engine)
    const body = new OpenBody().send(Buffer.alloc(100))
    const writing = codeOf(engine.write(caller, id, { start: 0, body }))
    await until(async () => offsetOf(await engine.get(caller, id)) === 100)
    await recordsOf(engine).update(id, current => ({ ...current, status: 'removed', reason: 'removed', removedAt: Date.now() }))
    body.send(Buffer.alloc(100))
    t.equal(await writing, 'TAKEN_OVER')
  })

  await t.test('a listener that throws is warned of, and breaks nothing', async t => {
    const warnings: unknown[] = []
    const onWarning = (warning: Error): void => { warnings.push(warning.message) }
    process.on('warning', onWarning)
    t.teardown(() => { process.off('warning', onWarning) })
    const engine = engineOn()
    engine.on('progress', () => { throw new Error('a listener fails') })
    const { id } = await uploadOf(engine)
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(Buffer.from('abc')) })), 'ok')
    await new Promise(setImmediate)
    t.strictSame(warnings, ['a listener fails'])
  })
})

t.test('a small chunk costs one look at the record and one update', async t => {
  const metadata = memoryMetadata()
  let calls: string[] = []
  const engine = engineOn({
    metadata: changedMetadata(metadata, {
      get: async id => { calls.push('get'); return await metadata.get(id) },
      update: async upload => { calls.push('update'); return await metadata.update(upload) }
    })
  })
  const { id } = await uploadOf(engine, { size: 128 * 1024, checksum: { algorithm: 'md5', value: null } })
  calls = []
  const chunk = (start: number): Readable => bodyOf(Buffer.alloc(64 * 1024, start))
  await engine.write(caller, id, { start: 0, body: chunk(0) })
  t.strictSame(calls, ['get', 'update'])
  calls = []
  await engine.write(caller, id, { start: 64 * 1024, body: chunk(1), complete: { when: 'full' } })
  t.strictSame(calls, ['get', 'update', 'update'], 'and one more to complete')
})
