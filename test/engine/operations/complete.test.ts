import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addAbortSignal, Readable } from 'node:stream'
import t from 'tap'
import type { CallerHooks } from '../../../src/engine/caller.js'
import { memoryMetadata } from '../../../src/metadata/memory.js'
import type { Storage } from '../../../src/storage/contract.js'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { encryptedStorage } from '../../../src/storage/encrypted/index.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import type { Upload } from '../../../src/upload.js'
import {
  bodyOf, callerOf, changedMetadata, changedStorage, codeOf, completeOf, draftOf, engineOn, gate, hangingBody, keepAlive, randomBytes,
  recordsOf, stored, until
} from '../../support/engine.js'

const caller = callerOf()
const bytes = randomBytes(100_000)
const md5 = createHash('md5').update(bytes).digest('hex')
const withMd5 = { checksum: { algorithm: 'md5', value: null } }
keepAlive(t)

t.test('invariant 5: an upload is complete when all of it is there, and only once', async t => {
  const engine = engineOn()
  const events: Upload[] = []
  engine.on('complete', upload => { events.push(upload) })
  const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes.subarray(0, 60_000)) })
  await t.rejects(engine.complete(caller, id), { code: 'FST_CHUNKED_UPLOAD_INCOMPLETE', received: 60_000, size: 100_000 })
  await engine.write(caller, id, { start: 60_000, body: bodyOf(bytes.subarray(60_000)) })
  for (const checksum of ['', 'x', md5.slice(1), createHash('md5').digest('hex')]) {
    t.equal(await codeOf(engine.complete(caller, id, { checksum })), 'CHECKSUM')
  }
  const { upload } = await engine.complete(caller, id, { checksum: md5.toUpperCase() })
  t.match(upload, { status: 'complete', size: bytes.length, received: [[0, bytes.length]], checksumState: null })
  t.strictSame(upload.checksum, { algorithm: 'md5', value: md5 })
  t.ok((await stored(engine, upload)).equals(bytes))
  t.strictSame(await engine.get(caller, id), upload)
  for (const again of [engine.complete(caller, id), engine.write(caller, id, { start: 'end', body: bodyOf(bytes) })]) {
    t.equal(await codeOf(again), 'COMPLETE')
  }
  t.strictSame(events, [upload])
})

t.test('invariant 5: of several completions at once one succeeds, and the hook runs once', async t => {
  let calls = 0
  const hooks: CallerHooks = {
    onComplete: async () => {
      calls++
      await new Promise(resolve => { setTimeout(resolve, 10) })
      return { statusCode: 201 }
    }
  }
  const engine = engineOn()
  const { id } = await engine.create(caller, draftOf())
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
  const results = await Promise.all([1, 2, 3, 4].map(() => codeOf(engine.complete(callerOf({ hooks }), id))))
  t.strictSame(results.sort(), ['COMPLETE', 'COMPLETE', 'COMPLETE', 'ok'])
  t.equal(calls, 1)
})

t.test('invariant 5: a hook may refuse, and is asked again when the client tries again', async t => {
  const seen: Upload[] = []
  let refuses = true
  const hooks: CallerHooks = {
    onComplete: async upload => {
      seen.push(upload)
      if (refuses) throw new Error('not today')
      return { body: { ok: true } }
    }
  }
  for (const storage of [memoryStorage(), diskStorage({ directory: await folder(t) })]) {
    refuses = true
    seen.length = 0
    const engine = engineOn({ storage })
    const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
    const completing = callerOf({ hooks })
    await t.rejects(engine.write(completing, id, { start: 0, body: bodyOf(bytes), complete: { when: 'full' } }), { message: 'not today' })
    t.equal((await engine.get(caller, id)).status, 'uploading', 'invariant 12')
    await t.rejects(engine.complete(completing, id), { message: 'not today' })
    refuses = false
    // An empty body at the end of a file that storage has put away already.
    const empty = bodyOf(Buffer.alloc(0))
    const { completed } = await engine.write(completing, id, { start: bytes.length, body: empty, complete: { when: 'full' } })
    t.strictSame(completed?.reply, { body: { ok: true } })
    t.equal(seen.length, 3)
    t.ok(seen.every(upload => upload.status === 'complete' && upload.checksum?.value === md5))
    t.ok((await stored(engine, await engine.get(caller, id))).equals(bytes))
  }
})

