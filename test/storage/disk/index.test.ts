import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, statSync, truncateSync, unlinkSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { StorageLost, StorageShort } from '../../../src/storage/contract.js'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { newUpload } from '../../../src/testing/new-upload.js'
import { type DiskCall, withDiskFaults } from '../../../src/testing/storage/disk-faults.js'
import { StoredUpload, collect } from '../../../src/testing/storage/stored-upload.js'
import { type ChangingCall, withFailingFs } from '../../support/storage/failing-fs.js'

const createdAt = Date.parse('2026-11-03T23:59:59.999Z')

/** Every file and folder below `directory`, relative and sorted. */
const entriesOf = (directory: string): string[] => readdirSync(directory, { recursive: true }).map(String).sort()

async function storeFile (
  t: Test, bytes: Buffer, directory = t.testdir()
): Promise<{ directory: string, stored: StoredUpload, storage: ReturnType<typeof diskStorage> }> {
  const storage = diskStorage({ directory })
  const stored = await StoredUpload.create(storage, { size: bytes.length, createdAt })
  await stored.write(0, [[bytes]])
  return { directory, stored, storage }
}

t.test('files have the names that drf-chunked-upload gives them, in a folder of the UTC day', async t => {
  const { directory, stored } = await storeFile(t, randomBytes(10))
  const { id } = stored.upload
  t.ok(existsSync(path.join(directory, `chunked_uploads/2026/11/03/${id}.part`)))
  await stored.finish()
  t.equal(stored.location, `chunked_uploads/2026/11/03/${id}.done`)
  t.strictSame(entriesOf(directory), [
    'chunked_uploads', 'chunked_uploads/2026', 'chunked_uploads/2026/11', 'chunked_uploads/2026/11/03', stored.location
  ])
})

t.test('the directory is resolved once', async t => {
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  const directory = t.testdir({ elsewhere: {} })
  process.chdir(directory)
  const storage = diskStorage()
  process.chdir('elsewhere')
  const stored = await StoredUpload.create(storage, { createdAt })
  t.equal(storage.localPath?.(stored.upload), path.join(process.cwd(), '..', `chunked_uploads/2026/11/03/${stored.upload.id}.part`))
  t.ok(existsSync(path.join(directory, 'chunked_uploads')))
})

t.test('an unfinished upload is found after all options but the directory have changed', async t => {
  const bytes = randomBytes(2_000)
  const { directory, stored } = await storeFile(t, bytes)
  const changed = diskStorage({ directory, path: 'new/%Y', incompleteExt: '.tmp', completeExt: '', durability: 'disk' })
  t.strictSame(await collect(changed.read(stored.upload, [0, 2_000])), bytes)
  const location = await changed.finish({ ...stored.upload, size: 2_000 })
  t.strictSame(readFileSync(path.join(directory, location)), bytes)
  await changed.remove(stored.upload)
  t.strictSame(entriesOf(directory), [])
})

t.test('the folder may come from a function', async t => {
  const directory = t.testdir()
  const storage = diskStorage({ directory, path: ({ user }) => `users/${user}` })
  const stored = await StoredUpload.create(storage, { user: 7, size: 0 })
  await stored.finish()
  t.equal(stored.location, `users/7/${stored.upload.id}.done`)
})

t.test('a folder whose name no file system takes is cut, within no character', async t => {
  for (const name of ['x'.repeat(300), `x${'é'.repeat(200)}`]) {
    const directory = t.testdir()
    const storage = diskStorage({ directory, path: ({ filename }) => `files/${filename}/more` })
    const stored = await StoredUpload.create(storage, { filename: name, size: 3 })
    await stored.write(0, [[Buffer.from('abc')]])
    await stored.finish()
    const cut = name.slice(0, Buffer.byteLength(name) === 300 ? 255 : 128)
    t.equal(stored.location, `files/${cut}/more/${stored.upload.id}.done`)
    t.equal((await stored.content()).toString(), 'abc')
  }
})

t.test('new files get the mode of the option', async t => {
  const directory = t.testdir()
  const before = process.umask(0o002)
  t.teardown(() => process.umask(before))
  const storage = diskStorage({ directory, mode: 0o662 })
  const stored = await StoredUpload.create(storage, { size: 0 })
  await stored.finish('x.bin')
  t.equal(statSync(path.join(directory, 'x.bin')).mode & 0o777, 0o660)
})

