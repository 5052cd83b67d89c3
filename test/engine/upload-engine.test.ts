import t from 'tap'
import type { CallerHooks } from '../../src/engine/caller.js'
import type { DeletedExpired, DeleteExpiredOptions } from '../../src/engine/operations/expire.js'
import { Lease } from '../../src/engine/locking/lease.js'
import { toUploadError } from '../../src/engine/call-adapter.js'
import { UploadRecords } from '../../src/engine/records/upload-records.js'
import type { UploadEngine } from '../../src/engine/upload-engine.js'
import { memoryLocks } from '../../src/locks/memory.js'
import { memoryMetadata } from '../../src/metadata/memory.js'
import { StorageLost } from '../../src/storage/contract.js'
import { memoryStorage } from '../../src/storage/memory.js'
import { newUpload } from '../../src/testing/new-upload.js'
import { type RemovalReason, type Upload, type UserId, offsetOf } from '../../src/upload.js'
import {
  OpenBody, bodyOf, callerOf, changedMetadata, changedStorage, codeOf, completeOf, draftOf, engineOn, gate, hangingBody, keepAlive, stored,
  until, recordsOf
} from '../support/engine.js'

const caller = callerOf()
const bytes = Buffer.from('abcdefghij')
keepAlive(t)

/** The ids, sorted, since two of one millisecond have no order. */
async function all (uploads: AsyncIterable<Upload>): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of uploads) ids.push(id)
  return ids.sort()
}

