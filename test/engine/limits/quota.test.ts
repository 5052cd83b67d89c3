import t from 'tap'
import { type Caller, internalCaller } from '../../../src/engine/caller.js'
import type { UploadEngine } from '../../../src/engine/upload-engine.js'
import { memoryLocks } from '../../../src/locks/memory.js'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import type { Upload } from '../../../src/upload.js'
import {
  bodyOf, callerOf, codeOf, completeOf, draftOf, engineOn, keepAlive, OpenBody, stored, until, recordsOf, adaptersOf
} from '../../support/engine.js'

keepAlive(t)

const MIB = 1024 * 1024
const ann = callerOf({ user: 'ann', maxStored: 10 * MIB })

/** Two servers on one store. */
function twoEngines (): [UploadEngine, UploadEngine] {
  const shared = { storage: memoryStorage(), metadata: memoryMetadata(), locks: memoryLocks() }
  return [engineOn(shared), engineOn(shared)]
}

/** Bytes that count for the user. */
async function taken (engine: UploadEngine, user: Caller['user'] = 'ann'): Promise<number> {
  return (await adaptersOf(engine).metadata.usage({ user, now: Date.now() })).reserved
}

async function append (engine: UploadEngine, caller: Caller, { id }: Upload, bytes: number): Promise<string> {
  return await codeOf(engine.write(caller, id, { start: 'end', body: bodyOf(Buffer.alloc(bytes)), length: bytes }))
}

t.test('a declared size counts from the creation on, a finished file with its size, and what is removed no longer', async t => {
  const engine = engineOn()
  const first = await engine.create(ann, draftOf({ size: 6 * MIB }))
  t.equal(await codeOf(engine.create(ann, draftOf({ size: 4 * MIB + 1 }))), 'QUOTA')
  const whole = await completeOf(engine, ann, Buffer.alloc(4 * MIB), { size: 4 * MIB })
  t.equal(await taken(engine), 10 * MIB)
  t.equal(await codeOf(engine.create(ann, draftOf({ size: 1 }))), 'QUOTA')
  t.equal(await codeOf(engine.create(ann, draftOf())), 'QUOTA', 'an unknown size is one byte at least')
  t.equal(await codeOf(engine.create(ann, draftOf({ size: 0 }))), 'ok')
  t.equal(await codeOf(engine.create(callerOf({ user: 'bob', maxStored: 1 }), draftOf({ size: 1 }))), 'ok', 'each user has a sum')
  await engine.remove(ann, first.id, { keepRecord: true })
  t.equal(await codeOf(engine.create(ann, draftOf({ size: 6 * MIB }))), 'ok')
  await engine.forget(ann, whole.id)
  t.equal(await codeOf(engine.create(ann, draftOf({ size: 4 * MIB }))), 'ok')
})

t.test('of creations at the same time, on two servers, as many get through as there is room for', async t => {
  const engines = twoEngines()
  const codes = await Promise.all(Array.from({ length: 20 }, async (_, number) => {
    return await codeOf(engines[number % 2 === 0 ? 0 : 1].create(ann, draftOf({ size: 3 * MIB })))
  }))
  t.equal(codes.filter(code => code === 'ok').length, 3)
  t.equal(codes.filter(code => code === 'QUOTA').length, 17)
})

t.test('bodies of announced length, at the same time on two servers, get through as far as there is room', async t => {
  const engines = twoEngines()
  const codes = await Promise.all(Array.from({ length: 8 }, async (_, number) => {
    const engine = engines[number % 2 === 0 ? 0 : 1]
    return await append(engine, ann, await engine.create(ann, draftOf()), 3 * MIB).catch(() => 'QUOTA')
  }))
  t.equal(codes.filter(code => code === 'ok').length, 3)
  t.ok(codes.every(code => code === 'ok' || code === 'QUOTA'), codes.join())
  t.equal(await taken(engines[0]), 9 * MIB)
})

