import assert from 'node:assert/strict'
import type { Upload, UploadingUpload } from '../../upload.js'
import { complete, idsOf, type MetadataCase, pick, removed, times } from './case.js'
import { newUpload } from '../new-upload.js'

/** Records come, change and go, each change at its version only. */
export const RECORD_CASES: readonly MetadataCase[] = [
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
  }]
]

const ODD_IDS = [
  '', ' ', '.', '..', '../..', '/', '/etc/passwd', 'a/b', 'a\\b', 'a\0b', 'a\nb', '%2e%2e', 'ü', '😀', '*', "' OR 1=1 --", '~', 'a~b',
  'a.json', 'unknown', '__proto__', 'x'.repeat(100), 'x'.repeat(101), 'x'.repeat(10_000)
]

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
