import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { placesFor } from '../../../src/storage/disk/names.js'
import { StoredUpload } from '../../../src/testing/storage/stored-upload.js'

const id = 'an-id'

t.test('names that fit are tried as they are, then with numbers, at last with the id', async t => {
  const places = [...placesFor({ target: 'a/b.tar.gz', id })]
  t.same(places.slice(0, 3), ['a/b.tar.gz', 'a/b.tar-1.gz', 'a/b.tar-2.gz'])
  t.equal(places.at(-1), 'a/b.tar-an-id.gz')
  t.same([...placesFor({ target: 'x', id })].slice(0, 2), ['x', 'x-1'])
})

const long: ReadonlyArray<readonly [what: string, target: string, first: string]> = [
  ['letters', `${'a'.repeat(300)}.jpg`, `${'a'.repeat(251)}.jpg`],
  ['a name that just fits', `${'a'.repeat(251)}.jpg`, `${'a'.repeat(251)}.jpg`],
  ['one byte more', `${'a'.repeat(252)}.jpg`, `${'a'.repeat(251)}.jpg`],
  ['two bytes a character', `${'ü'.repeat(200)}.jpg`, `${'ü'.repeat(125)}.jpg`],
  ['three bytes a character', `${'写'.repeat(100)}.txt`, `${'写'.repeat(83)}.txt`],
  ['four bytes a character', `${'😀'.repeat(70)}.png`, `${'😀'.repeat(62)}.png`],
  ['what looks like an ending and is none', `a.${'b'.repeat(300)}`, `a.${'b'.repeat(253)}`],
  ['no ending', 'a'.repeat(300), 'a'.repeat(255)],
  ['folders', `${'ü'.repeat(200)}/${'b'.repeat(300)}/c.txt`, `${'ü'.repeat(127)}/${'b'.repeat(255)}/c.txt`]
]
for (const [what, target, first] of long) {
  t.test(`names that are too long are cut within no character: ${what}`, async t => {
    const places = [...placesFor({ target, id })]
    t.equal(places[0], first)
    t.equal(new Set(places).size, places.length)
    const { ext } = path.posix.parse(first)
    t.same(places.filter(place => place.split('/').some(segment => Buffer.byteLength(segment) > 255)), [], 'no name is too long')
    t.same(places.filter(place => Buffer.byteLength(ext) <= 32 && !place.endsWith(ext)), [], 'the ending stays')
    t.same(places.filter(place => Buffer.from(place).toString() !== place), [], 'no half a character')
  })
}

t.test('invariants 4 and 12: files whose long names are wanted by several are finished, found again, and removed', async t => {
  for (const name of [`${'写'.repeat(100)}.txt`, `${'a'.repeat(600)}.bin`]) {
    const directory = t.testdir()
    const storage = diskStorage({ directory })
    const locations: string[] = []
    for (let turn = 0; turn < 3; turn++) {
      const bytes = randomBytes(100 + turn)
      const stored = await StoredUpload.create(storage, { size: bytes.length })
      await stored.write(0, [[bytes]])
      await stored.finish(`films/${name}`)
      locations.push(stored.location)
      await stored.finish(`films/${name}`)
      t.equal(stored.location, locations.at(-1), 'a finish that is repeated finds the same place')
      t.strictSame(await stored.content(), bytes)
      if (turn === 2) await storage.remove(stored.upload)
    }
    t.equal(new Set(locations).size, 3)
    t.same(readdirSync(path.join(directory, 'films')).sort(), locations.slice(0, 2).map(place => path.posix.basename(place)).sort())
  }
})

t.test('a location where no file can be is refused as the host’s, and the upload can be read, finished elsewhere, and removed', async t => {
  const directory = t.testdir()
  writeFileSync(path.join(directory, 'taken'), 'a file')
  const storage = diskStorage({ directory })
  for (const target of ['taken/a.bin', `${'deep/'.repeat(1_000)}a.bin`]) {
    const bytes = randomBytes(100)
    const stored = await StoredUpload.create(storage, { size: bytes.length })
    await stored.write(0, [[bytes]])
    await t.rejects(stored.finish(target), { code: 'FST_CHUNKED_UPLOAD_LOCATION' })
    t.strictSame(await stored.content(), bytes)
    await stored.finish('elsewhere.bin')
    await storage.remove(stored.complete)
    const other = await StoredUpload.create(storage, { size: 1 })
    await other.write(0, [[randomBytes(1)]])
    await t.rejects(other.finish(target), { code: 'FST_CHUNKED_UPLOAD_LOCATION' })
    await storage.remove(other.upload)
  }
  t.same(readdirSync(directory), ['taken'])
})
