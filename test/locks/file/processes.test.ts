import type { ChildProcess } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { LockRequest } from '../../../src/locks/contract.js'
import { fileLocks } from '../../../src/locks/file/index.js'
import { once } from '../../support/deadline.js'
import type { LockCommand, LockEvent } from '../../support/lock-process.js'
import { endProgram, startProgram } from '../../support/program.js'

const SCRIPT = fileURLToPath(new URL('../../support/lock-process.ts', import.meta.url))

/** A server of its own on the folder of locks. */
class LockProcess {
  readonly #child: ChildProcess
  readonly #counts = new Map<string, number>()

  constructor (directory: string) {
    this.#child = startProgram(SCRIPT, [directory])
    this.#child.on('message', ({ type, name }: LockEvent) => {
      this.#counts.set(`${type} ${name}`, this.count(type, name) + 1)
    })
  }

  get pid (): number {
    return this.#child.pid ?? 0
  }

  send (command: LockCommand): void {
    this.#child.send(command)
  }

  acquire (name: string, request: Partial<Pick<LockRequest, 'mode' | 'claim'>> = {}): void {
    this.send({ type: 'acquire', name, key: 'key', mode: 'exclusive', claim: 'wait', ...request })
  }

  has (type: LockEvent['type'], name: string): boolean {
    return this.count(type, name) > 0
  }

  count (type: LockEvent['type'], name: string): number {
    return this.#counts.get(`${type} ${name}`) ?? 0
  }

  async heard (type: LockEvent['type'], name: string, times = 1): Promise<void> {
    while (this.count(type, name) < times) await once(this.#child, 'message')
  }

  async kill (): Promise<void> {
    await endProgram(this.#child)
  }
}

async function folder (test: { teardown(end: () => Promise<void>): unknown }): Promise<{ directory: string, start: () => LockProcess }> {
  const directory = await mkdtemp(join(tmpdir(), 'locks-'))
  const started: LockProcess[] = []
  test.teardown(async () => {
    for (const process of started) await process.kill()
    await rm(directory, { recursive: true })
  })
  return {
    directory,
    start: () => {
      const process = new LockProcess(join(directory, 'locks'))
      started.push(process)
      return process
    }
  }
}

t.test('a lock of a killed process goes to the next waiter at once, whichever process decided before', async t => {
  for (const holderDecides of [true, false]) {
    const { start } = await folder(t)
    const [first, second] = [start(), start()]
    first.acquire('warm-up')
    await first.heard('granted', 'warm-up')
    first.send({ type: 'release', name: 'warm-up' })
    const [holder, waiter] = holderDecides ? [first, second] : [second, first]
    holder.acquire('held')
    await holder.heard('granted', 'held')
    waiter.acquire('next', { claim: 'yield' })
    await holder.heard('claim', 'held')
    t.notOk(waiter.has('granted', 'next'))
    await holder.kill()
    await waiter.heard('granted', 'next')
  }
})

t.test('when the deciding process is killed, holders keep their locks and waiters their wish', async t => {
  const { start } = await folder(t)
  const [arbiter, holder, reader, waiter] = [start(), start(), start(), start()]
  arbiter.acquire('own')
  await arbiter.heard('granted', 'own')
  arbiter.send({ type: 'release', name: 'own' })
  for (const [process, name] of [[holder, 'a'], [reader, 'b']] as const) {
    process.acquire(name, { mode: 'shared' })
    await process.heard('granted', name)
  }
  waiter.acquire('next', { claim: 'stop' })
  await Promise.all([holder.heard('claim', 'a'), reader.heard('claim', 'b')])
  await arbiter.kill()
  // The waiter's claim comes anew from the one who decides now: so that one knows all three.
  await Promise.all([holder.heard('claim', 'a', 2), reader.heard('claim', 'b', 2)])
  const newcomer = start()
  newcomer.acquire('late', { claim: 'yield' })
  await Promise.all([holder.heard('claim', 'a', 3), reader.heard('claim', 'b', 3)])
  t.notOk(waiter.has('granted', 'next'))
  holder.send({ type: 'release', name: 'a' })
  reader.send({ type: 'release', name: 'b' })
  await waiter.heard('granted', 'next')
  t.notOk(newcomer.has('granted', 'late'))
  waiter.send({ type: 'release', name: 'next' })
  await newcomer.heard('granted', 'late')
})

t.test('a folder full of killed processes is no obstacle and is tidied up', async t => {
  const { directory, start } = await folder(t)
  const processes = [start(), start(), start()]
  processes.forEach((process, number) => process.acquire(`lock${number}`, { mode: 'shared' }))
  await Promise.all(processes.map((process, number) => process.heard('granted', `lock${number}`)))
  await Promise.all(processes.map(process => process.kill()))
  const locks = fileLocks({ directory: join(directory, 'locks') })
  await (await locks.acquire('key', { mode: 'exclusive', claim: 'wait', timeout: 60_000, onClaim: () => {} })).release()
  t.equal((await readdir(join(directory, 'locks'))).filter(name => name.endsWith('.member')).length, 1)
  await locks.close?.()
  t.same((await readdir(join(directory, 'locks'))).filter(name => !name.endsWith('.arbiter')), [])
})

t.test('two are never inside at once while processes are killed at random', async t => {
  const { directory, start } = await folder(t)
  const log = join(directory, 'log')
  const killed = new Set<string>()
  const processes: LockProcess[] = []
  const add = () => {
    const process = start()
    process.send({ type: 'contend', key: 'key', log })
    processes.push(process)
    return process
  }
  for (let number = 0; number < 3; number++) add()
  for (let round = 0; round < 5; round++) {
    const newest = processes.at(-1)
    await newest?.heard('left', String(newest.pid), 5 + Math.floor(Math.random() * 20))
    const [victim] = processes.splice(Math.floor(Math.random() * processes.length), 1)
    killed.add(String(victim?.pid))
    await victim?.kill()
    add()
  }
  const newest = processes.at(-1)
  await newest?.heard('left', String(newest.pid), 5)
  for (const process of processes) {
    killed.add(String(process.pid))
    await process.kill()
  }

  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n').filter(line => !line.startsWith('counts'))
  let inside: string | undefined
  for (const [number, line] of lines.entries()) {
    const [what, section = ''] = line.split(' ')
    const [pid = ''] = section.split('.')
    if (what === 'enter') {
      if (inside !== undefined && !killed.has(inside)) t.fail(`line ${number}: ${pid} entered while ${inside} was inside`)
      inside = pid
    } else {
      if (inside !== pid) t.fail(`line ${number}: ${pid} left, but ${inside} was inside`)
      inside = undefined
    }
  }
  t.ok(lines.length > 200, `${lines.length} lines`)
})
