import assert from 'node:assert/strict'
import { complete, type MetadataCase, pick, removed, times } from './case.js'
import { newUpload } from '../new-upload.js'

/** Records are found by their small integers and by the checksums of their files. */
export const LOOKUP_CASES: readonly MetadataCase[] = [
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
  ['a checksum is found in its scope, and where there is none, never that of an internal upload', async (a, b) => {
    const checksum = { algorithm: 'md5', value: '00ff' }
    await a.create(complete(newUpload({ checksum, internal: true })))
    assert.equal(await b.findByChecksum(checksum), undefined)
    const there = await a.create(complete(newUpload({ checksum, scope: 'there' })))
    assert.equal((await b.findByChecksum(checksum))?.id, there.id)
    assert.equal((await b.findByChecksum({ ...checksum, scope: 'there' }))?.id, there.id)
    assert.equal(await b.findByChecksum({ ...checksum, scope: 'here' }), undefined)
    const none = await b.create(complete(newUpload({ checksum })))
    assert.equal((await a.findByChecksum({ ...checksum, scope: 'here' }))?.id, none.id)
  }],
  ['of several uploads with a checksum the one that is accepted is found', async (a, b) => {
    const checksum = { algorithm: 'md5', value: '00ff' }
    for (const filename of ['one', 'two', 'three']) await a.create(complete(newUpload({ checksum, filename })))
    for (const filename of ['one', 'two', 'three']) {
      assert.equal((await b.findByChecksum({ ...checksum, accept: upload => upload.filename === filename }))?.filename, filename)
    }
    assert.equal(await b.findByChecksum({ ...checksum, accept: () => false }), undefined)
  }],
  ['a checksum that changed is found by the new value only', async (a, b) => {
    const upload = complete(newUpload({ checksum: { algorithm: 'md5', value: 'aa' } }))
    await a.create(upload)
    await a.update({ ...upload, version: 2, checksum: { algorithm: 'md5', value: 'bb' } })
    assert.equal(await b.findByChecksum({ algorithm: 'md5', value: 'aa' }), undefined)
    assert.equal((await b.findByChecksum({ algorithm: 'md5', value: 'bb' }))?.id, upload.id)
  }]
]