t.test('creation', async t => {
  await t.test('a new upload is empty and has what was asked for', async t => {
    const engine = engineOn()
    const created: Upload[] = []
    engine.on('create', upload => { created.push(upload) })
    const upload = await engine.create(callerOf({ user: 7 }), draftOf({
      filename: 'ä.txt', metadata: { a: [1] }, size: 5, checksum: { algorithm: 'sha1', value: 'ABCDEF' }, serial: true
    }))
    t.match(upload, {
      protocol: 'test', serial: 1, user: 7, filename: 'ä.txt', metadata: { a: [1] }, size: 5, received: [], status: 'uploading', version: 1
    })
    t.strictSame(upload.checksum, { algorithm: 'sha1', value: 'abcdef' })
    t.ok(upload.expiresAt !== null && upload.expiresAt > upload.createdAt)
    t.equal((await engine.create(caller, draftOf({ expiresIn: null, serial: true }))).expiresAt, null)
    t.equal((await engine.getBySerial(callerOf({ user: 7 }), 1)).id, upload.id)
    t.equal(created.length, 2)
    for (const serial of [0, -1, 1.5, NaN, 99]) t.equal(await codeOf(engine.getBySerial(caller, serial)), 'NOT_FOUND')
  })

  await t.test('the hook may change the draft or refuse, and its changes are checked too', async t => {
    const engine = engineOn()
    const create = (hook: CallerHooks['onCreate'], maxBytes: number | null = null): Promise<Upload> =>
      engine.create(callerOf({ maxBytes, hooks: hook === undefined ? {} : { onCreate: hook } }), draftOf({ size: 5 }))
    t.equal((await create(async draft => ({ ...draft, filename: 'other' }))).filename, 'other')
    await t.rejects(create(async () => { throw new Error('refused') }), { message: 'refused' })
    t.equal(await codeOf(create(async draft => ({ ...draft, size: 11 }), 10)), 'TOO_LARGE')
  })

  for (const [name, draft, code] of [
    ['a size over the limit', { size: 101 }, 'TOO_LARGE'],
    ['a size at the limit', { size: 100 }, 'ok'],
    ['chunks that are too small for the storage', { chunkSize: 4 }, 'CHUNK_SIZE'],
    ['chunks that are too large for the storage', { chunkSize: 21 }, 'CHUNK_SIZE'],
    ['too many chunks', { size: 51, chunkSize: 5 }, 'CHUNK_SIZE'],
    ['as many chunks as can be', { size: 50, chunkSize: 5 }, 'ok'],
    ['an unknown checksum', { checksum: { algorithm: 'md6', value: null } }, 'CHECKSUM_ALGORITHM']
  ] as const) {
    await t.test(`invariant 11: ${name}: ${code}`, async t => {
      const memory = memoryStorage()
      const capabilities = { ...memory.capabilities, minChunkSize: 5, maxChunkSize: 20, maxChunks: 10 }
      const engine = engineOn({ storage: changedStorage(memory, { capabilities }) })
      t.equal(await codeOf(engine.create(callerOf({ maxBytes: 100 }), draftOf(draft))), code)
    })
  }

  await t.test('invariant 11: a user has at most so many unfinished uploads, also when he creates them at once', async t => {
    const engine = engineOn({ maxOpenUploads: 3 })
    const one = callerOf({ user: 'one' })
    await engine.create(one, draftOf({ expiresIn: 0 }))
    const results = await Promise.all([1, 2, 3, 4, 5].map(() => codeOf(engine.create(one, draftOf()))))
    t.strictSame(results.sort(), ['TOO_MANY', 'TOO_MANY', 'ok', 'ok', 'ok'])
    t.equal(await codeOf(engine.create(callerOf({ user: 'two' }), draftOf())), 'ok')
    for await (const { id, expiresAt, createdAt } of engine.list(one)) {
      if ((expiresAt ?? 0) > createdAt) await engine.remove(one, id)
    }
    t.equal(await codeOf(engine.create(one, draftOf())), 'ok')
  })

  await t.test('invariant 12: a creation that fails leaves neither bytes nor a record', async t => {
    for (const failing of ['metadata.create', 'storage.plan', 'storage.create', 'metadata.update']) {
      const fail = async (): Promise<never> => { throw new Error('down') }
      const made: string[] = []
      const removed: string[] = []
      const metadata = memoryMetadata()
      const engine = engineOn({
        storage: changedStorage(memoryStorage(), {
          plan: () => {
            if (failing === 'storage.plan') throw new Error('down')
            return { window: 'planned' }
          },
          create: async upload => {
            t.strictSame(upload.storageState, { window: 'planned' })
            made.push(upload.id)
            return failing === 'storage.create' ? await fail() : { window: 'made' }
          },
          remove: async upload => { removed.push(upload.id) }
        }),
        metadata: changedMetadata(metadata, {
          ...failing === 'metadata.create' && { create: fail },
          ...failing === 'metadata.update' && { update: fail }
        })
      })
      t.equal(await codeOf(engine.create(caller, draftOf())), 'STORAGE', failing)
      t.equal(made.length, failing === 'storage.create' || failing === 'metadata.update' ? 1 : 0)
      t.strictSame(removed, made)
      t.strictSame(await metadata.list({}), { uploads: [] })
    }
  })

  await t.test('invariant 12: what is removed while it is being created leaves nothing', async t => {
    for (const keepRecord of [false, true]) {
      for (const [when, state] of [['before', null], ['behind', null], ['before', { a: 1 }], ['behind', { a: 1 }]] as const) {
        const memory = memoryStorage()
        const files = new Set<string>()
        const engine: UploadEngine = engineOn({
          storage: changedStorage(memory, {
            create: async upload => {
              if (when === 'before') await engine.remove(caller, upload.id, { keepRecord })
              files.add(upload.id)
              await memory.create(upload)
              if (when === 'behind') await engine.remove(caller, upload.id, { keepRecord })
              return state
            },
            remove: async upload => {
              files.delete(upload.id)
              await memory.remove(upload)
            }
          })
        })
        t.equal(await codeOf(engine.create(caller, draftOf())), state === null || keepRecord ? 'GONE' : 'NOT_FOUND', when)
        t.equal(files.size, 0)
        const left: string[] = []
        for await (const { status } of engine.scan({})) left.push(status)
        t.strictSame(left, keepRecord ? ['removed'] : [])
      }
    }
  })

  await t.test('what is already used while it is being created is left to its user', async t => {
    const memory = memoryStorage()
    let id = ''
    const engine: UploadEngine = engineOn({
      storage: changedStorage(memory, {
        create: async upload => {
          id = upload.id
          await memory.create(upload)
          await engine.write(caller, id, { start: 0, body: bodyOf(Buffer.from('hello')) })
          throw new Error('down')
        }
      })
    })
    t.equal(await codeOf(engine.create(caller, draftOf())), 'STORAGE')
    t.equal(String(await stored(engine, await engine.get(caller, id))), 'hello')
  })

  await t.test('the record has what the storage said when it was made', async t => {
    const engine = engineOn({
      storage: changedStorage(memoryStorage(), { create: async () => ({ window: 'made' }) })
    })
    const { id, storageState } = await engine.create(caller, draftOf())
    t.strictSame(storageState, { window: 'made' })
    t.strictSame((await engine.get(caller, id)).storageState, { window: 'made' })
  })
})

