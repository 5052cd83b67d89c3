import { mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Lock, LockRequest } from '../../../src/locks/contract.js'
import { fileLocks } from '../../../src/locks/file/index.js'
import { Election } from '../../../src/locks/file/election.js'
import { startContenders } from '../../support/lock-contenders.js'

const ASKED: Omit<LockRequest, 'onClaim'> = { mode: 'exclusive', claim: 'wait', timeout: 60_000 }

async function folder (t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'markers-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function clean (directory: string, pattern: RegExp): Promise<void> {
  for (const file of await readdir(directory)) if (pattern.test(file)) await rm(join(directory, file), { force: true })
}

async function held (directory: string, key = 'key'): Promise<{ lock: Lock, claims: string[], locks: ReturnType<typeof fileLocks> }> {
  const locks = fileLocks({ directory })
  const claims: string[] = []
  const lock = await locks.acquire(key, { ...ASKED, onClaim: claim => { claims.push(claim) } })
  return { lock, claims, locks }
}

const MARKERS: ReadonlyArray<readonly [name: string, pattern: RegExp]> = [
  ['member', /\.member$/], ['arbiter and member', /\.(member|arbiter)$/], ['all', /./]
]

for (const [name, pattern] of MARKERS) {
  t.test(`a lock is no longer held once its process is not known any more: ${name} removed`, async t => {
    const directory = await folder(t)
    const { lock, claims, locks } = await held(directory)
    t.equal(lock.held?.(), true)
    await clean(directory, pattern)
    t.equal(lock.held?.(), false)
    t.strictSame(claims, ['lost'])
    const again = await locks.acquire('key', { ...ASKED, onClaim: () => {} })
    t.equal(again.held?.(), true, 'the process takes part again')
    await lock.release()
    t.equal(again.held?.(), true, 'what was lost gives back nothing')
    await locks.close?.()
  })
}

t.test('another gets the lock only after its holder has heard that it is lost', async t => {
  for (const pattern of [/\.arbiter$/, /\.(member|arbiter)$/]) {
    const directory = await folder(t)
    const first = await held(directory)
    const follower = await held(directory, 'other')
    await clean(directory, pattern)
    const second = await held(directory)
    t.strictSame(first.claims, ['lost'], String(pattern))
    t.equal(first.lock.held?.(), false)
    t.equal(second.lock.held?.(), true)
    const known = !pattern.test('a.member')
    t.equal(follower.lock.held?.(), known, 'who is known keeps what another process granted')
    for (const { locks } of [first, follower, second]) await locks.close?.()
  }
})

t.test('what counts is never mixed while markers are removed', async t => {
  const directory = await folder(t)
  const log = join(directory, 'log')
  const locks = join(directory, 'locks')
  const contenders = startContenders(t, locks, log, 3)
  for (const [, pattern] of [...MARKERS, ...MARKERS]) {
    await contenders.entered(5)
    await clean(locks, pattern)
  }
  await contenders.entered(5)
  await contenders.kill()
  // Each section is `enter`, `leave`, and `counts` where the lock was still held after that.
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n').map(line => line.split(' '))
  const counting = new Set(lines.flatMap(([what, id]) => what === 'counts' && id !== undefined ? [id] : []))
  for (const id of counting) {
    const [from, to] = ['enter', 'leave'].map(what => lines.findIndex(line => line[0] === what && line[1] === id))
    const within = lines.slice(from, to).filter(([what, other = '']) => what === 'leave' && counting.has(other))
    t.strictSame(within, [], `nothing else that counts ends within ${id}`)
  }
  t.ok(counting.size >= 5 * (2 * MARKERS.length + 1), `${counting.size} sections`)
})

t.test('a member keeps its files young', async t => {
  const directory = await folder(t)
  const registry = new Election(directory)
  const server = createServer()
  await registry.enter(server)
  t.ok(await registry.claim(1))
  const old = new Date(0)
  const files = (await readdir(directory)).map(file => join(directory, file))
  t.ok(files.length >= 3)
  for (const file of files) await utimes(file, old, old)
  await registry.touch()
  for (const file of files) t.ok((await stat(file)).mtimeMs > Date.now() - 60_000, file)
  t.ok(registry.isIntact(1))
  server.close()
  await registry.leave()
})