const escapes = [
  '/etc', '..', '../x', 'a/../../x', 'a/..', './../x', 'a\\b', '..\\x', '\\\\server\\share', 'C:\\x', 'C:/x', 'c:x', 'a\0b', '\0'
]

for (const text of escapes) {
  t.test(`invariant 9: ${JSON.stringify(text)} is no path, no folder of a function, and no location`, async t => {
    const directory = t.testdir({ root: {} })
    t.throws(() => diskStorage({ path: text }), { message: JSON.stringify(text) })
    const storage = diskStorage({ directory: path.join(directory, 'root'), path: ({ filename }) => filename })
    t.throws(() => storage.plan?.(newUpload({ filename: text })), { message: JSON.stringify(text) })

    const bytes = randomBytes(10)
    const stored = await StoredUpload.create(storage, { filename: 'fine', size: 10 })
    await stored.write(0, [[bytes]])
    await t.rejects(stored.finish(`${text}/x`), { code: 'FST_CHUNKED_UPLOAD_LOCATION', cause: { message: JSON.stringify(`${text}/x`) } })
    const astray = { ...stored.upload, status: 'complete', size: 10, location: `${text}/x`, completedAt: 0 } as const
    t.throws(() => storage.read(astray, [0, 1]), { message: 'location' })
    t.throws(() => storage.localPath?.(astray), { message: 'location' })
    await t.rejects(storage.remove(astray), { message: 'location' })
    await t.rejects(stored.concat([astray]), { message: 'location' })
    const state = { part: `${text}/x`, done: 'x', file: '' }
    await t.rejects(storage.write({ ...stored.upload, storageState: state }, 0, empty(), { confirm () {} }), { message: 'part' })

    t.strictSame(entriesOf(directory), ['root', 'root/fine', `root/fine/${stored.upload.id}.part`])
    await stored.finish('good/place')
    t.strictSame(await stored.content(), bytes, 'a refused location loses nothing')
  })
}

async function * empty (): AsyncGenerator<Uint8Array[]> {}

async function * one (): AsyncGenerator<Uint8Array[]> {
  yield [randomBytes(9)]
}

for (const location of ['', '.', './', 'a/', 'a/.']) {
  t.test(`the location "${location}" names no file`, async t => {
    const { stored } = await storeFile(t, randomBytes(1))
    await t.rejects(stored.finish(location), { code: 'FST_CHUNKED_UPLOAD_LOCATION', cause: { message: 'names no file' } })
  })
}

for (const id of ['', '.', '..', '../x', 'a/b', 'a\\b', 'a.b', 'a b', 'a\0', 'ü', 'a\n']) {
  t.test(`invariant 9: ${JSON.stringify(id)} is no id`, async t => {
    const directory = t.testdir()
    t.throws(() => diskStorage({ directory }).plan?.(newUpload({ id })), { message: 'Upload id' })
    t.strictSame(entriesOf(directory), [])
  })
}

t.test('a creation that fails after its file was made can be removed', async t => {
  const directory = t.testdir()
  const storage = diskStorage({ directory, durability: 'disk' })
  const noSync = (call: ChangingCall): { before?: () => void } => call !== 'open'
    ? {}
    : { before: () => { throw Object.assign(new Error('too many'), { code: 'EMFILE' }) } }
  const planned = StoredUpload.plan(storage)
  await t.rejects(withFailingFs(noSync, () => storage.create(planned)), { code: 'EMFILE' })
  await storage.remove(planned)
  t.strictSame(entriesOf(directory), [])
  const upload = StoredUpload.plan(storage)
  await storage.create(upload)
  await t.rejects(storage.create(upload), { code: 'EEXIST' })
  t.equal(entriesOf(directory).filter(entry => entry.endsWith('.part')).length, 1, 'one that was there before stays')
})

t.test('a storage around this one that passes no plan on works, too', async t => {
  const directory = t.testdir()
  const { plan: _, ...storage } = diskStorage({ directory })
  const stored = await StoredUpload.create(storage, { size: 10 })
  const bytes = randomBytes(10)
  await stored.write(0, [[bytes]])
  await stored.finish()
  t.strictSame(await stored.content(), bytes)
})