t.test("invariant 10: another user's, another mount's and a malformed id all answer as a missing one", async t => {
  const engine = engineOn()
  const owner = callerOf({ user: 'owner' })
  const { id } = await engine.create(owner, draftOf({ serial: true }))
  const body = new OpenBody()
  const writing = engine.write(owner, id, { start: 0, body })
  await until(() => body.readableFlowing === true)
  const strangers = [callerOf({ user: 'other' }), callerOf(), callerOf({ user: 'owner', protocol: 'other' })]
  const doors: ReadonlyArray<readonly [string, (who: typeof caller, id: string) => Promise<unknown>]> = [
    ['get', (who, id) => engine.get(who, id)],
    ['settle', (who, id) => engine.stopWriters(who, id)],
    ['write', (who, id) => engine.write(who, id, { start: 0, body: bodyOf(bytes), claim: 'stop' })],
    ['write a range', (who, id) => engine.write(who, id, { start: 0, body: bodyOf(bytes), claim: 'stop', parallel: true, length: 10 })],
    ['complete', (who, id) => engine.complete(who, id)],
    ['concat', (who, id) => engine.concat(who, id, [])],
    ['update', (who, id) => engine.update(who, id, () => ({ protocolState: { mine: true } }))],
    ['amend', (who, id) => engine.amend(who, id, { filename: 'mine' })],
    ['remove', (who, id) => engine.remove(who, id)]
  ]
  for (const [name, door] of doors) {
    for (const stranger of strangers) t.equal(await codeOf(door(stranger, id)), 'NOT_FOUND', name)
    for (const wrong of ['', 'x', '../x', `${id}.0`, 'a'.repeat(65), '__proto__', id.toUpperCase()]) {
      t.equal(await codeOf(door(owner, wrong)), 'NOT_FOUND', `${name} ${wrong}`)
    }
  }
  for (const stranger of strangers) t.equal(await codeOf(engine.getBySerial(stranger, 1)), 'NOT_FOUND')
  body.send(bytes).end()
  t.equal(offsetOf((await writing).upload), 10, 'and none of them disturbs the one who writes')
  t.equal((await engine.get(callerOf({ user: 'other', restricted: false }), id)).id, id, 'without restriction it is known')
  t.equal((await engine.get(callerOf({ protocol: null, restricted: false }), id)).id, id, 'the host sees all')
})