t.test('invariant 5: every checksum that was given has to be right', async t => {
  for (const [kept, given, code] of [
    [{ algorithm: 'md5', value: md5.toUpperCase() }, undefined, 'ok'],
    [{ algorithm: 'md5', value: md5 }, md5, 'ok'],
    [{ algorithm: 'md5', value: 'ff' }, md5, 'CHECKSUM'],
    [{ algorithm: 'md5', value: 'ff' }, undefined, 'CHECKSUM'],
    [{ algorithm: 'md5', value: md5 }, 'ff', 'CHECKSUM'],
    [null, md5, 'CHECKSUM_ALGORITHM'],
    [null, undefined, 'ok']
  ] as const) {
    const engine = engineOn()
    const { id } = await engine.create(caller, draftOf({ checksum: kept }))
    await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
    t.equal(await codeOf(engine.complete(caller, id, given === undefined ? {} : { checksum: given })), code)
  }
})

t.test('an upload of unknown size has the size of what came', async t => {
  const engine = engineOn()
  const { id } = await engine.create(caller, draftOf(withMd5))
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes.subarray(0, 10)) })
  const { completed } = await engine.write(caller, id, { start: 10, body: bodyOf(bytes.subarray(10)), complete: { when: 'end' } })
  t.equal(completed?.upload.size, bytes.length)
  t.equal(completed?.upload.checksum?.value, md5)

  const empty = await engine.create(caller, draftOf(withMd5))
  const done = await engine.write(caller, empty.id, { start: 0, body: bodyOf(Buffer.alloc(0)), complete: { when: 'end' } })
  t.match(done.completed?.upload, { size: 0, received: [], checksum: { value: 'd41d8cd98f00b204e9800998ecf8427e' } })
})

t.test('invariant 5: a body that is cut completes nothing', async t => {
  const engine = engineOn()
  const { id } = await engine.create(caller, draftOf())
  const body = hangingBody(bytes)
  const writing = codeOf(engine.write(caller, id, { start: 0, body, complete: { when: 'end' } }))
  await until(() => body.readableDidRead)
  body.cut()
  t.equal(await writing, 'BODY_CUT')
  t.match(await engine.get(caller, id), { status: 'uploading', size: null })
})

t.test('what was received can be taken as the whole, whatever was declared', async t => {
  const engine = engineOn({ storage: diskStorage({ directory: await folder(t) }) })
  const { id } = await engine.create(caller, draftOf({ size: bytes.length + 5000, ...withMd5 }))
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
  await engine.write(caller, id, { start: bytes.length + 100, body: bodyOf(bytes.subarray(0, 50)), parallel: true })
  const { upload } = await engine.complete(caller, id, { asReceived: true, checksum: md5 })
  t.match(upload, { size: bytes.length, received: [[0, bytes.length]] })
  t.ok((await stored(engine, upload)).equals(bytes))
})

t.test('invariant 12: a crash between any two steps of a completion leaves one that can be repeated', async t => {
  // Out of order, so that the checksum has to be read back; to a place of the host's choice, so that the file moves.
  for (const crash of ['stopWriters', 'finish', 'after finish', 'complete'] as const) {
    const directory = await folder(t)
    const disk = diskStorage({ directory })
    const metadata = memoryMetadata()
    let crashing = true
    let updates = 0
    const fail = (): void => {
      if (!crashing) return
      crashing = false
      throw new Error('killed')
    }
    const engine = engineOn({
      location: () => 'films/film.bin',
      storage: changedStorage(disk, {
        finish: async upload => {
          if (crash === 'finish') fail()
          const location = await disk.finish(upload)
          if (crash === 'after finish') fail()
          return location
        }
      }),
      metadata: changedMetadata(metadata, {
        update: async upload => {
          if (upload.checksumState?.offset === bytes.length && crash === 'stopWriters') fail()
          if (upload.status === 'complete' && crash === 'complete') fail()
          updates++
          return await metadata.update(upload)
        }
      })
    })
    const { id } = await engine.create(caller, draftOf({ size: bytes.length, chunkSize: 50_000, ...withMd5 }))
    for (const start of [50_000, 0]) {
      await engine.write(caller, id, { start, body: bodyOf(bytes.subarray(start, start + 50_000)), parallel: true })
    }
    t.equal(await codeOf(engine.complete(caller, id, { checksum: md5 })), 'STORAGE', crash)
    const other = engineOn({ storage: disk, metadata, location: () => 'films/film.bin' })
    const { upload } = await other.complete(caller, id, { checksum: md5 })
    t.equal(upload.location, 'films/film.bin')
    t.ok((await stored(other, upload)).equals(bytes))
    t.strictSame(await readdir(join(directory, 'films')), ['film.bin'])
    t.ok(updates > 0)
    await engine.shutdown()
    await other.shutdown()
  }
})

