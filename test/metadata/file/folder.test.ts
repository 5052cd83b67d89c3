import { appendFile, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { ListQuery, Metadata } from '../../../src/metadata/contract.js'
import { fileMetadata, type FileMetadataOptions } from '../../../src/metadata/file/index.js'
import { newUpload } from '../../../src/testing/new-upload.js'
import type { CompleteUpload, UploadingUpload } from '../../../src/upload.js'

interface Folder {
  readonly directory: string
  open (options?: Omit<FileMetadataOptions, 'directory'>): Metadata
  /** Every file, relative to the folder. */
  files (): Promise<string[]>
}

async function folder (test: { teardown(end: () => Promise<void>): unknown }): Promise<Folder> {
  const directory = await mkdtemp(join(tmpdir(), 'records-'))
  const opened: Metadata[] = []
  test.teardown(async () => {
    for (const metadata of opened) await metadata.close?.()
    await rm(directory, { recursive: true })
  })
  return {
    directory,
    open: options => {
      const metadata = fileMetadata({ directory, ...options })
      opened.push(metadata)
      return metadata
    },
    files: async () => {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true })
      return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1)).sort()
    }
  }
}

function pathOf (directory: string, id: string): string {
  return join(directory, 'records', id.slice(-2), `${id}.jsonl`)
}

function complete (upload: UploadingUpload, version: number): CompleteUpload {
  const checksum = { algorithm: 'md5', value: 'ab' }
  return { ...upload, version, status: 'complete', size: 0, completedAt: 1, location: 'x', checksum }
}

const LONG_AGO = new Date(Date.now() - 2 * 3_600_000)

t.test('records survive closing and opening again, and a process that was closed goes on', async t => {
  const { open } = await folder(t)
  const before = open()
  const upload = newUpload()
  await before.create(upload)
  await before.update({ ...upload, version: 2 })
  await before.close?.()
  t.same(await open().get(upload.id), { ...upload, version: 2 })
  t.same(await before.get(upload.id), { ...upload, version: 2 })
})

t.test('a finished record is one line of JSON', async t => {
  const { directory, open } = await folder(t)
  const metadata = open()
  const upload = newUpload()
  await metadata.create(upload)
  for (let version = 2; version < 10; version++) await metadata.update({ ...upload, version })
  await metadata.update(complete(upload, 10))
  t.same(JSON.parse(await readFile(pathOf(directory, upload.id), 'utf8')), complete(upload, 10))
})

t.test('the file of a record stays small however often it changes', async t => {
  const { directory, open } = await folder(t)
  const metadata = open()
  const upload = newUpload({ filename: 'x'.repeat(1000) })
  await metadata.create(upload)
  for (let version = 2; version < 300; version++) await metadata.update({ ...upload, version })
  t.ok((await readFile(pathOf(directory, upload.id))).length <= 64 * 1024)
  t.same(await open().get(upload.id), { ...upload, version: 299 })
})

t.test('invariant 12: half a line at the end of a file is as if it were not there', async t => {
  for (const torn of ['{"id":"', '[{"version":2},"', '\0\0', '{"version":2,"deleted":true}']) {
    const { directory, open } = await folder(t)
    const [early, late] = [open(), open()]
    const upload = newUpload()
    await early.create(upload)
    await early.get(upload.id)
    await appendFile(pathOf(directory, upload.id), JSON.stringify(torn))
    t.same(await early.get(upload.id), upload, JSON.stringify(torn))
    t.same(await late.get(upload.id), upload, JSON.stringify(torn))
    t.equal(await early.update({ ...upload, version: 2 }), true, JSON.stringify(torn))
    t.equal(await late.update({ ...upload, version: 2, filename: 'lost' }), false, JSON.stringify(torn))
    t.equal(await late.update({ ...upload, version: 3 }), true, JSON.stringify(torn))
    t.same(await open().get(upload.id), { ...upload, version: 3 }, JSON.stringify(torn))
  }
})

