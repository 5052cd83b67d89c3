import assert from 'node:assert/strict'
import type { ListQuery, Metadata } from '../metadata/contract.js'
import type { CompleteUpload, Upload, UploadingUpload } from '../upload.js'
import { newUpload } from './new-upload.js'
import type { TestFunction } from './test-function.js'

/** What {@link metadataSuite} tests: fresh and empty for each test. */
export interface MetadataUnderTest {
  readonly metadata: Metadata
  /** Opens a second instance on the same records, as a second server would; `dispose` ends it too. */
  another?(): Promise<Metadata>
  dispose(): Promise<void>
}

/**
 * The contract of {@link Metadata}, sentence by sentence, each test declared through `test`. Where `another` is given, every
 * test does all once more with its calls spread over two instances.
 */
export function metadataSuite (test: TestFunction, make: () => Promise<MetadataUnderTest>): void {
  for (const [name, run] of CASES) {
    test(`metadata: ${name}`, async () => {
      const several = await withMetadata(make, async subject => {
        await run(subject.metadata, subject.metadata)
        return subject.another !== undefined
      })
      if (!several) return
      await withMetadata(make, async subject => {
        if (subject.another !== undefined) await run(subject.metadata, await subject.another())
      })
    })
  }
}

/** One test: calls go to `a` and `b`, which are one instance or two on the same records. */
type Case = readonly [name: string, run: (a: Metadata, b: Metadata) => Promise<void>]

