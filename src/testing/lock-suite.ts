import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { UploadBusy } from '../errors.js'
import type { Lock, LockRequest, Locks } from '../locks/contract.js'
import type { TestFunction } from './test-function.js'

/** What {@link lockSuite} tests: fresh for each test. */
export interface LocksUnderTest {
  readonly locks: Locks
  /** Opens a second instance on the same keys, as a second server would; `dispose` ends it too. */
  another?(): Promise<Locks>
  dispose(): Promise<void>
}

/** ms: far more than any test needs. The tests wait for events, never for time. */
const PATIENCE = 20_000

/**
 * The contract of {@link Locks}, sentence by sentence, each test declared through `test`. Where `another` is given, every
 * test does all once more with its requests spread over two instances.
 */
export function lockSuite (test: TestFunction, make: () => Promise<LocksUnderTest>): void {
  for (const [name, run] of CASES) {
    test(`locks: ${name}`, async () => {
      let several = false
      await withLocks(make, async subject => {
        several = subject.another !== undefined
        await run(subject.locks, subject.locks)
      })
      if (!several) return
      await withLocks(make, async subject => {
        if (subject.another !== undefined) await run(subject.locks, await subject.another())
      })
    })
  }
}

/** One test: requests go to `a` and `b`, which are one instance or two on the same keys. */
type Case = readonly [name: string, run: (a: Locks, b: Locks) => Promise<void>]