t.test('options that cannot work are refused at once', async t => {
  t.throws(() => diskStorage({ path: '%Y/%Q' }), { message: '%Q' })
  for (const ext of ['/x', '\\x', '\0', '.location']) {
    t.throws(() => diskStorage({ completeExt: ext }), { message: 'ending of a file' })
    t.throws(() => diskStorage({ incompleteExt: ext }), { message: 'ending of a file' })
  }
})

t.test('a record of another storage is refused', async t => {
  const storage = diskStorage({ directory: t.testdir() })
  for (const storageState of [null, 'x', 1, [], {}, { part: 1, done: 'x', file: 'x' }, { part: 'x', done: 'x', file: 1 }]) {
    const upload = newUpload({ storageState, size: 0 })
    t.throws(() => storage.read(upload, [0, 1]), { message: 'not created by this storage' })
    await t.rejects(storage.finish({ ...upload, size: 0 }), { message: 'not created by this storage' })
  }
})

t.test('an id is never used for two files', async t => {
  const { stored, storage } = await storeFile(t, randomBytes(10))
  await t.rejects(storage.create(stored.upload), { code: 'EEXIST' })
})

const taken: Array<[string, object, string]> = [
  ['a.txt', {}, 'a.txt'],
  ['a.txt', { 'a.txt': 'x' }, 'a-1.txt'],
  ['a.txt', { 'a.txt': 'x', 'a-1.txt': 'y', 'a-2.txt': 'z' }, 'a-3.txt'],
  ['a.tar.gz', { 'a.tar.gz': 'x' }, 'a.tar-1.gz'],
  ['.env', { '.env': 'x' }, '.env-1'],
  ['plain', { plain: 'x' }, 'plain-1'],
  ['folder', { folder: { file: 'x' } }, 'folder-1'],
  ['deep/in/a.txt', { deep: { in: { 'a.txt': '' } } }, 'deep/in/a-1.txt'],
  ['./deep//a.txt', {}, 'deep/a.txt']
]

for (const [location, files, expected] of taken) {
  t.test(`invariant 4: "${location}" becomes "${expected}" beside ${JSON.stringify(files)}`, async t => {
    const bytes = randomBytes(100)
    const directory = t.testdir(JSON.parse(JSON.stringify(files)))
    const before = entriesOf(directory).filter(entry => statSync(path.join(directory, entry)).isFile())
      .map(entry => [entry, readFileSync(path.join(directory, entry), 'utf8')] as const)
    const { stored } = await storeFile(t, bytes, directory)
    await stored.finish(location)
    t.equal(stored.location, expected)
    t.strictSame(readFileSync(path.join(directory, expected)), bytes)
    for (const [entry, content] of before) t.equal(readFileSync(path.join(directory, entry), 'utf8'), content)
    t.notOk(existsSync(path.join(directory, 'chunked_uploads')), 'the empty folders of the day are gone')
  })
}

t.test('invariant 12: a finish that crashed finds its file behind a name that has become free', async t => {
  const bytes = randomBytes(100)
  const { stored, directory } = await storeFile(t, bytes)
  await writeFile(path.join(directory, 'x.bin'), 'first')
  await stored.finish('x.bin')
  unlinkSync(path.join(directory, 'x.bin'))
  await stored.finish('x.bin')
  t.equal(stored.location, 'x-1.bin')
  t.strictSame(await stored.content(), bytes)
})

t.test('a location may be the name that the file has anyway', async t => {
  const { stored, directory } = await storeFile(t, randomBytes(10))
  const own = `chunked_uploads/2026/11/03/${stored.upload.id}`
  await stored.finish(`${own}.part`)
  t.equal(stored.location, `${own}.part`)
  await stored.finish(`${own}.done`)
  t.ok(existsSync(path.join(directory, `${own}.done`)))
})