const CASES: readonly Case[] = [
  ['a new record is stored as it is', async (a, b) => {
    const upload = newUpload()
    assert.deepEqual(await a.create(upload), upload)
    assert.deepEqual(await b.get(upload.id), upload)
  }],
  ['every field survives, whatever it holds', async (a, b) => {
    for (const upload of [fullUpload(), complete(fullUpload()), removed(fullUpload())]) {
      await a.create(upload)
      assert.deepEqual(await b.get(upload.id), upload)
      const next: Upload = { ...upload, version: 2, filename: `${upload.filename} 2` }
      assert.equal(await b.update(next), true)
      assert.deepEqual(await a.get(upload.id), next)
    }
  }],
  ['a record of hundreds of kilobytes survives', async (a, b) => {
    const upload = newUpload({ metadata: { notes: 'ö'.repeat(300_000) } })
    await a.create(upload)
    for (let version = 2; version < 6; version++) assert.equal(await b.update({ ...upload, version }), true)
    assert.deepEqual(await a.get(upload.id), { ...upload, version: 5 })
  }],
  ['a second record of the same id is refused and the first one stays', async (a, b) => {
    const upload = newUpload()
    await a.create(upload)
    await assert.rejects(b.create({ ...upload, filename: 'other' }))
    assert.deepEqual(await a.get(upload.id), upload)
  }],
  ['one of many parallel creations of an id wins', async (a, b) => {
    const upload = newUpload()
    const results = await Promise.allSettled(times(16, number => pick(a, b, number).create({ ...upload, filename: String(number) })))
    const stored = results.filter(result => result.status === 'fulfilled')
    assert.equal(stored.length, 1)
    assert.deepEqual(await b.get(upload.id), stored[0]?.value)
  }],
  ['what callers do to their objects changes no record', async a => {
    const metadata = { tag: 'kept' }
    const upload = newUpload({ metadata })
    const created = await a.create(upload)
    metadata.tag = 'changed'
    const received = await a.get(upload.id)
    for (const copy of [created, received]) Object.assign(copy?.metadata ?? {}, { tag: 'changed' })
    assert.equal((await a.get(upload.id))?.metadata['tag'], 'kept')
    const next = { tag: 'next' }
    await a.update({ ...upload, version: 2, metadata: next })
    next.tag = 'changed'
    const [listed] = (await a.list({})).uploads
    assert.equal(listed?.metadata['tag'], 'next')
    Object.assign(listed.metadata, { tag: 'changed' })
    assert.equal((await a.get(upload.id))?.metadata['tag'], 'next')
  }],
  ['an unknown id, however odd, is no record and no error', async (a, b) => {
    await a.create(newUpload())
    for (const id of ODD_IDS) {
      assert.equal(await b.get(id), undefined, JSON.stringify(id))
      assert.equal(await b.update(newUpload({ id, version: 2 })), false, JSON.stringify(id))
      assert.equal(await b.delete(id, 1), false, JSON.stringify(id))
    }
    assert.equal((await a.list({})).uploads.length, 1)
  }],
  ['ids that mean something to JavaScript are ids like others', async (a, b) => {
    const ids = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '0', '-', '_', 'a'.repeat(100)]
    for (const id of ids) await a.create(newUpload({ id }))
    for (const id of ids) assert.equal((await b.get(id))?.id, id)
    assert.deepEqual(await idsOf(b, {}), [...ids].sort())
  }],

  ['an update replaces the record of the version before', async (a, b) => {
    const upload = newUpload()
    await a.create(upload)
    const second: Upload = { ...upload, version: 2, received: [[0, 5]], metadata: { new: true } }
    assert.equal(await b.update(second), true)
    assert.deepEqual(await a.get(upload.id), second)
    const third: Upload = { ...upload, version: 3 }
    assert.equal(await a.update(third), true)
    assert.deepEqual(await b.get(upload.id), third)
  }],
  ['an update of any other version changes nothing', async (a, b) => {
    const upload = newUpload()
    await a.create(upload)
    await b.update({ ...upload, version: 2 })
    await a.update({ ...upload, version: 3 })
    for (const version of [0, 1, 2, 3, 5, 100]) {
      assert.equal(await b.update({ ...upload, version, filename: 'wrong' }), false, `version ${version}`)
      assert.equal(await b.update({ ...complete(upload), version, filename: 'wrong' }), false, `version ${version}, complete`)
    }
    assert.deepEqual(await a.get(upload.id), { ...upload, version: 3 })
  }],
  ['one of many equal updates at once wins', async (a, b) => {
    for (const next of [newUpload({ version: 2 }), complete(newUpload({ version: 2 }))]) {
      await a.create({ ...next, version: 1 })
      await b.get(next.id)
      const results = await Promise.all(times(16, number => pick(a, b, number).update(next)))
      assert.deepEqual(results.filter(won => won), [true])
      assert.deepEqual(await a.get(next.id), next)
    }
  }],
  ['of 32 parallel read-change-write loops none is lost', async (a, b) => {
    const { id } = await a.create(newUpload({ metadata: { by: [] } }))
    await Promise.all(times(32, async number => {
      const metadata = pick(a, b, number)
      for (;;) {
        const upload = await metadata.get(id)
        assert.ok(upload !== undefined)
        const by = upload.metadata['by']
        assert.ok(Array.isArray(by))
        if (await metadata.update({ ...upload, version: upload.version + 1, metadata: { by: [...by, number] } })) return
      }
    }))
    const upload = await b.get(id)
    assert.equal(upload?.version, 33)
    const by = upload.metadata['by']
    assert.ok(Array.isArray(by))
    assert.deepEqual(by.map(Number).sort((x, y) => x - y), times(32, number => number))
  }],
  ['hundreds of updates one after the other keep the record whole', async (a, b) => {
    const upload = await a.create(fullUpload())
    for (let version = 2; version <= 400; version++) {
      assert.equal(await pick(a, b, version % 7).update({ ...upload, version, updatedAt: version }), true, `version ${version}`)
    }
    assert.deepEqual(await a.get(upload.id), { ...upload, version: 400, updatedAt: 400 })
    assert.deepEqual(await b.get(upload.id), { ...upload, version: 400, updatedAt: 400 })
  }],

  ['a record is deleted at its version only', async (a, b) => {
    const upload = newUpload()
    await a.create(upload)
    await a.update({ ...upload, version: 2 })
    for (const version of [0, 1, 3]) assert.equal(await b.delete(upload.id, version), false)
    assert.equal((await a.get(upload.id))?.version, 2)
    assert.equal(await b.delete(upload.id, 2), true)
    assert.equal(await a.get(upload.id), undefined)
    assert.equal(await a.delete(upload.id, 2), false)
    assert.equal(await b.delete(upload.id, 3), false)
  }],
  ['a deleted record is not updated, listed or found', async (a, b) => {
    const upload = await a.create(complete(newUpload({ checksum: { algorithm: 'md5', value: 'ab' } })), { serial: true })
    await b.get(upload.id)
    assert.equal(await a.delete(upload.id, 1), true)
    assert.equal(await b.update({ ...upload, version: 2 }), false)
    assert.equal(await b.get(upload.id), undefined)
    assert.deepEqual(await idsOf(b, {}), [])
    assert.equal(await b.getBySerial(upload.serial ?? 0), undefined)
    assert.equal(await b.findByChecksum({ algorithm: 'md5', value: 'ab' }), undefined)
  }],
  ['of an update and a deletion at once exactly one wins', async (a, b) => {
    for (let round = 0; round < 20; round++) {
      const upload = await a.create(newUpload())
      await b.get(upload.id)
      const [updated, deleted] = await Promise.all([
        a.update({ ...upload, version: 2 }), pick(b, a, round).delete(upload.id, 1)
      ])
      assert.notEqual(updated, deleted)
      assert.equal((await b.get(upload.id))?.version, updated ? 2 : undefined)
    }
  }],

  ['serials are small integers that count up, only for those who ask', async (a, b) => {
    const first = await a.create(newUpload(), { serial: true })
    const second = await b.create(newUpload(), { serial: true })
    const none = await a.create(newUpload())
    const third = await a.create(newUpload(), { serial: true })
    const serials = [first, second, third].map(upload => upload.serial ?? 0)
    assert.ok(serials.every(serial => Number.isSafeInteger(serial) && serial > 0 && serial < 1000))
    assert.deepEqual(serials, [...serials].sort((x, y) => x - y))
    assert.equal(new Set(serials).size, 3)
    assert.equal(none.serial, null)
    for (const upload of [first, second, third]) {
      assert.deepEqual(await b.get(upload.id), upload)
      assert.deepEqual(await b.getBySerial(upload.serial ?? 0), upload)
    }
  }],
  ['getBySerial gives the newest version of the record', async (a, b) => {
    const upload = await a.create(newUpload(), { serial: true })
    await a.update({ ...upload, version: 2 })
    assert.equal((await b.getBySerial(upload.serial ?? 0))?.version, 2)
  }],
  ['serials given in parallel differ', async (a, b) => {
    const uploads = await Promise.all(times(40, number => pick(a, b, number).create(newUpload(), { serial: true })))
    assert.equal(new Set(uploads.map(upload => upload.serial)).size, 40)
    for (const upload of uploads) assert.equal((await a.getBySerial(upload.serial ?? 0))?.id, upload.id)
  }],
  ['a serial is not given again after its record was deleted', async (a, b) => {
    const upload = await a.create(newUpload(), { serial: true })
    await b.delete(upload.id, 1)
    const later = await b.create(newUpload(), { serial: true })
    assert.ok((later.serial ?? 0) > (upload.serial ?? 0))
    assert.equal(await a.getBySerial(upload.serial ?? 0), undefined)
  }],
  ['an unknown serial, however odd, is no record and no error', async a => {
    await a.create(newUpload(), { serial: true })
    const odd = [0, -1, 1.5, NaN, Infinity, -Infinity, 999_999, 2 ** 53, 1e300]
    for (const serial of odd) assert.equal(await a.getBySerial(serial), undefined, String(serial))
  }],

  ['a list holds every record in the order of ids by character code', async (a, b) => {
    const ids = ['a', 'B', 'b', 'A', '-', '_', 'aa', 'Z', 'z', '1', '10', '2']
    for (const [number, id] of ids.entries()) await pick(a, b, number).create(newUpload({ id }))
    assert.deepEqual(await idsOf(a, {}), [...ids].sort())
    assert.deepEqual((await b.list({})).uploads.map(upload => upload.id), [...ids].sort())
  }],
  ['an empty store lists nothing and gives no cursor', async a => {
    assert.deepEqual(await a.list({}), { uploads: [] })
  }],
  ['pages follow each other by cursor, without gap or repetition', async (a, b) => {
    const ids = times(24, number => `page${String(number).padStart(3, '0')}`)
    await Promise.all(ids.map(id => a.create(newUpload({ id, user: Number(id.slice(-1)) % 2 }))))
    for (const limit of [1, 5, 12, 23, 24, 25]) {
      assert.deepEqual(await idsOf(b, { limit }), ids)
      assert.deepEqual(await idsOf(b, { limit, user: 1 }), ids.filter(id => Number(id.slice(-1)) % 2 === 1))
      assert.ok((await b.list({ limit })).uploads.length <= limit)
    }
  }],
  ['a page holds 100 records when nobody says otherwise', async (a, b) => {
    await Promise.all(times(101, number => pick(a, b, number).create(newUpload())))
    const page = await a.list({})
    assert.equal(page.uploads.length, 100)
    assert.ok(page.cursor !== undefined)
    assert.equal((await b.list({ cursor: page.cursor })).uploads.length, 1)
  }],
  ['paging goes on when the record at the cursor is deleted', async (a, b) => {
    const ids = times(9, number => `id${number}`)
    for (const id of ids) await a.create(newUpload({ id }))
    const seen: string[] = []
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await b.list({ limit: 2, ...(cursor !== undefined && { cursor }) })
      for (const { id, version } of page.uploads) {
        seen.push(id)
        assert.equal(await a.delete(id, version), true)
      }
      cursor = page.cursor
    }
    assert.deepEqual(seen, ids)
  }],
  ['a list shows the newest version of each record', async (a, b) => {
    const upload = await a.create(newUpload())
    await b.list({})
    await a.update({ ...upload, version: 2, filename: 'newer' })
    assert.equal((await b.list({})).uploads[0]?.filename, 'newer')
    assert.equal((await b.list({ status: 'uploading' })).uploads[0]?.filename, 'newer')
  }],
  ['filters are obeyed, alone and together', async (a, b) => {
    const records: Upload[] = []
    for (const protocol of ['one', 'two']) {
      for (const user of [null, 'ann', 1, '1', '']) {
        for (const expiresAt of [null, 1000, 2000]) {
          const upload = newUpload({ protocol, user, expiresAt })
          records.push(upload, complete({ ...upload, id: `${upload.id}c` }), removed({ ...upload, id: `${upload.id}r` }))
          const part = { ...upload, partial: true } as const
          records.push(complete({ ...part, id: `${part.id}p` }), removed({ ...part, id: `${part.id}q` }))
        }
      }
    }
    await Promise.all(records.map((upload, number) => pick(a, b, number).create(upload)))
    const queries: ListQuery[] = [{}, ...combinations({
      protocol: ['one'],
      user: [null, 'ann', 1, '1', ''],
      status: ['uploading', 'complete', 'removed'],
      expiredBefore: [999, 1000, 1500]
    })]
    for (const query of queries) {
      const expected = records.filter(upload => expectedIn(upload, query)).map(upload => upload.id).sort()
      assert.deepEqual(await idsOf(b, query), expected, JSON.stringify(query))
    }
  }],
  ['a list follows the status of a record', async (a, b) => {
    const upload = await a.create(newUpload({ expiresAt: 1000 }))
    const seen = async () => {
      const found: string[] = []
      for (const status of ['uploading', 'complete', 'removed'] as const) found.push(...(await idsOf(b, { status })).map(() => status))
      return [...found, ...(await idsOf(a, { expiredBefore: 1000 })).map(() => 'expired')]
    }
    assert.deepEqual(await seen(), ['uploading', 'expired'])
    await a.update({ ...complete(upload), version: 2 })
    assert.deepEqual(await seen(), ['complete'])
    await b.update({ ...removed(upload), version: 3 })
    assert.deepEqual(await seen(), ['removed'])
    await b.update({ ...upload, version: 4 })
    assert.deepEqual(await seen(), ['uploading', 'expired'])
    await a.update({ ...upload, expiresAt: 1001, version: 5 })
    assert.deepEqual(await seen(), ['uploading'])
    await a.update({ ...upload, expiresAt: null, version: 6 })
    assert.deepEqual(await seen(), ['uploading'])
  }],
  ['a part of a file may expire when it is complete, until it is removed', async (a, b) => {
    const upload = await a.create(newUpload({ expiresAt: 1000, partial: true }))
    const expired = async (expiredBefore = 1000) => await idsOf(b, { expiredBefore })
    assert.deepEqual(await expired(), [upload.id])
    await a.update({ ...complete(upload), version: 2 })
    assert.deepEqual(await expired(), [upload.id])
    assert.deepEqual(await idsOf(a, { status: 'uploading' }), [])
    assert.deepEqual(await expired(), [upload.id])
    await b.update({ ...complete(upload), expiresAt: 2000, version: 3 })
    assert.deepEqual([await expired(), await expired(2000)], [[], [upload.id]])
    await a.update({ ...removed(upload), version: 4 })
    assert.deepEqual(await expired(), [])
    const other = await a.create(complete(newUpload({ expiresAt: 1000, partial: true })))
    await a.create(complete(newUpload({ expiresAt: 1000 })))
    assert.deepEqual(await expired(), [other.id])
    await b.delete(other.id, 1)
    assert.deepEqual(await expired(), [])
  }],

  ['a complete upload is found by its checksum, any other is not', async (a, b) => {
    const checksum = { algorithm: 'md5', value: '00ff' }
    const upload = await a.create(newUpload({ checksum }))
    await a.create(removed(newUpload({ checksum })))
    assert.equal(await b.findByChecksum(checksum), undefined)
    const done = { ...complete(upload), version: 2 }
    await a.update(done)
    assert.deepEqual(await b.findByChecksum(checksum), done)
    await b.update({ ...removed(done), version: 3 })
    assert.equal(await a.findByChecksum(checksum), undefined)
  }],
  ['a checksum is found by algorithm and value together, whatever they are', async (a, b) => {
    const odd = ['md5', 'sha512/256', '../x', '__proto__', '', 'MD5', 'a-b', 'long'.repeat(100)]
    for (const algorithm of odd) await a.create(complete(newUpload({ checksum: { algorithm, value: `v${algorithm}` } })))
    for (const algorithm of odd) {
      assert.equal((await b.findByChecksum({ algorithm, value: `v${algorithm}` }))?.checksum?.algorithm, algorithm)
      assert.equal(await b.findByChecksum({ algorithm, value: 'unknown' }), undefined)
      assert.equal(await b.findByChecksum({ algorithm: 'other', value: `v${algorithm}` }), undefined)
    }
  }],
  ['a checksum that is not known yet is not found', async a => {
    await a.create(complete(newUpload({ checksum: { algorithm: 'md5', value: null } })))
    await a.create(complete(newUpload({ checksum: null })))
    for (const value of ['null', '', 'undefined']) assert.equal(await a.findByChecksum({ algorithm: 'md5', value }), undefined)
  }],
  ['a checksum is found among those of a user and a protocol', async (a, b) => {
    const checksum = { algorithm: 'md5', value: '00ff' }
    const of = async (protocol: string, user: string | null) => {
      return await a.create(complete(newUpload({ checksum, protocol, user })))
    }
    const [ann, bob, nobody] = [await of('one', 'ann'), await of('two', 'bob'), await of('one', null)]
    assert.equal((await b.findByChecksum({ ...checksum, user: 'ann' }))?.id, ann.id)
    assert.equal((await b.findByChecksum({ ...checksum, user: 'bob', protocol: 'two' }))?.id, bob.id)
    assert.equal((await b.findByChecksum({ ...checksum, user: null }))?.id, nobody.id)
    assert.equal((await b.findByChecksum({ ...checksum, protocol: 'two' }))?.id, bob.id)
    assert.equal(await b.findByChecksum({ ...checksum, user: 'bob', protocol: 'one' }), undefined)
    assert.equal(await b.findByChecksum({ ...checksum, user: 'carl' }), undefined)
    await a.delete(ann.id, 1)
    assert.equal(await b.findByChecksum({ ...checksum, user: 'ann' }), undefined)
    assert.ok([bob.id, nobody.id].includes((await b.findByChecksum(checksum))?.id ?? ''))
  }],
  ['a checksum that changed is found by the new value only', async (a, b) => {
    const upload = complete(newUpload({ checksum: { algorithm: 'md5', value: 'aa' } }))
    await a.create(upload)
    await a.update({ ...upload, version: 2, checksum: { algorithm: 'md5', value: 'bb' } })
    assert.equal(await b.findByChecksum({ algorithm: 'md5', value: 'aa' }), undefined)
    assert.equal((await b.findByChecksum({ algorithm: 'md5', value: 'bb' }))?.id, upload.id)
  }]
]

