import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { UploadBusy } from '../../errors.js'
import { ask, held, type LockCase } from './contender.js'

/** How waiting ends without the lock: by time, or because it is no longer wanted. */
export const WAITING_CASES: readonly LockCase[] = [
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
  }]
]