t.test('invariant 10: listings and checksums show a caller its own uploads', async t => {
  const engine = engineOn()
  const draft = { checksum: { algorithm: 'md5', value: null } }
  const complete = async (user: UserId | null, protocol = 'test'): Promise<string> =>
    (await completeOf(engine, callerOf({ user, protocol }), bytes, draft)).id
  const open = async (user: UserId | null): Promise<string> => (await engine.create(callerOf({ user }), draftOf())).id
  const ids = {
    one: await complete(1), open: await open(1), two: await complete(2), other: await complete(1, 'other'), nobody: await complete(null)
  }
  const { checksum } = await engine.get(callerOf({ user: 1 }), ids.one)
  const md5 = checksum?.value ?? ''

  t.strictSame(await all(engine.list(callerOf({ user: 1 }))), [ids.one, ids.open].sort())
  t.strictSame(await all(engine.list(callerOf({ user: 1 }), { status: 'complete', user: 2 })), [ids.one], 'a filter cannot widen it')
  t.strictSame(await all(engine.list(callerOf({ user: 1, restricted: false }))), [ids.one, ids.open, ids.two, ids.nobody].sort())
  t.strictSame(await all(engine.list(callerOf({ restricted: false }), { user: 2 })), [ids.two])
  t.strictSame(await all(engine.list(callerOf())), [], 'anonymous uploads are never listed')
  t.equal((await all(engine.list(callerOf({ protocol: null, restricted: false })))).length, 5)

  const mine = { protocol: 'test', user: 1, algorithm: 'md5', value: md5 }
  t.equal((await engine.findFinished({ ...mine, user: 2, value: md5.toUpperCase() }))?.id, ids.two)
  t.equal(await engine.findFinished({ ...mine, user: 3 }), undefined)
  t.equal(await engine.findFinished({ ...mine, algorithm: 'sha1' }), undefined)
  t.equal((await engine.findFinished({ ...mine, protocol: 'other' }))?.id, ids.other)
})

t.test('listings go over many pages', async t => {
  const engine = engineOn()
  for (let count = 0; count < 205; count++) await engine.create(callerOf({ user: 1 }), draftOf())
  t.equal(new Set(await all(engine.list(callerOf({ user: 1 })))).size, 205)
})

t.test('removal', async t => {
  await t.test('stops who writes, asks the hook, and leaves nothing', async t => {
    const engine = engineOn()
    const events: Array<[string, RemovalReason]> = []
    engine.on('remove', (upload, reason) => { events.push([upload.id, reason]) })
    const { id } = await engine.create(caller, draftOf())
    const body = hangingBody(bytes)
    const writing = codeOf(engine.write(caller, id, { start: 0, body }))
    await until(() => body.readableDidRead)
    await t.rejects(engine.remove(callerOf({ hooks: { onRemove: async () => { throw new Error('stays') } } }), id), { message: 'stays' })
    t.equal(await writing, 'TAKEN_OVER')
    const upload = await engine.get(caller, id)
    t.equal(offsetOf(upload), 10, 'refused: the bytes are still there')
    await engine.remove(caller, id)
    t.equal(await codeOf(engine.get(caller, id)), 'NOT_FOUND')
    await t.rejects(stored(engine, upload), StorageLost)
    t.strictSame(events, [[id, 'removed']])
    t.equal(await codeOf(engine.remove(caller, id)), 'NOT_FOUND')
  })

  await t.test('a kept record tells that the upload is gone, and why', async t => {
    const engine = engineOn()
    for (const upload of [await engine.create(caller, draftOf()), await completeOf(engine, caller, bytes)]) {
      await engine.remove(caller, upload.id, { keepRecord: true, reason: 'invalid' })
      t.match(await engine.get(caller, upload.id), { status: 'removed', reason: 'invalid', received: [] })
      for (const door of [
        engine.write(caller, upload.id, { start: 0, body: bodyOf(bytes) }),
        engine.complete(caller, upload.id),
        engine.remove(caller, upload.id)
      ]) t.equal(await codeOf(door), 'GONE')
      t.equal((await engine.stopWriters(caller, upload.id)).status, 'removed')
    }
  })

  await t.test('invariant 12: a removal that stops half-way can be repeated', async t => {
    const metadata = memoryMetadata()
    let failing = true
    const engine = engineOn({
      metadata: changedMetadata(metadata, {
        delete: async (id, version) => {
          if (failing) throw new Error('down')
          return await metadata.delete(id, version)
        }
      })
    })
    const { id } = await completeOf(engine, caller, bytes)
    t.equal(await codeOf(engine.remove(caller, id)), 'STORAGE')
    failing = false
    await engine.remove(caller, id)
    t.equal(await codeOf(engine.get(caller, id)), 'NOT_FOUND')
  })
})

