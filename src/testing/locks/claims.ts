import assert from 'node:assert/strict'
import type { Lock } from '../../locks/contract.js'
import { ask, held, heldShared, type LockCase, PATIENT } from './contender.js'

/** What holders hear of requests that wait. */
export const CLAIM_CASES: readonly LockCase[] = [
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
  }]
]
