import { mkdtemp, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { UploadBusy } from '../../../src/errors.js'
import type { LockRequest, Locks } from '../../../src/locks/contract.js'
import { fileLocks } from '../../../src/locks/file/index.js'
import { lockSuite } from '../../../src/testing/locks/suite.js'
import { connectSocket, once } from '../../support/deadline.js'

lockSuite((name, run) => t.test(name, run), async () => {
  const directory = await mkdtemp(join(tmpdir(), 'locks-'))
  const first = fileLocks({ directory })
  const opened = [first]
  return {
    locks: first,
    another: async () => {
      const other = fileLocks({ directory })
      opened.push(other)
      return other
    },
    dispose: async () => {
      for (const instance of opened) await instance.close?.()
      await rm(directory, { recursive: true })
    }
  }
})

const PATIENT: LockRequest = { mode: 'exclusive', claim: 'wait', timeout: 20_000, onClaim: () => {} }

async function instances (
  test: { teardown(end: () => Promise<void>): unknown }, count: number, folder = '.'
): Promise<{ directory: string, opened: Locks[], first: Locks, second: Locks, third: Locks }> {
  const root = await mkdtemp(join(tmpdir(), 'locks-'))
  const directory = join(root, folder)
  const opened = Array.from({ length: count }, () => fileLocks({ directory }))
  const [first = fileLocks({ directory }), second = first, third = second] = opened
  // Waiting for locks does not keep a process alive.
  const alive = setInterval(() => {}, 1000)
  test.teardown(async () => {
    clearInterval(alive)
    for (const locks of opened) await locks.close?.()
    await rm(root, { recursive: true })
  })
  return { directory, opened, first, second, third }
}

async function warmedUp (locks: readonly Locks[]): Promise<void> {
  for (const each of locks) await (await each.acquire('warm-up', PATIENT)).release()
}

t.test('what a process left that died before it was a member is removed in time', async t => {
  const { directory, first, second } = await instances(t, 2)
  await warmedUp([first])
  const long = new Date(0)
  for (const name of ['aa.sock', 'bb.new', 'cc.sock', 'cc.member', 'dd.new', 'notes.new']) await writeFile(join(directory, name), '')
  for (const name of ['aa.sock', 'bb.new', 'cc.sock', 'notes.new']) await utimes(join(directory, name), long, long)
  const rest = async (): Promise<string[]> => (await readdir(directory)).filter(name => /^(\w\w|notes)\./.test(name)).sort()
  // Entering is when it is seen to; the locks are what anybody waits for.
  await warmedUp([second])
  t.strictSame((await rest()).filter(name => !name.startsWith('cc')), ['dd.new', 'notes.new'])
})

t.test('who closes in an orderly way takes no lock of others with it', async t => {
  const { opened, first: arbiter, second: holder, third: waiter } = await instances(t, 3)
  await warmedUp(opened)
  const claims: string[] = []
  const lock = await holder.acquire('key', { ...PATIENT, onClaim: claim => claims.push(claim) })
  const reader = await holder.acquire('other', { ...PATIENT, mode: 'shared' })
  const next = waiter.acquire('key', PATIENT)
  await arbiter.close?.()
  await t.rejects(waiter.acquire('key', { ...PATIENT, timeout: 0 }), new UploadBusy())
  await waiter.acquire('other', { ...PATIENT, mode: 'shared' })
  await t.rejects(waiter.acquire('other', { ...PATIENT, timeout: 0 }), new UploadBusy())
  await lock.release()
  await reader.release()
  await next
  t.same(claims, [])
})

t.test('what a closed instance held is lost to it and free for others', async t => {
  const { opened, first: arbiter, second: other } = await instances(t, 2)
  await warmedUp(opened)
  const claims: string[] = []
  const lock = await other.acquire('key', { ...PATIENT, onClaim: claim => claims.push(claim) })
  const waiting = other.acquire('key', PATIENT)
  const refused = t.rejects(waiting, new UploadBusy())
  await other.close?.()
  await refused
  t.same(claims, ['lost'])
  await arbiter.acquire('key', PATIENT)
  await lock.release()
  await t.rejects(other.acquire('key', { ...PATIENT, timeout: 0 }), new UploadBusy(), 'a closed instance enters anew and sees the holder')
})

t.test('many that begin at once agree on one that decides', async t => {
  const { opened } = await instances(t, 12)
  let inside = 0
  await Promise.all(opened.map(async locks => {
    const lock = await locks.acquire('key', PATIENT)
    t.equal(++inside, 1)
    await new Promise(resolve => setImmediate(resolve))
    inside--
    await lock.release()
  }))
})

t.test('a folder whose path is longer than that of a socket can be does as well', async t => {
  const { directory, opened, first, second } = await instances(t, 2, 'long'.repeat(50))
  await warmedUp(opened)
  await first.acquire('key', PATIENT)
  await t.rejects(second.acquire('key', { ...PATIENT, timeout: 0 }), new UploadBusy())
  for (const locks of opened) await locks.close?.()
  t.same((await readdir(directory)).filter(name => !name.endsWith('.arbiter')), [])
})

t.test('where a folder can hold no socket, it stands in the folder for temporary files', async t => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') ?? {}
  t.teardown(() => { Object.defineProperty(process, 'platform', platform) })
  Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' })
  const { directory, opened, first, second } = await instances(t, 2, 'long'.repeat(50))
  await warmedUp(opened)
  await first.acquire('key', PATIENT)
  await t.rejects(second.acquire('key', { ...PATIENT, timeout: 0 }), new UploadBusy())
  t.notOk((await readdir(directory)).some(name => name.endsWith('.sock')))
})

t.test('files that a power cut left empty count as those of the dead', async t => {
  const { directory, first: before, second: after } = await instances(t, 2)
  await warmedUp([before])
  await before.close?.()
  await truncate(join(directory, '1.arbiter'))
  await writeFile(join(directory, 'gone.member'), '')
  await writeFile(join(directory, 'odd.member'), '{}')
  await after.acquire('key', PATIENT)
  t.same((await readdir(directory)).filter(name => /^(gone|odd)/.test(name)), [])
})

t.test('only the newest of the files that say who decides are kept', async t => {
  const { directory, opened } = await instances(t, 12)
  for (const locks of opened) {
    await warmedUp([locks])
    await locks.close?.()
  }
  const generations = (await readdir(directory)).map(name => Number.parseInt(name)).sort((a, b) => a - b)
  t.same(generations, [5, 6, 7, 8, 9, 10, 11, 12])
})

t.test('a stranger at the socket is sent away and disturbs no member', async t => {
  const { directory, opened } = await instances(t, 2)
  await warmedUp(opened)
  for (const name of (await readdir(directory)).filter(name => name.endsWith('.sock'))) {
    const stranger = connectSocket(join(directory, name))
    stranger.write('GET / HTTP/1.1\r\n\r\n')
    await once(stranger.resume(), 'close')
  }
  await warmedUp(opened)
})

t.test('a folder that cannot be made fails every request with the reason, and the next one tries again', async t => {
  const { directory } = await instances(t, 0)
  await writeFile(join(directory, 'file'), '')
  const locks = fileLocks({ directory: join(directory, 'file', 'locks') })
  await t.rejects(locks.acquire('key', PATIENT), { code: 'ENOTDIR' })
  await rm(join(directory, 'file'))
  await (await locks.acquire('key', PATIENT)).release()
  await locks.close?.()
})

t.test('closing locks that were never used does nothing', async t => {
  const { directory, opened } = await instances(t, 1)
  await opened[0]?.close?.()
  t.same(await readdir(directory), [])
})