const CASES: readonly Case[] = [
  ['an exclusive holder keeps others out until it releases', async (a, b) => {
    for (const mode of ['exclusive', 'shared'] as const) {
      const holder = await held(a, mode)
      const other = ask(b, mode, { mode, claim: 'yield' })
      await holder.told('yield')
      assert.equal(other.lock, undefined)
      await holder.release()
      await (await other.granted).release()
    }
  }],
  ['shared holders keep an exclusive request out until the last of them releases', async (a, b) => {
    const holders = [await heldShared(a, 'key'), await heldShared(b, 'key'), await heldShared(a, 'key')]
    const other = ask(b, 'key', { claim: 'yield' })
    for (const holder of holders) {
      await holder.told('yield')
      assert.equal(other.lock, undefined)
      await holder.release()
    }
    await other.granted
  }],
  ['waiters are served in the order in which they came', async (a, b) => {
    const holder = await held(a, 'key')
    const order: number[] = []
    const waiters: Contender[] = []
    for (let number = 0; number < 6; number++) {
      const waiter = ask(number % 2 === 0 ? b : a, 'key', { claim: 'yield' })
      await holder.told('yield', number + 1)
      waiters.push(waiter)
    }
    const served = waiters.map(async (waiter, number) => {
      const lock = await waiter.granted
      order.push(number)
      await lock.release()
    })
    await holder.release()
    await Promise.all(served)
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5])
  }],
  ['a shared request waits behind an exclusive one that came before it', async (a, b) => {
    const reader = await held(a, 'key', { mode: 'shared' })
    const writer = ask(b, 'key', { claim: 'yield' })
    await reader.told('yield')
    await assert.rejects(ask(a, 'key', { mode: 'shared', timeout: 0 }).granted, UploadBusy)
    const late = ask(a, 'key', { mode: 'shared', claim: 'stop' })
    await reader.told('stop')
    await reader.release()
    const lock = await writer.granted
    assert.equal(late.lock, undefined)
    await lock.release()
    await late.granted
  }],
  ['shared requests that wait behind an exclusive holder get the lock together', async (a, b) => {
    const writer = await held(a, 'key')
    const readers = [ask(a, 'key', { mode: 'shared' }), ask(b, 'key', { mode: 'shared' }), ask(b, 'key', { mode: 'shared' })]
    await writer.release()
    // None of them releases: each can only have it beside the others.
    await Promise.all(readers.map(reader => reader.granted))
  }],
  ['a claim reaches every holder', async (a, b) => {
    const holders = [await heldShared(a, 'key'), await heldShared(b, 'key'), await heldShared(b, 'key')]
    ask(a, 'key', { claim: 'yield' })
    for (const holder of holders) await holder.told('yield')
    ask(b, 'key', { claim: 'stop' })
    for (const holder of holders) await holder.told('stop')
    assert.deepEqual(holders.map(holder => holder.claims), Array(3).fill(['yield', 'stop']))
  }],
  ['a request that only waits tells the holder nothing', async (a, b) => {
    const holder = await held(a, 'key')
    const silent = ask(b, 'key', { claim: 'wait' })
    ask(b, 'key', { claim: 'yield' })
    await holder.told('yield')
    assert.deepEqual(holder.claims, ['yield'])
    await holder.release()
    await silent.granted
  }],
  ['who gets the lock while others wait with claims is told the strongest of them', async (a, b) => {
    const holder = await held(a, 'key')
    const next = ask(b, 'key', { claim: 'yield' })
    await holder.told('yield')
    ask(a, 'key', { claim: 'stop' })
    await holder.told('stop')
    ask(b, 'key', { claim: 'yield' })
    await holder.told('yield', 2)
    await holder.release()
    await next.granted
    await next.told('stop')
  }],
  ['time-out 0 takes a free lock', async (a, b) => {
    await (await ask(a, 'key', { timeout: 0 }).granted).release()
    await ask(b, 'key', { timeout: 0, mode: 'shared' }).granted
    await ask(a, 'key', { timeout: 0, mode: 'shared' }).granted
  }],
  ['time-out 0 fails at a taken lock and tells nobody', async (a, b) => {
    const holder = await held(a, 'key')
    await assert.rejects(ask(b, 'key', { timeout: 0, claim: 'stop' }).granted, UploadBusy)
    ask(b, 'key', { claim: 'yield' })
    await holder.told('yield')
    assert.deepEqual(holder.claims, ['yield'])
  }],
  ['a waiter whose time is over fails and leaves the queue', async (a, b) => {
    const holder = await held(a, 'key')
    await assert.rejects(ask(b, 'key', { timeout: 20 }).granted, UploadBusy)
    await holder.release()
    await ask(a, 'key').granted
  }],
  ['a time-out longer than timers can take is no short one', async (a, b) => {
    const holder = await held(a, 'key')
    const waiters = [ask(b, 'key', { timeout: 2 ** 40, claim: 'yield' }), ask(b, 'key', { timeout: Infinity, claim: 'stop' })]
    await holder.told('stop')
    await sleep(20)
    await holder.release()
    for (const waiter of waiters) await (await waiter.granted).release()
  }],
  ['a waiter whose signal aborts fails and leaves the queue', async (a, b) => {
    const holder = await held(a, 'key')
    const caller = new AbortController()
    const waiter = ask(b, 'key', { signal: caller.signal, claim: 'yield' })
    await holder.told('yield')
    caller.abort()
    await assert.rejects(waiter.granted, UploadBusy)
    await holder.release()
    await ask(a, 'key').granted
  }],
  ['a request whose signal has aborted before fails, also at a free lock', async (a, b) => {
    await assert.rejects(ask(a, 'key', { signal: AbortSignal.abort() }).granted, UploadBusy)
    await ask(b, 'key').granted
  }],
  ['a signal that aborts after the lock was had changes nothing', async (a, b) => {
    const caller = new AbortController()
    await held(a, 'key', { signal: caller.signal })
    caller.abort()
    await assert.rejects(ask(b, 'key', { timeout: 0 }).granted, UploadBusy)
  }],
  ['an exclusive waiter that gives up lets the shared ones behind it pass', async (a, b) => {
    const reader = await held(a, 'key', { mode: 'shared' })
    const caller = new AbortController()
    const writer = ask(b, 'key', { signal: caller.signal, claim: 'yield' })
    await reader.told('yield')
    const late = ask(a, 'key', { mode: 'shared', claim: 'stop' })
    await reader.told('stop')
    caller.abort()
    await assert.rejects(writer.granted, UploadBusy)
    await late.granted
  }],
  ['releasing twice frees nothing that another holds by then', async (a, b) => {
    const first = await held(a, 'key')
    await Promise.all([first.release(), first.release()])
    await held(b, 'key')
    await first.release()
    await assert.rejects(ask(a, 'key', { timeout: 0 }).granted, UploadBusy)
  }],
  ['a holder is told nothing after it released', async (a, b) => {
    const former = await held(a, 'key')
    await former.release()
    const holder = await held(b, 'key')
    ask(a, 'key', { claim: 'stop' })
    await holder.told('stop')
    assert.deepEqual(former.claims, [])
  }],
  ['a holder may release inside onClaim', async (a, b) => {
    const lock: Lock = await a.acquire('key', { ...PATIENT, onClaim: () => { lock.release().catch(() => {}) } })
    await ask(b, 'key', { claim: 'yield' }).granted
  }],
  ['what onClaim throws breaks nothing', async (a, b) => {
    let told = () => {}
    const called = new Promise<void>(resolve => { told = resolve })
    const onClaim = () => {
      told()
      throw new Error('faulty holder')
    }
    const lock = await a.acquire('key', { ...PATIENT, onClaim })
    const waiter = ask(b, 'key', { claim: 'stop' })
    await called
    await lock.release()
    await waiter.granted
  }],
  ['keys are any strings and have nothing to do with each other', async (a, b) => {
    const keys = ['', ' ', 'a', 'A', '__proto__', 'constructor', '../escape', 'a/b\\c', 'line\nbreak', 'nul\0', 'ü€😀', 'long'.repeat(500)]
    await Promise.all(keys.map((key, index) => ask(index % 2 === 0 ? a : b, key).granted))
    await Promise.all(keys.map(async (key, index) => {
      await assert.rejects(ask(index % 3 === 0 ? a : b, key, { timeout: 0 }).granted, UploadBusy)
    }))
  }],
  ['nobody is ever beside an exclusive holder', async (a, b) => {
    let inside = { exclusive: 0, shared: 0 }
    let entered = 0
    await Promise.all(Array.from({ length: 60 }, async (_, number) => {
      const mode = number % 3 === 0 ? 'shared' : 'exclusive'
      const lock = await ask(number % 2 === 0 ? a : b, 'key', { mode, claim: 'yield' }).granted
      inside = { ...inside, [mode]: inside[mode] + 1 }
      entered++
      assert.ok(inside.exclusive === 0 || (inside.exclusive === 1 && inside.shared === 0), JSON.stringify(inside))
      await nextTurn()
      inside = { ...inside, [mode]: inside[mode] - 1 }
      await lock.release()
    }))
    assert.equal(entered, 60)
  }],
  ['a thousand waiters rest until it is their turn', async (a, b) => {
    const holder = await held(a, 'key')
    const order: number[] = []
    const waiters = Array.from({ length: 1000 }, async (_, number) => {
      const lock = await ask(b, 'key', { claim: 'yield' }).granted
      order.push(number)
      await lock.release()
    })
    await holder.told('yield', 1000)
    // Whoever polls makes timers or requests while nothing happens.
    let made = 0
    const hook = createHook({ init: (_, type) => { if (!['PROMISE', 'TickObject', 'Microtask'].includes(type)) made++ } })
    hook.enable()
    await sleep(100)
    hook.disable()
    assert.ok(made < 1000, `${made} timers, requests or the like while all were waiting`)
    await holder.release()
    await Promise.all(waiters)
    assert.deepEqual(order, Array.from({ length: 1000 }, (_, number) => number))
  }]
]