const ODD_IDS = [
  '', ' ', '.', '..', '../..', '/', '/etc/passwd', 'a/b', 'a\\b', 'a\0b', 'a\nb', '%2e%2e', 'ü', '😀', '*', "' OR 1=1 --", '~', 'a~b',
  'a.json', 'unknown', '__proto__', 'x'.repeat(100), 'x'.repeat(101), 'x'.repeat(10_000)
]

function expectedIn (upload: Upload, query: ListQuery): boolean {
  if (query.protocol !== undefined && upload.protocol !== query.protocol) return false
  if (query.user !== undefined && upload.user !== query.user) return false
  if (query.status !== undefined && upload.status !== query.status) return false
  if (query.expiredBefore === undefined) return true
  const mayExpire = upload.status === 'uploading' || (upload.status === 'complete' && upload.partial === true)
  return mayExpire && upload.expiresAt !== null && upload.expiresAt <= query.expiredBefore
}

/** Every choice of one value, or none, for each filter. */
function combinations (values: { readonly [F in keyof ListQuery]: readonly ListQuery[F][] }): ListQuery[] {
  let queries: ListQuery[] = [{}]
  for (const [filter, options] of Object.entries(values)) {
    queries = queries.flatMap(query => [query, ...options.map(option => ({ ...query, [filter]: option }))])
  }
  return queries
}