t.test('a file that the host refuses is never at the place where the host wants it', async t => {
  for (const storageOf of [memoryStorage, (directory: string) => diskStorage({ directory })]) {
    const directory = await folder(t)
    const storage = storageOf(directory)
    const wanted = ['../out', 'monday', 'tuesday', 'wednesday', 'thursday']
    const engine = engineOn({ storage, location: () => `${wanted.shift() ?? ''}/film.bin` })
    const seen: unknown[] = []
    let refuses = true
    const asking = callerOf({
      hooks: {
        onComplete: async upload => {
          const isThere = (await readdir(directory)).some(name => name.endsWith('day'))
          t.notOk(isThere, 'nothing is there while the host is asked')
          t.ok((await stored(engine, upload)).equals(bytes), 'the host can read the file')
          const path = storage.localPath?.(upload)
          if (path !== undefined) t.ok((await readFile(path)).equals(bytes))
          seen.push(upload.target)
          if (refuses) throw new Error('a virus')
          return { statusCode: 201 }
        }
      }
    })
    const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
    await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
    t.equal(await codeOf(engine.complete(asking, id)), 'LOCATION', 'a place that can never be is refused before the host is asked')
    for (let turn = 0; turn < 2; turn++) {
      await t.rejects(engine.complete(asking, id), { message: 'a virus' })
      t.notOk((await filesIn(directory)).some(file => !file.endsWith('.part')), 'nothing is left of it but the unfinished file')
      t.notOk('target' in await engine.get(caller, id))
    }
    refuses = false
    const { upload, reply } = await engine.complete(asking, id)
    t.match(upload, { location: 'wednesday/film.bin', status: 'complete' })
    t.strictSame(reply, { statusCode: 201 })
    t.notOk('target' in upload || 'agreed' in upload)
    t.ok((await stored(engine, upload)).equals(bytes))
    t.strictSame(seen, ['monday/film.bin', 'tuesday/film.bin', 'wednesday/film.bin'])
  }
})

t.test('invariant 5: a host that has agreed is not asked again, whatever fails after', async t => {
  const cases = [['place', () => `films/${Date.now()}.bin`], ['record', () => 'films/a.bin'], ['record', undefined]] as const
  for (const [what, location] of cases) {
    for (const elsewhere of [false, true]) {
      const directory = await folder(t)
      const disk = diskStorage({ directory })
      const metadata = memoryMetadata()
      let [failures, asked] = [3, 0]
      const fails = (due: boolean): void => { if (due && failures-- > 0) throw new Error('no service') }
      const options = {
        ...location !== undefined && { location },
        storage: changedStorage(disk, {
          finish: async upload => {
            fails(what === 'place' && upload.target !== undefined)
            return await disk.finish(upload)
          }
        }),
        metadata: changedMetadata(metadata, {
          update: async upload => {
            fails(what === 'record' && asked > 0 && (upload.status === 'complete' || elsewhere))
            return await metadata.update(upload)
          }
        })
      }
      const engine = engineOn(options)
      const asking = callerOf({
        hooks: {
          onComplete: async () => {
            asked++
            return { statusCode: 201, headers: { 'x-a': 'b' }, body: { id: 7 } }
          }
        }
      })
      const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
      await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
      for (let turn = 0; turn < 3; turn++) t.equal(await codeOf(engine.complete(asking, id)), 'STORAGE')
      // What only memory knows, another server does not.
      const next = elsewhere && what === 'place' ? engineOn(options) : engine
      const { reply, upload } = await next.complete(asking, id)
      t.strictSame(reply, { statusCode: 201, headers: { 'x-a': 'b' }, body: { id: 7 } })
      t.equal(asked, 1, what)
      t.ok((await stored(next, upload)).equals(bytes))
      t.notOk('agreed' in upload)
    }
  }
})

t.test('a file that the host has taken is not changed on its way to its place', async t => {
  const disk = diskStorage({ directory: await folder(t) })
  let fails = true
  const storage = changedStorage(disk, {
    finish: async upload => {
      if (upload.target !== undefined && fails) throw new Error('no service')
      return await disk.finish(upload)
    }
  })
  const engine = engineOn({ storage, location: () => 'films/a.bin' })
  const asking = callerOf({ hooks: { onComplete: async () => undefined } })
  const { id } = await engine.create(caller, draftOf({ size: bytes.length, chunkSize: 50_000, ...withMd5 }))
  for (const start of [0, 50_000]) {
    await engine.write(caller, id, { start, body: bodyOf(bytes.subarray(start, start + 50_000)), parallel: true })
  }
  t.equal(await codeOf(engine.complete(asking, id)), 'STORAGE')
  const aside = await engine.create(caller, draftOf())
  const { upload } = await engine.write(caller, aside.id, { start: 0, body: bodyOf(randomBytes(50_000)) })
  t.equal(await codeOf(engine.replace(caller, id, 0, upload)), 'COMPLETE')
  fails = false
  t.ok((await stored(engine, (await engine.complete(asking, id)).upload)).equals(bytes))
})