const PATIENT = { mode: 'exclusive', claim: 'wait', timeout: PATIENCE, onClaim: () => {} } as const satisfies LockRequest

/** One request for a lock, and what it heard. */
interface Contender {
  readonly granted: Promise<Lock>
  /** Undefined until granted. */
  lock: Lock | undefined
  readonly claims: string[]
  /** Resolves once the claim has come `times` times. */
  told (claim: string, times?: number): Promise<void>
  release (): Promise<void>
}

function ask (locks: Locks, key: string, request: Partial<LockRequest> = {}): Contender {
  const claims: string[] = []
  const listeners = new Set<() => void>()
  const granted = locks.acquire(key, {
    ...PATIENT,
    ...request,
    onClaim: claim => {
      claims.push(claim)
      for (const listener of [...listeners]) listener()
    }
  })
  const contender: Contender = {
    granted,
    lock: undefined,
    claims,
    told: (claim, times = 1) => new Promise(resolve => {
      const look = () => {
        if (claims.filter(heard => heard === claim).length < times) return
        listeners.delete(look)
        resolve()
      }
      listeners.add(look)
      look()
    }),
    release: async () => { await (await granted).release() }
  }
  granted.then(lock => { contender.lock = lock }, () => {})
  return contender
}

async function held (locks: Locks, key: string, request: Partial<LockRequest> = {}): Promise<Contender> {
  const contender = ask(locks, key, request)
  await contender.granted
  return contender
}

function heldShared (locks: Locks, key: string): Promise<Contender> {
  return held(locks, key, { mode: 'shared' })
}

async function withLocks (
  make: () => Promise<LocksUnderTest>, run: (subject: LocksUnderTest) => Promise<void>
): Promise<void> {
  const subject = await make()
  let overdue: NodeJS.Timeout | undefined
  try {
    // The timer also keeps the process alive, which waiting for a lock need not do.
    const patience = new Promise<never>((_resolve, reject) => {
      overdue = setTimeout(() => reject(new Error('a lock was not granted, or a claim was not passed on')), PATIENCE)
    })
    await Promise.race([run(subject), patience])
  } finally {
    clearTimeout(overdue)
    await subject.dispose()
  }
}