t.test('invariant 11: bodies of unknown length are refused while they come, and together store no more than there is room for', async t => {
  const engines = twoEngines()
  const uploads = await Promise.all([0, 1, 2, 3].map(async number => {
    const engine = engines[number % 2 === 0 ? 0 : 1]
    const body = new OpenBody()
    const { id } = await engine.create(ann, draftOf())
    return { body, id, written: codeOf(engine.write(ann, id, { start: 0, body, saveEvery: { bytes: 1, ms: 0 } })) }
  }))
  // Each would go on for ever.
  const timer = setInterval(() => { for (const { body } of uploads) if (!body.destroyed) body.send(Buffer.alloc(256 * 1024)) }, 1)
  t.teardown(() => { clearInterval(timer) })
  t.strictSame(await Promise.all(uploads.map(async ({ written }) => await written)), ['QUOTA', 'QUOTA', 'QUOTA', 'QUOTA'])
  clearInterval(timer)
  const sum = await taken(engines[0])
  t.ok(sum <= 10 * MIB, String(sum))
  t.ok(sum > 5 * MIB, `what came while there was room stays: ${sum}`)
  for (const { id } of uploads) t.notOk((await engines[0].get(ann, id)).reserved, 'nothing stays reserved')
})

t.test('a body of unknown length may fill what is left to the last byte', async t => {
  const engine = engineOn()
  const { id } = await engine.create(ann, draftOf())
  const bytes = Buffer.alloc(10 * MIB, 'abc')
  const { completed } = await engine.write(ann, id, { start: 0, body: bodyOf(bytes), complete: { when: 'end' } })
  t.equal(completed?.upload.size, 10 * MIB)
  t.ok((await stored(engine, await engine.get(ann, id))).equals(bytes))
  t.notOk(completed?.upload.reserved)
  const more = callerOf({ user: 'ann', maxStored: 10 * MIB + 1 })
  const other = await engine.create(more, draftOf())
  t.equal(await codeOf(engine.write(more, other.id, { start: 0, body: bodyOf(Buffer.alloc(2)) })), 'QUOTA')
  t.equal(await codeOf(engine.write(more, other.id, { start: 0, body: bodyOf(Buffer.alloc(1)) })), 'ok')
})

t.test('a body under way leaves most of the room to others', async t => {
  const engine = engineOn()
  const body = new OpenBody().send(Buffer.alloc(1000))
  const { id } = await engine.create(ann, draftOf())
  const written = codeOf(engine.write(ann, id, { start: 0, body, saveEvery: { bytes: 1, ms: 0 } }))
  await until(async () => (await engine.get(ann, id)).received.length > 0)
  t.equal(await codeOf(engine.create(ann, draftOf({ size: 8 * MIB }))), 'ok')
  body.end()
  t.equal(await written, 'ok')
  t.equal(await taken(engine), 8 * MIB + 1000)
})

t.test('what a body that fails has reserved is given back, and what a crash has left with the next body', async t => {
  const engine = engineOn()
  const upload = await engine.create(ann, draftOf())
  const body = new OpenBody().send(Buffer.alloc(1000))
  const written = codeOf(engine.write(ann, upload.id, { start: 0, body, length: 9 * MIB }))
  await until(async () => await taken(engine) === 9 * MIB)
  body.cut()
  t.equal(await written, 'BODY_CUT')
  t.equal(await taken(engine), 1000)
  await recordsOf(engine).update(upload.id, current => ({ ...current, reserved: 9 * MIB }))
  t.equal(await taken(engine), 9 * MIB)
  t.equal(await append(engine, ann, upload, 10 * MIB - 1000), 'ok')
  t.equal(await taken(engine), 10 * MIB)
})