async function idsOf (metadata: Metadata, query: ListQuery): Promise<string[]> {
  const ids: string[] = []
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const page = await metadata.list({ ...query, ...(cursor !== undefined && { cursor }) })
    ids.push(...page.uploads.map(upload => upload.id))
    cursor = page.cursor
  }
  return ids
}

/** A record with something in every field. */
function fullUpload (): UploadingUpload {
  return newUpload({
    user: 'ünïcode "quoted" \u2028',
    filename: '../file\0name\n😀.bin',
    contentType: 'text/plain; charset="utf-8"',
    metadata: JSON.parse('{ "a": [1, 2.5, null, true, { "deep": "€" }], "__proto__": "own", "": "empty" }'),
    protocolState: { parts: [{ tag: '"x"' }], line: 'a\r\nb' },
    size: Number.MAX_SAFE_INTEGER,
    received: [[0, 5], [7, 2 ** 40]],
    chunkSize: 5,
    expiresAt: 1_700_000_000_000,
    checksum: { algorithm: 'sha256', value: null },
    checksumState: { offset: 5, state: 'AAEC/w==' },
    storageState: [{ nested: [[]] }, 'text', null]
  })
}

function complete (upload: Upload): CompleteUpload {
  return { ...upload, status: 'complete', size: upload.size ?? 0, completedAt: 1_700_000_000_001, location: 'a/b c' }
}

function removed (upload: Upload): Upload {
  return { ...upload, status: 'removed', removedAt: 1_700_000_000_002, reason: 'expired' }
}

function times<T> (count: number, make: (number: number) => T): T[] {
  return Array.from({ length: count }, (_, number) => make(number))
}

function pick (a: Metadata, b: Metadata, number: number): Metadata {
  return number % 2 === 0 ? a : b
}

async function withMetadata<T> (make: () => Promise<MetadataUnderTest>, run: (subject: MetadataUnderTest) => Promise<T>): Promise<T> {
  const subject = await make()
  try {
    return await run(subject)
  } finally {
    await subject.dispose()
  }
}
