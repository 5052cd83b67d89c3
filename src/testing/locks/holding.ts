import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { UploadBusy } from '../../errors.js'
import { ask, type Contender, held, heldShared, type LockCase } from './contender.js'

/** Which requests hold a lock, together with which others, and which is next. */
export const HOLDING_CASES: readonly LockCase[] = [
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
  ['releasing twice frees nothing that another holds by then', async (a, b) => {
    const first = await held(a, 'key')
    await Promise.all([first.release(), first.release()])
    await held(b, 'key')
    await first.release()
    await assert.rejects(ask(a, 'key', { timeout: 0 }).granted, UploadBusy)
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
    // Polling makes timers or requests while nothing happens.
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