t.test('invariant 12: a process that died between deciding a rewrite and renaming is helped out by the next', async t => {
  for (const next of ['get', 'update', 'delete', 'list'] as const) {
    const { directory, open } = await folder(t)
    const upload = newUpload()
    const [early, metadata] = [open(), open()]
    await early.create(upload)
    await early.get(upload.id)
    const path = pathOf(directory, upload.id)
    await writeFile(path.replace('.jsonl', '~abc.jsonl'), `${JSON.stringify(complete(upload, 2))}\n`)
    await appendFile(path, '{"version":2,"next":"abc"}\n')
    for (const each of [early, metadata]) {
      if (next === 'get') t.same(await each.get(upload.id), complete(upload, 2))
      if (next === 'list') t.same(await each.list({}), { uploads: [complete(upload, 2)] })
      if (next === 'update') t.equal(await each.update(complete(upload, each === early ? 3 : 4)), true)
      if (next === 'delete') t.equal(await each.delete(upload.id, 2), each === early)
    }
    t.same(await readdir(dirname(path)), next === 'delete' ? [] : [`${upload.id}.jsonl`])
  }
})

t.test('a rewrite whose file is missing is an error, not an endless search', async t => {
  const { directory, open } = await folder(t)
  const upload = newUpload()
  const metadata = open()
  await metadata.create(upload)
  await appendFile(pathOf(directory, upload.id), '{"version":2,"next":"gone"}\n')
  await t.rejects(metadata.get(upload.id), /missing/)
})

t.test('invariant 12: what a process left of a rewrite that was never decided is removed in time', async t => {
  for (const query of [{}, { status: 'removed' }] as const) {
    const { directory, open, files } = await folder(t)
    const upload = newUpload()
    await open().create(upload)
    const path = pathOf(directory, upload.id)
    const [old, fresh] = [path.replace('.jsonl', '~old.jsonl'), path.replace('.jsonl', '~fresh.jsonl')]
    for (const leftover of [old, fresh]) await writeFile(leftover, `${JSON.stringify(complete(upload, 2))}\n`)
    await utimes(old, LONG_AGO, LONG_AGO)
    await open().list(query)
    t.same(await open().get(upload.id), upload)
    const records = (await files()).filter(file => file.startsWith('records'))
    t.same(records, [path, fresh].map(file => file.slice(directory.length + 1)).sort())
  }
})

t.test('invariant 12: a process that died while deleting or creating leaves no record', async t => {
  const { directory, open, files } = await folder(t)
  const metadata = open()
  const [deleted, half] = [newUpload(), newUpload()]
  await metadata.create(deleted)
  await appendFile(pathOf(directory, deleted.id), '{"version":2,"deleted":true}\n')
  await metadata.create(half)
  await writeFile(pathOf(directory, half.id), JSON.stringify(half).slice(0, 50))
  const other = open()
  for (const { id } of [deleted, half]) {
    t.equal(await other.get(id), undefined)
    t.equal(await other.update({ ...newUpload({ id }), version: 3 }), false)
    t.equal(await other.delete(id, 1), false)
  }
  t.same(await other.list({}), { uploads: [] })
  t.notOk((await files()).includes(pathOf(directory, deleted.id).slice(directory.length + 1)))

  const [old, fresh, edited] = [newUpload(), newUpload(), newUpload()]
  for (const upload of [old, fresh, edited]) {
    await metadata.create(upload)
    await writeFile(pathOf(directory, upload.id), upload === edited ? 'what somebody wrote there\n' : '')
  }
  for (const { id } of [old, half, edited]) await utimes(pathOf(directory, id), LONG_AGO, LONG_AGO)
  await open().list({})
  const records = (await files()).filter(file => file.startsWith('records'))
  t.same(records, [fresh, edited].map(({ id }) => pathOf(directory, id).slice(directory.length + 1)).sort(), 'what died goes in time')
})