t.test('expiry', async t => {
  const expired = { expiresIn: -1 }
  const sweep = (engine: UploadEngine, options?: DeleteExpiredOptions): Promise<DeletedExpired> => engine.deleteExpired(options)

  await t.test('removes what is over, and nothing else', async t => {
    const engine = engineOn()
    const over = await engine.create(caller, draftOf(expired))
    const fresh = await engine.create(caller, draftOf())
    const forever = await engine.create(caller, draftOf({ expiresIn: null }))
    t.strictSame(await sweep(engine), { files: 1, records: 1 })
    t.equal(await codeOf(engine.get(caller, over.id)), 'NOT_FOUND')
    t.strictSame(await sweep(engine), { files: 0, records: 0 })
    for (const { id } of [fresh, forever]) t.equal(await codeOf(engine.get(caller, id)), 'ok')
  })

  await t.test('invariant 4: a finished file is never touched, however old', async t => {
    const engine = engineOn()
    const upload = await completeOf(engine, caller, bytes)
    await recordsOf(engine).update(upload.id, current => ({ ...current, expiresAt: 1 }))
    t.strictSame(await sweep(engine), { files: 0, records: 0 })
    t.equal((await stored(engine, upload)).toString(), bytes.toString())
  })

  await t.test('invariant 4: an upload that completes while the sweeper looks at it is left', async t => {
    const engine = engineOn()
    const { id } = await engine.create(caller, draftOf())
    const body = hangingBody(bytes)
    const writing = engine.write(caller, id, { start: 0, body, complete: { when: 'end' } })
    await until(() => body.readableDidRead)
    await recordsOf(engine).update(id, current => ({ ...current, expiresAt: 1 }))
    t.strictSame(await sweep(engine), { files: 0, records: 0 }, 'in use')
    const swept = await sweep(engine, { filter: async () => { body.end(); await writing; return true } })
    t.strictSame(swept, { files: 0, records: 0 })
    t.equal((await engine.get(caller, id)).status, 'complete')
  })

  await t.test('a client that comes back while the sweeper looks at it keeps its upload, if its time moves on', async t => {
    const engine = engineOn({ slidingExpiry: true })
    const { id } = await engine.create(caller, draftOf())
    const body = hangingBody(bytes)
    const writing = engine.write(caller, id, { start: 0, body })
    await until(() => body.readableDidRead)
    await recordsOf(engine).update(id, current => ({ ...current, expiresAt: 1 }))
    t.strictSame(await sweep(engine, { filter: async () => { body.end(); await writing; return true } }), { files: 0, records: 0 })
    t.equal(offsetOf(await engine.get(caller, id)), 10)
  })

  await t.test('a client that waits for the sweeper hears that its upload is gone', async t => {
    for (const [keepRecord, code] of [[false, 'NOT_FOUND'], [true, 'EXPIRED']] as const) {
      const memory = memoryStorage()
      const removing = gate()
      const go = gate()
      const engine = engineOn({
        storage: changedStorage(memory, { remove: async upload => { removing.open(); await go.passed; await memory.remove(upload) } })
      })
      const { id } = await engine.create(caller, draftOf(expired))
      const sweeping = sweep(engine, { keepRecord })
      await removing.passed
      const writing = codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes), claim: 'stop' }))
      go.open()
      await sweeping
      t.equal(await writing, code)
    }
  })

  await t.test('a record can be kept first, and removed with a later sweep', async t => {
    const engine = engineOn()
    const { id } = await engine.create(caller, draftOf(expired))
    t.strictSame(await sweep(engine, { keepRecord: true }), { files: 1, records: 0 })
    t.strictSame(await sweep(engine, { keepRecord: true }), { files: 0, records: 0 }, 'each file counts once')
    t.match(await engine.get(caller, id), { status: 'removed', reason: 'expired' })
    t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes) })), 'EXPIRED')
    t.equal(await codeOf(engine.remove(caller, id)), 'EXPIRED')
    t.strictSame(await sweep(engine), { files: 0, records: 1 })
    t.equal(await codeOf(engine.get(caller, id)), 'NOT_FOUND')
  })

  await t.test('a filter leaves what it says no to, and one failure does not stop the sweep', async t => {
    const memory = memoryStorage()
    const engine = engineOn({
      storage: changedStorage(memory, {
        remove: async upload => {
          if (upload.filename === 'stuck') throw new Error('stuck')
          await memory.remove(upload)
        }
      })
    })
    for (const filename of ['a', 'stuck', 'b', 'mine', 'broken']) await engine.create(caller, draftOf({ ...expired, filename }))
    const failed: string[] = []
    const result = await sweep(engine, {
      filter: ({ filename }) => {
        if (filename === 'broken') throw new Error('the filter fails')
        return filename !== 'mine'
      },
      onError: (_, upload) => { failed.push(upload.filename) }
    })
    t.strictSame(result, { files: 2, records: 2 })
    t.strictSame(failed.sort(), ['broken', 'stuck'])
    t.strictSame(await sweep(engine), { files: 2, records: 2 }, 'stuck again, the others now')
  })
})