t.test('a file that an earlier version has put at its place before the host was asked is found there', async t => {
  const directory = await folder(t)
  const disk = diskStorage({ directory })
  const engine = engineOn({ storage: disk, location: () => 'tuesday/film.bin' })
  const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
  const target = 'monday/film.bin'
  const moved = await recordsOf(engine).update(id, current => ({ ...current, target }))
  await disk.finish({ ...moved, size: bytes.length })
  let refuses = true
  const asking = callerOf({ hooks: { onComplete: async () => { if (refuses) throw new Error('a virus'); return undefined } } })
  await t.rejects(engine.complete(asking, id), { message: 'a virus' })
  refuses = false
  t.match((await engine.complete(asking, id)).upload, { location: target, status: 'complete' })
})

t.test('invariant 12: an upload whose place no storage takes can be removed', async t => {
  const engine = engineOn({ storage: diskStorage({ directory: await folder(t) }), location: () => '../out' })
  const { id } = await engine.create(caller, draftOf())
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
  t.equal(await codeOf(engine.complete(caller, id)), 'LOCATION')
  await engine.remove(caller, id)
  t.equal(await codeOf(engine.get(caller, id)), 'NOT_FOUND')
})

t.test('invariant 5: completing after expiry is refused, finishing in time is not', async t => {
  const engine = engineOn()
  const { id } = await engine.create(caller, draftOf())
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
  const inTime = await engine.create(caller, draftOf())
  const body = hangingBody(Buffer.from('abc'))
  const writing = engine.write(caller, inTime.id, { start: 0, body, complete: { when: 'end' } })
  await until(() => body.readableDidRead)
  for (const over of [id, inTime.id]) await recordsOf(engine).update(over, current => ({ ...current, expiresAt: 1 }))
  t.equal(await codeOf(engine.complete(caller, id)), 'EXPIRED')
  t.equal(await codeOf(engine.write(caller, id, { start: 'end', body: bodyOf(bytes) })), 'EXPIRED')
  body.end()
  t.equal((await writing).upload.status, 'complete')
})

t.test('invariant 3: who wants the upload for himself does not wait for a checksum that is read back', async t => {
  let pieces = 0
  const memory = memoryStorage()
  const storage = changedStorage(memory, {
    read: (upload, range) => Readable.from((async function * () {
      for await (const data of memory.read(upload, range)) {
        for (const byte of data as Uint8Array) {
          await new Promise(resolve => { setImmediate(resolve) })
          pieces++
          yield Buffer.of(byte)
        }
      }
    })(), { objectMode: false, highWaterMark: 1 })
  })
  for (const [claim, code] of [['remove', 'GONE'], ['stopWriters', 'TAKEN_OVER']] as const) {
    const engine = engineOn({ storage })
    const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
    for (const [start, end] of [[50_000, 100_000], [0, 50_000]] as const) {
      await engine.write(caller, id, { start, length: 50_000, body: bodyOf(bytes.subarray(start, end)), parallel: true })
    }
    pieces = 0
    const completing = codeOf(engine.complete(caller, id))
    await until(() => pieces > 10)
    const claiming = engine[claim](caller, id)
    t.equal(await completing, code)
    await claiming
    t.ok(pieces < 50_000, `it ended after ${pieces} bytes`)
    if (claim === 'remove') continue
    t.ok(((await engine.get(caller, id)).checksumState?.offset ?? 0) > 50_000, 'the next one goes on from there')
    t.equal((await engine.complete(caller, id)).upload.checksum?.value, md5)
  }
})

t.test('a storage that never answers a read does not keep the upload from others, or the server from its end', async t => {
  const memory = memoryStorage()
  for (const ending of ['remove', 'shutdown'] as const) {
    const asked = gate()
    const storage = changedStorage(memory, {
      read: (_upload, _range, { signal } = {}) => {
        asked.open()
        const silent = new Readable({ read () {} })
        return signal === undefined ? silent : addAbortSignal(signal, silent)
      }
    })
    const engine = engineOn({ storage })
    const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
    for (const [start, end] of [[50_000, 100_000], [0, 50_000]] as const) {
      await engine.write(caller, id, { start, length: 50_000, body: bodyOf(bytes.subarray(start, end)), parallel: true })
    }
    const completing = codeOf(engine.complete(caller, id))
    await asked.passed
    if (ending === 'remove') await engine.remove(caller, id)
    else await engine.shutdown()
    t.equal(await completing, ending === 'remove' ? 'GONE' : 'SHUTTING_DOWN')
  }
})