t.test('names in the indexes that lead nowhere are passed over, and removed when they are old or wrong', async t => {
  const { directory, open, files } = await folder(t)
  const metadata = open()
  const done = complete(newUpload(), 1)
  await metadata.create(done)
  const unfinished = join(directory, 'unfinished')
  await mkdir(unfinished, { recursive: true })
  for (const id of ['fresh', 'old', done.id]) await writeFile(join(unfinished, id), '')
  await utimes(join(unfinished, 'old'), LONG_AGO, LONG_AGO)
  t.same(await metadata.list({ status: 'uploading' }), { uploads: [] })
  t.same(await readdir(unfinished), ['fresh'])

  const [entry = ''] = (await files()).filter(file => file.startsWith('checksums'))
  const checksum = join(directory, dirname(entry))
  const other = { ...done, id: 'other', checksum: { algorithm: 'md5', value: 'cd' } }
  const running = newUpload({ id: 'running', checksum: { algorithm: 'md5', value: null } })
  for (const record of [other, running]) await metadata.create(record)
  await rm(join(checksum, done.id))
  for (const id of ['fresh', 'old', 'other', 'running']) await writeFile(join(checksum, id), '')
  await utimes(join(checksum, 'old'), LONG_AGO, LONG_AGO)
  t.equal(await metadata.findByChecksum({ algorithm: 'md5', value: 'ab' }), undefined)
  t.same((await readdir(checksum)).sort(), ['fresh', 'running'])
})

t.test('a list of one user, or of what was removed, opens no record of anybody else', async t => {
  const { directory, open, files } = await folder(t)
  const metadata = open()
  const mine = [newUpload({ user: 'ann' }), complete(newUpload({ user: 'ann' }), 1)]
  const gone = { ...newUpload({ user: 'bob' }), status: 'removed', removedAt: 1, reason: 'expired' } as const
  const alike = newUpload({ user: 1 })
  for (const record of [...mine, gone, alike, newUpload({ user: '1' }), newUpload()]) await metadata.create(record)
  // A list that opens it says so.
  const broken = newUpload()
  await mkdir(pathOf(directory, broken.id), { recursive: true })
  const unreadable: string[] = []
  const onUnreadable = (_error: unknown, id: string): void => { unreadable.push(id) }
  t.equal((await metadata.list({ onUnreadable })).uploads.length, 6, 'all others')
  t.strictSame(unreadable.splice(0), [broken.id])

  const idsOf = async (query: ListQuery): Promise<string[]> => (await metadata.list({ ...query, onUnreadable })).uploads.map(({ id }) => id)
  t.strictSame(await idsOf({ user: 'ann' }), mine.map(({ id }) => id).sort())
  t.strictSame(await idsOf({ user: 'ann', status: 'uploading' }), [mine[0]?.id])
  t.strictSame(await idsOf({ user: 1 }), [alike.id])
  t.strictSame(await idsOf({ status: 'removed' }), [gone.id])
  t.strictSame(await idsOf({ status: 'removed', user: 'ann' }), [])
  t.strictSame(await idsOf({ user: 'ann', order: { by: 'activity', descending: true } }), mine.map(({ id }) => id))
  t.strictSame(unreadable, [])
  await metadata.delete(gone.id, 1)
  for (const { id } of mine) await metadata.delete(id, 1)
  t.notOk((await files()).some(file => file.endsWith(gone.id) || mine.some(({ id }) => file.endsWith(id))), 'nothing of them is left')
})

t.test('serials go on across folders and restarts, and deleting leaves only what shows the highest', async t => {
  const { directory, open } = await folder(t)
  const serials = join(directory, 'serials')
  await mkdir(join(serials, '0'), { recursive: true })
  await writeFile(join(serials, '0', '998'), 'unknown')
  await writeFile(join(serials, 'notes.txt'), '')
  const metadata = open()
  const first = await metadata.create(newUpload(), { serial: true })
  const second = await metadata.create(newUpload(), { serial: true })
  t.same([first.serial, second.serial], [999, 1000])
  t.equal((await open().create(newUpload(), { serial: true })).serial, 1001)
  t.equal((await metadata.create(newUpload(), { serial: true })).serial, 1002)
  t.equal(await metadata.getBySerial(998), undefined)
  for (const { id } of [first, second]) await metadata.delete(id, 1)
  t.same((await readdir(join(serials, '0'))), ['998'])
  t.same((await readdir(join(serials, '1'))).sort(), ['1000', '1001', '1002'])
  await rm(join(serials, '1'), { recursive: true })
  await mkdir(join(serials, '1'))
  t.equal((await open().create(newUpload(), { serial: true })).serial, 1000)
})

