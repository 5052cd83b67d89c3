import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { fileMetadata, type Metadata } from '../../../src/index.js'
import { entryOf } from '../../../src/metadata/file/facts.js'
import { KeyedIndex } from '../../../src/metadata/file/entries.js'
import { newUpload } from '../../../src/testing/new-upload.js'
import type { CompleteUpload, Upload } from '../../../src/upload.js'
import { recordsIn } from '../../support/records.js'

const MANY = 100_000

function finished (overrides: Partial<CompleteUpload> = {}): CompleteUpload {
  return { ...newUpload(), status: 'complete', size: 10, received: [[0, 10]], completedAt: 1, location: 'x', ...overrides }
}

function pathOf (directory: string, id: string): string {
  return join(directory, 'records', id.slice(-2), `${id}.jsonl`)
}

/** The folder of a user's names. */
function folderOf (directory: string, index: 'users' | 'finished', user: string | null): string {
  const name = KeyedIndex.nameOf(user)
  return join(directory, index, name.slice(0, 2), name.slice(2))
}

function open (t: Test, directory: string): Metadata {
  const metadata = fileMetadata({ directory })
  t.teardown(async () => { await metadata.close?.() })
  return metadata
}

const newest = { by: 'activity', descending: true } as const

t.test('of 100,000 finished uploads, lists and sums open the records of their page alone', async t => {
  const directory = t.testdir()
  const metadata = open(t, directory)
  const folder = folderOf(directory, 'finished', null)
  mkdirSync(folder, { recursive: true })
  await metadata.create(newUpload({ received: [[0, 3]], filename: 'running', updatedAt: 1 }))
  // They have no records at all: a read of one would miss it.
  for (let number = 0; number < MANY; number++) {
    writeFileSync(join(folder, entryOf(finished({ id: `a${number}`, completedAt: number, filename: `old ${number}` }))), '')
  }
  const last = Array.from({ length: 20 }, (_, number) => finished({ completedAt: MANY + number, filename: 'zz' }))
  for (const upload of last) await metadata.create(upload)

  const { uploads, cursor } = await metadata.list({ user: null, order: newest, limit: 20 })
  t.strictSame(uploads, [...last].reverse())
  t.type(cursor, 'string')
  t.strictSame((await metadata.list({ status: 'complete', order: newest, limit: 5, offset: 3 })).uploads.length, 5)
  t.strictSame((await metadata.list({ order: { by: 'filename', descending: true }, limit: 20 })).uploads.length, 20)
  const { counts, bytes } = await metadata.usage({ user: null, now: Date.now() })
  t.match(counts, { open: 1, complete: MANY + 20 })
  t.equal(bytes, 3 + 10 * (MANY + 20))
  t.match((await metadata.list({ user: null, status: 'uploading', limit: 1 })).uploads, [{ filename: 'running' }])
  await rm(directory, { recursive: true })
})

t.test('a process that died in the middle of a change leaves names that a record decides on', async t => {
  const directory = t.testdir()
  const metadata = open(t, directory)
  const [running, done] = [newUpload({ user: 'ann' }), finished({ user: 'ann' })]
  for (const upload of [running, done]) await metadata.create(upload)
  const [users, facts] = [folderOf(directory, 'users', 'ann'), folderOf(directory, 'finished', 'ann')]
  const count = async (): Promise<unknown> => {
    const { counts: { open, complete, removed } } = await metadata.usage({ user: 'ann', now: 0 })
    return [open, complete, removed]
  }
  // About to be complete; about to be removed; about to be created.
  const [never, removed] = [finished({ id: running.id }), { ...done, status: 'removed', removedAt: 5, reason: 'removed' } as Upload]
  for (const entry of [never, removed].map(entryOf)) await writeFile(join(facts, entry), '')
  await writeFile(join(users, 'unknown'), '')
  t.strictSame(await count(), [1, 1, 0])
  t.strictSame(await count(), [1, 1, 0])
  const longAgo = new Date(Date.now() - 2 * 3_600_000)
  for (const entry of [never, removed].map(entryOf)) await utimes(join(facts, entry), longAgo, longAgo)
  await utimes(join(users, 'unknown'), longAgo, longAgo)
  t.strictSame(await count(), [1, 1, 0])
  t.strictSame(await readdir(users), [running.id])
  t.notOk((await readdir(facts)).includes(entryOf(removed)), 'what is wrong goes in time')
})

t.test('uploads of version 0.1, which have no facts, are found, and get some when they are met', async t => {
  const directory = t.testdir()
  const before = open(t, directory)
  const uploads = [finished({ completedAt: 3 }), finished({ user: 'ann', completedAt: 2 }), newUpload({ updatedAt: 1 })]
  for (const upload of uploads) await before.create(upload)
  for (const name of ['finished', 'users', 'anonymous-indexed']) await rm(join(directory, name), { recursive: true })
  const users = folderOf(directory, 'users', 'ann')
  await mkdir(users, { recursive: true })
  await writeFile(join(users, uploads[1]?.id ?? ''), '')

  const metadata = open(t, directory)
  for (let look = 0; look < 3; look++) {
    t.strictSame((await metadata.list({ order: newest })).uploads, uploads)
    t.match((await metadata.usage({ now: 0, user: null })).counts, { open: 1, complete: 1 })
    t.match((await metadata.usage({ now: 0, user: 'ann' })).counts, { complete: 1 })
  }
  t.equal((await readdir(folderOf(directory, 'finished', 'ann'))).length, 1)
  t.strictSame(await readdir(folderOf(directory, 'users', null)), [uploads[2]?.id], 'the others are not looked into any more')
})

t.test('a record that cannot be read is left out of every list, and its list tells of it', async t => {
  const directory = t.testdir()
  const metadata = open(t, join(directory, '.chunked_uploads'))
  const path = (id: string): string => pathOf(join(directory, '.chunked_uploads'), id)
  const uploads = Array.from({ length: 5 }, () => newUpload({ expiresAt: 1 }))
  for (const upload of uploads) await metadata.create(upload)
  await metadata.close?.()
  const [folder, torn] = uploads
  if (folder === undefined || torn === undefined) throw new Error('they are there')
  for (const { id } of [folder, torn]) await rm(path(id))
  await mkdir(path(folder.id))
  await writeFile(path(torn.id), '{"version":1,"next":"gone"}\n')
  t.equal(dirname(path(torn.id)).length > 0, true)
  for (const query of [{}, { status: 'uploading' }, { user: null }, { expiredBefore: 1 }, { order: newest }] as const) {
    const told: string[] = []
    const { uploads: listed } = await metadata.list({ ...query, onUnreadable: (_error, id) => { told.push(id) } })
    t.equal(listed.length, 3, JSON.stringify(query))
    t.strictSame(told.sort(), [folder.id, torn.id].sort(), JSON.stringify(query))
  }
  t.equal((await recordsIn(directory)).length, 3)
})
