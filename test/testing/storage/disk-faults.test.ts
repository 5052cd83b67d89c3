import fs from 'node:fs'
import { open, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { withDiskFaults } from '../../../src/testing/storage/disk-faults.js'

/** Writes ten blocks at once, each at its place; says in which order they ended. */
async function writeTen (file: string): Promise<number[]> {
  const fd = fs.openSync(file, 'w')
  const order: number[] = []
  await Promise.all(Array.from({ length: 10 }, async (_, index) => {
    // Looked up now: the one that this module imported at its start would do as well.
    await promisify(fs.write)(fd, Buffer.alloc(10, index), 0, 10, index * 10)
    order.push(index)
  }))
  fs.closeSync(fd)
  return order
}

t.test('writes end late and in any order, at their places', async t => {
  const file = path.join(t.testdir(), 'file')
  const random = [0.9, 0.9, 0.1, 0.5, 0.6, 0.1, 0.2, 0.3, 0.95, 0.2, 0.3, 0.99, 0.5, 0.5, 0.8, 0.1, 0.4, 0.4, 0.7, 0.9]
  const order = await withDiskFaults({ delay: 100, random: () => random.shift() ?? 0 }, async () => await writeTen(file))
  t.notSame(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.same(await readFile(file), Buffer.concat(Array.from({ length: 10 }, (_, index) => Buffer.alloc(10, index))))
})

t.test('memory that changes before a late write began is written as it is then', async t => {
  const file = path.join(t.testdir(), 'file')
  const handle = await open(file, 'w')
  await handle.close()
  await withDiskFaults({ delay: 20, random: () => 0.9 }, async () => {
    const late = await open(file, 'r+')
    const bytes = Buffer.from('before')
    const written = late.write(bytes, 0, 6, 0)
    bytes.write('after!')
    await written
    await late.close()
  })
  t.equal(await readFile(file, 'utf8'), 'after!')
})

t.test('reads and writes do a part of their work: by callback, by promise, by handle', async t => {
  const file = path.join(t.testdir(), 'file')
  await writeFile(file, Buffer.alloc(100))
  await withDiskFaults({ short: 1, random: () => 0.5 }, async () => {
    const handle = await open(file, 'r+')
    t.equal((await handle.write(Buffer.alloc(100), 0, 100, 0)).bytesWritten, 50)
    t.equal((await handle.writev([Buffer.alloc(30), Buffer.alloc(70)], 0)).bytesWritten, 50)
    t.equal((await handle.read(Buffer.alloc(100), 0, 100, 0)).bytesRead, 50)
    const written = await new Promise<number>((resolve, reject) => {
      fs.writev(handle.fd, [Buffer.alloc(10), Buffer.alloc(90)], 0, (error, bytes) => error === null ? resolve(bytes) : reject(error))
    })
    t.equal(written, 50)
    await handle.close()
  })
})

t.test('calls fail as they are told, and all is as before in the end', async t => {
  const directory = t.testdir({ a: 'x' })
  const { write } = fs
  const faults = new Map<string, string | Error>([['rename', 'EXDEV'], ['datasync', new Error('no sync')]])
  await withDiskFaults({ fail: ({ name }) => faults.get(name) }, async () => {
    await t.rejects(rename(path.join(directory, 'a'), path.join(directory, 'b')), { code: 'EXDEV' })
    const handle = await open(path.join(directory, 'a'), 'r+')
    await t.rejects(handle.datasync(), { message: 'no sync' })
    await handle.close()
    t.not(fs.write, write)
  })
  t.equal(fs.write, write)
  await rename(path.join(directory, 'a'), path.join(directory, 'b'))
  await t.rejects(withDiskFaults({}, async () => { throw new Error('of the work') }), { message: 'of the work' })
  t.equal(fs.write, write)
})