t.test('invariant 8: a shutdown stops what is in flight, keeps its bytes, and refuses the rest', async t => {
  const engine = engineOn()
  const { id } = await engine.create(caller, draftOf())
  const body = hangingBody(bytes)
  const writing = codeOf(engine.write(caller, id, { start: 0, body }))
  await until(() => body.readableDidRead)
  const waiting = codeOf(engine.write(caller, id, { start: 10, body: bodyOf(bytes) }))
  await new Promise(setImmediate)
  await engine.shutdown()
  t.equal(engine.stopping, true)
  t.equal(await writing, 'SHUTTING_DOWN')
  t.equal(await waiting, 'SHUTTING_DOWN')
  t.equal(offsetOf(await engine.get(caller, id)), 10)
  t.equal(await codeOf(engine.write(caller, id, { start: 10, body: bodyOf(bytes) })), 'SHUTTING_DOWN')
  t.equal(await codeOf(engine.create(caller, draftOf())), 'SHUTTING_DOWN')
  t.equal(await codeOf(engine.complete(caller, id)), 'SHUTTING_DOWN')
  t.strictSame(await engine.deleteExpired(), { files: 0, records: 0 })
  await engine.shutdown()
})

t.test('invariant 8: a shutdown waits for a creation and a hook in flight', async t => {
  const hook = gate()
  const engine = engineOn()
  const { id } = await engine.create(caller, draftOf())
  const creating = engine.create(callerOf({ hooks: { onCreate: async draft => { await hook.passed; return draft } } }), draftOf())
  const completing = engine.complete(callerOf({ hooks: { onComplete: async () => { await hook.passed; return undefined } } }), id)
  let stopped = false
  const stopping = engine.shutdown().then(() => { stopped = true })
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  t.notOk(stopped)
  hook.open()
  t.equal((await completing).upload.status, 'complete')
  await creating
  await stopping
})