t.test('more records in use than files may be open', async t => {
  const { open } = await folder(t)
  const metadata = open({ maxOpenFiles: 2 })
  const uploads = Array.from({ length: 20 }, () => newUpload())
  await Promise.all(uploads.map(upload => metadata.create(upload)))
  for (let version = 2; version < 6; version++) {
    const results = await Promise.all(uploads.map(upload => metadata.update({ ...upload, version })))
    t.ok(results.every(won => won))
  }
  for (const upload of uploads) t.same(await metadata.get(upload.id), { ...upload, version: 5 })
})

t.test('no more files are open than may be, whatever comes between', { skip: process.platform !== 'linux' }, async t => {
  const { directory, open } = await folder(t)
  const metadata = open({ maxOpenFiles: 10 })
  const openFiles = async (): Promise<number> => {
    const targets = await Promise.all((await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
    return targets.filter(target => target.startsWith(join(directory, 'records'))).length
  }
  const uploads = Array.from({ length: 300 }, () => newUpload())
  await Promise.all(uploads.flatMap(upload => [
    metadata.get(upload.id), metadata.create(upload), metadata.get(upload.id), metadata.list({ limit: 5 })
  ]))
  await Promise.all(uploads.map(upload => t.rejects(metadata.create(upload), { code: 'EEXIST' })))
  for (const upload of uploads) t.same(await metadata.get(upload.id), upload)
  // Files are closed after the answers.
  while (await openFiles() > 10) await sleep(10)
  await metadata.close?.()
  while (await openFiles() > 0) await sleep(10)
})

t.test('with durability "disk" everything works the same', async t => {
  const { open } = await folder(t)
  const metadata = open({ durability: 'disk' })
  const upload = newUpload()
  const stored = await metadata.create(upload, { serial: true })
  t.equal(await metadata.update({ ...upload, serial: stored.serial, version: 2 }), true)
  t.equal(await metadata.update({ ...complete(upload, 3), serial: stored.serial }), true)
  t.equal((await metadata.findByChecksum({ algorithm: 'md5', value: 'ab' }))?.id, upload.id)
  t.equal((await metadata.list({})).uploads.length, 1)
  t.equal(await metadata.delete(upload.id, 3), true)
})

t.test('files of other programs in the folders disturb nothing', async t => {
  const { directory, open } = await folder(t)
  const metadata = open()
  const upload = newUpload()
  await metadata.create(upload)
  await writeFile(join(directory, 'records', '.DS_Store'), '')
  await writeFile(join(dirname(pathOf(directory, upload.id)), 'notes.txt'), '')
  await writeFile(join(dirname(pathOf(directory, upload.id)), 'not an id.jsonl'), '')
  t.same(await metadata.list({}), { uploads: [upload] })
})

t.test('on a file system that knows no upper case, an id in other letters is still unknown', async t => {
  const { directory, open } = await folder(t)
  const upload = newUpload({ id: 'abc-XY' })
  await open().create(upload)
  const alias = pathOf(directory, 'ABC-XY')
  await mkdir(dirname(alias), { recursive: true })
  await rename(pathOf(directory, upload.id), alias)
  t.equal(await open().get('ABC-XY'), undefined)
})

t.test('an id that could be no file name is refused', async t => {
  const { open, files } = await folder(t)
  for (const id of ['', '../x', 'a/b', 'a b', 'x'.repeat(101)]) await t.rejects(open().create(newUpload({ id })), TypeError)
  t.equal(await open().update(complete(newUpload({ id: '../x' }), 2)), false)
  t.same(await files(), [])
})