t.test('a file is read once for its checksum, however often its completion fails', async t => {
  const directory = await folder(t)
  for (const [name, inner] of [['clear', memoryStorage()], ['encrypted', encryptedStorage(diskStorage({ directory }))]] as const) {
    let read = 0
    const storage = changedStorage(inner, {
      read: (upload, range) => {
        const stream = inner.read(upload, range)
        return stream.on('data', (data: Buffer) => { read += data.length }).pause()
      },
      localPath: () => undefined
    })
    const engine = engineOn({ storage })
    const { id } = await engine.create(caller, draftOf({ size: bytes.length, ...withMd5 }))
    for (const [start, end] of [[50_000, 100_000], [0, 50_000]] as const) {
      await engine.write(caller, id, { start, length: 50_000, body: bodyOf(bytes.subarray(start, end)), parallel: true })
    }
    for (let tries = 0; tries < 3; tries++) t.equal(await codeOf(engine.complete(caller, id, { checksum: 'f'.repeat(32) })), 'CHECKSUM')
    await t.rejects(engine.complete(callerOf({ hooks: { onComplete: async () => { throw new Error('no') } } }), id), { message: 'no' })
    t.equal((await engine.complete(caller, id, { checksum: md5 })).upload.checksum?.value, md5)
    t.equal(read, 50_000, name)
  }
})

t.test('concatenation', async t => {
  for (const [name, storage] of [
    ['in the storage', memoryStorage()],
    ['through the engine', withoutConcat(memoryStorage())]
  ] as const) {
    await t.test(name, async t => {
      const engine = engineOn({ storage })
      const pieces = [bytes.subarray(0, 30_000), bytes.subarray(30_000, 60_000), bytes.subarray(60_000)]
      const parts = await Promise.all(pieces.map(piece => completeOf(engine, caller, piece)))
      const { id } = await engine.create(caller, draftOf(withMd5))
      const { upload } = await engine.concat(caller, id, parts)
      t.match(upload, { status: 'complete', size: bytes.length, checksum: { value: md5 } })
      t.ok((await stored(engine, upload)).equals(bytes))

      const empty = await engine.create(caller, draftOf(withMd5))
      t.equal((await engine.concat(caller, empty.id, [])).upload.size, 0)

      const limited = callerOf({ maxBytes: bytes.length - 1 })
      const small = await engine.create(limited, draftOf())
      t.equal(await codeOf(engine.concat(limited, small.id, parts)), 'TOO_LARGE', 'invariant 11')
      const other = await engine.create(caller, draftOf({ size: 5 }))
      t.equal(await codeOf(engine.concat(caller, other.id, parts)), 'SIZE_CONFLICT')
      const filled = await engine.create(caller, draftOf())
      await engine.write(caller, filled.id, { start: 0, body: bodyOf(bytes) })
      t.equal(await codeOf(engine.concat(caller, filled.id, parts)), 'OFFSET')
      const [first] = parts
      if (first === undefined) throw new Error('three parts')
      await engine.remove(caller, first.id)
      const broken = await engine.create(caller, draftOf())
      t.equal(await codeOf(engine.concat(caller, broken.id, parts)), 'GONE')
    })
  }

  await t.test('a silent completion does not ask the host', async t => {
    const engine = engineOn()
    const asking = callerOf({ hooks: { onComplete: async () => { throw new Error('asked') } } })
    const { id } = await engine.create(asking, draftOf())
    t.equal((await engine.complete(asking, id, { silent: true })).reply, undefined)
  })
})

t.test('the hook may read the file, and what it says comes back', async t => {
  const engine = engineOn()
  const reading = callerOf({
    hooks: { onComplete: async upload => ({ headers: { 'x-size': String((await stored(engine, upload)).length) } }) }
  })
  const { id } = await engine.create(caller, draftOf())
  await engine.write(caller, id, { start: 0, body: bodyOf(bytes) })
  t.strictSame((await engine.complete(reading, id)).reply, { headers: { 'x-size': '100000' } })
})

function withoutConcat ({ capabilities, create, write, finish, read, remove }: Storage): Storage {
  return { capabilities, create, write, finish, read, remove }
}

async function folder (t: { teardown (fn: () => Promise<void>): unknown }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'complete-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return directory
}

async function filesIn (directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(({ name }) => name)
}