t.test('records', async t => {
  await t.test('writers in contention all come through, each once', async t => {
    const metadata = memoryMetadata()
    const { id } = await metadata.create(newUpload({ metadata: { count: 0 } }))
    const [one, two] = [new UploadRecords(metadata), new UploadRecords(metadata)]
    const count = (upload: Upload): number => Number(upload.metadata.count)
    await Promise.all(Array.from({ length: 40 }, (_, index) =>
      (index % 2 === 0 ? one : two).update(id, upload => ({ ...upload, metadata: { count: count(upload) + 1 } }))))
    const upload = await metadata.get(id)
    t.match(upload, { metadata: { count: 40 }, version: 41 })
  })

  await t.test('a record that never lets itself be changed is busy in the end, one that is gone is unknown', async t => {
    const metadata = memoryMetadata()
    const { id } = await metadata.create(newUpload())
    const contested = new UploadRecords(changedMetadata(metadata, { update: async () => false, delete: async () => false }))
    t.equal(await codeOf(contested.update(id, upload => upload)), 'BUSY')
    t.equal(await codeOf(contested.delete(id)), 'BUSY')
    const records = new UploadRecords(metadata)
    await records.delete(id)
    await records.delete(id)
    t.equal(await codeOf(records.update(id, upload => upload)), 'NOT_FOUND')
  })

  await t.test('a stale record is read again', async t => {
    const metadata = memoryMetadata()
    const records = new UploadRecords(metadata)
    const known = await metadata.create(newUpload())
    await records.update(known.id, upload => ({ ...upload, filename: 'one' }))
    const upload = await records.update(known.id, upload => ({ ...upload, contentType: 'x/y' }), known)
    t.match(upload, { filename: 'one', contentType: 'x/y', version: 3 })
  })

  await t.test('a change by the host or a protocol meets one by a body', async t => {
    const engine = engineOn()
    const { id } = await engine.create(caller, draftOf())
    const body = new OpenBody()
    const writing = engine.write(caller, id, { start: 0, body })
    await until(() => body.readableFlowing === true)
    await engine.update(caller, id, () => ({ protocolState: { tag: 1 } }))
    body.send(bytes).end()
    await writing
    t.match(await engine.get(caller, id), { protocolState: { tag: 1 }, received: [[0, 10]] })
  })

  await t.test('invariant 13: failures of adapters are told by what they mean', async t => {
    const failure = (code: string): Error => Object.assign(new Error(code), { code })
    for (const [cause, code] of [
      [failure('ENOSPC'), 'STORAGE_FULL'], [failure('EDQUOT'), 'STORAGE_FULL'], [failure('ECONNREFUSED'), 'STORAGE'],
      [new StorageLost('gone'), 'GONE'], [new Error('plain'), 'STORAGE'], ['text', 'STORAGE']
    ] as const) {
      const error = toUploadError(cause)
      t.equal(await codeOf(Promise.reject(error)), code)
      t.equal(error instanceof Error ? error.cause : undefined, cause)
      t.equal(toUploadError(error), error, 'once only')
    }
  })
})

t.test('a hold keeps the strongest claim for who listens late', async t => {
  const heard: string[] = []
  const lease = new Lease()
  lease.onClaim('stop')
  lease.onClaim('yield')
  lease.listen(claim => { heard.push(claim) })
  lease.onClaim('yield')
  t.strictSame(heard, ['stop', 'yield'])
  t.equal(lease.lost, false)
  lease.onClaim('lost')
  t.equal(lease.lost, true)
})

t.test('an upload in use longer than anyone waits is busy, and is told so without disturbance by the sweeper', async t => {
  const engine = engineOn({ lockTimeout: 30, locks: memoryLocks() })
  const { id } = await engine.create(caller, draftOf())
  const hook = gate()
  const completing = engine.complete(callerOf({ hooks: { onComplete: async () => { await hook.passed; return undefined } } }), id)
  t.equal(await codeOf(engine.write(caller, id, { start: 0, body: bodyOf(bytes) })), 'BUSY')
  t.equal(await codeOf(engine.remove(caller, id)), 'BUSY')
  t.equal(await engine.ifFree(id, async () => 'free'), undefined)
  hook.open()
  await completing
  t.equal(await engine.ifFree(id, async upload => upload?.status), 'complete')
})