t.test('what a crash has left reserved is given back as soon as others want the room, and not while a body comes', async t => {
  const [engine, other] = twoEngines()
  const left = await engine.create(ann, draftOf())
  const aside = await engine.create(internalCaller(ann), draftOf())
  const busy = await engine.create(ann, draftOf())
  for (const { id } of [left, aside]) await recordsOf(engine).update(id, current => ({ ...current, reserved: 5 * MIB }))
  t.equal(await taken(engine), 10 * MIB)
  t.equal(await append(other, ann, busy, 10 * MIB), 'ok', 'a body')
  await engine.remove(ann, busy.id)
  await recordsOf(engine).update(left.id, current => ({ ...current, reserved: 9 * MIB }))
  const body = new OpenBody().send(Buffer.alloc(1000))
  const upload = await engine.create(ann, draftOf())
  const written = codeOf(engine.write(ann, upload.id, { start: 0, body, length: 8 * MIB }))
  await until(async () => await taken(engine) === 8 * MIB)
  t.equal(await codeOf(other.create(ann, draftOf({ size: 3 * MIB }))), 'QUOTA')
  t.equal(await codeOf(other.create(ann, draftOf({ size: 2 * MIB }))), 'ok', 'a creation')
  body.cut()
  await written
})

t.test('a size that is told after the creation counts from then on', async t => {
  const engine = engineOn()
  const { id } = await engine.create(ann, draftOf())
  const tell = async (size: number): Promise<string> => {
    return await codeOf(engine.write(ann, id, { start: 0, body: bodyOf(Buffer.alloc(0)), size }))
  }
  t.equal(await tell(10 * MIB + 1), 'QUOTA')
  t.equal((await engine.get(ann, id)).size, null)
  t.equal(await tell(9 * MIB), 'ok')
  t.equal(await codeOf(engine.create(ann, draftOf({ size: MIB + 1 }))), 'QUOTA')
})

t.test('bytes that the server puts aside count, and have as much room again', async t => {
  const engine = engineOn()
  const { id } = await engine.create(ann, draftOf({ size: 10 * MIB }))
  await engine.write(ann, id, { start: 0, body: bodyOf(Buffer.alloc(10 * MIB, 1)) })
  const inner = internalCaller(ann)
  const aside = await engine.create(inner, draftOf({ size: 1000 }))
  const { upload } = await engine.write(inner, aside.id, { start: 0, body: bodyOf(Buffer.alloc(1000, 2)) })
  t.equal(await taken(engine), 10 * MIB + 1000)
  t.equal(await codeOf(engine.create(inner, draftOf({ size: 10 * MIB }))), 'QUOTA')
  const unknown = await engine.create(inner, draftOf({ size: null }))
  t.equal(await codeOf(engine.write(inner, unknown.id, { start: 0, body: bodyOf(Buffer.alloc(10 * MIB)), atomic: true })), 'QUOTA')
  await engine.remove(inner, unknown.id)
  await engine.replace(ann, id, 500, upload)
  t.equal((await stored(engine, await engine.get(ann, id), [499, 501])).toString('hex'), '0102')
  t.equal(await taken(engine), 10 * MIB)
})

t.test('all anonymous uploads count together, and expired ones until they are swept', async t => {
  const engine = engineOn()
  const anonymous = callerOf({ maxStored: 100 })
  await engine.create(anonymous, draftOf({ size: 60, expiresIn: 0 }))
  t.equal(await codeOf(engine.create(anonymous, draftOf({ size: 60 }))), 'QUOTA')
  await engine.deleteExpired({ keepRecord: true })
  t.equal(await codeOf(engine.create(anonymous, draftOf({ size: 60 }))), 'ok')
})

t.test('the bytes of a concatenation count, once where its parts go', async t => {
  for (const replaces of [undefined, 6 * MIB]) {
    const engine = engineOn()
    const part = await completeOf(engine, ann, Buffer.alloc(6 * MIB))
    const final = await engine.create(ann, draftOf())
    const code = await codeOf(engine.concat(ann, final.id, [part], { ...replaces !== undefined && { replaces } }))
    t.equal(code, replaces === undefined ? 'QUOTA' : 'ok')
    t.equal(await taken(engine), replaces === undefined ? 6 * MIB : 12 * MIB)
  }
})