t.test('invariant 4: a location that is the unfinished file of another upload leaves that one alone', async t => {
  const { stored: other, directory } = await storeFile(t, Buffer.from('other'))
  const { stored } = await storeFile(t, Buffer.from('mine'), directory)
  await stored.finish(`chunked_uploads/2026/11/03/${other.upload.id}.part`)
  t.equal(stored.location, `chunked_uploads/2026/11/03/${other.upload.id}-1.part`)
  t.equal(String(await other.content()), 'other')
})

t.test('removal takes the file and the folders that it leaves empty, nothing else', async t => {
  const { stored, directory, storage } = await storeFile(t, randomBytes(10))
  const foreign = 'chunked_uploads/2026/10/foreign'
  await mkdir(path.join(directory, path.dirname(foreign)))
  await writeFile(path.join(directory, foreign), 'x')
  await storage.remove(stored.upload)
  t.strictSame(entriesOf(directory), ['chunked_uploads', 'chunked_uploads/2026', 'chunked_uploads/2026/10', foreign])
  unlinkSync(path.join(directory, foreign))
  const last = await StoredUpload.create(storage, { createdAt: Date.parse('2026-10-01') })
  await storage.remove(last.upload)
  t.strictSame(entriesOf(directory), [])
})

t.test('durable files are finished and removed side by side, though the last one of a day takes its folder away', async t => {
  const storage = diskStorage({ directory: t.testdir(), durability: 'disk', path: upload => `day/${upload.metadata['day'] ?? ''}` })
  const delay = ({ name }: DiskCall): number => name === 'open' ? 5 : 0
  for (let turn = 0; turn < 5; turn++) {
    const all = await Promise.all(Array.from({ length: 12 }, async (_, index) => {
      const stored = await StoredUpload.create(storage, { size: 10, metadata: { day: String(index % 4) } })
      await stored.write(0, [[randomBytes(10)]])
      return stored
    }))
    await withDiskFaults({ delay }, async () => {
      await Promise.all(all.map(async (stored, index) => {
        await stored.finish(index % 3 === 0 ? undefined : `films/${turn}/${index % 5}.bin`)
        await storage.remove(stored.complete)
      }))
    })
  }
})

t.test('an upload that storage never heard of is removed without trouble', async t => {
  await diskStorage({ directory: t.testdir() }).remove(newUpload())
})

t.test('a file that someone else cut short is lost, for readers, for parts, and for the finish', async t => {
  const { stored, directory, storage } = await storeFile(t, randomBytes(600_000))
  await stored.finish('x')
  truncateSync(path.join(directory, 'x'), 300_000)
  await t.rejects(collect(storage.read(stored.complete, [0, 600_000])), StorageShort)
  await t.rejects(collect(storage.read(stored.complete, [300_000, 300_001])), StorageShort)
  await t.rejects(stored.finish('x'), StorageShort)
  const whole = await StoredUpload.create(storage, { size: 600_000 })
  await t.rejects(whole.concat([stored.complete]), StorageLost)
})

t.test('a trouble that is no loss keeps its own error', async t => {
  const { stored, directory, storage } = await storeFile(t, randomBytes(10))
  const part = path.join(directory, `chunked_uploads/2026/11/03/${stored.upload.id}.part`)
  unlinkSync(part)
  await mkdir(part)
  await t.rejects(collect(storage.read(stored.upload, [0, 10])), { code: 'EISDIR' })
  await t.rejects(stored.write(0, [[randomBytes(1)]]), { code: 'EISDIR' })
})

t.test('no descriptor stays open, whatever ends a write or a read', async t => {
  // Where the system lists no descriptors, the operations still have to end.
  const count = (): number => existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0
  const { stored, storage } = await storeFile(t, randomBytes(600_000))
  const before = count()
  for (let turn = 0; turn < 20; turn++) {
    const stream = storage.read(stored.upload, [0, 600_000])
    const closed = new Promise(resolve => stream.once('close', resolve))
    if (turn % 2 === 0) stream.once('data', () => stream.destroy())
    else stream.destroy()
    await closed
    await collect(storage.read(stored.upload, [0, 600_000]))
    const broken = { confirm () { throw new Error('no confirmation') } }
    await t.rejects(storage.write(stored.upload, 0, one(), broken), { message: 'no confirmation' })
    await t.rejects(collect(storage.read(stored.upload, [600_000, 600_001])), StorageShort)
  }
  t.equal(count(), before)
})
