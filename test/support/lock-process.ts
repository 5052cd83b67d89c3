import { appendFileSync } from 'node:fs'
import type { Lock, LockRequest } from '../../src/locks/contract.js'
import { fileLocks } from '../../src/locks/file/index.js'

/** What a test tells this process to do with locks on the folder of its first argument. */
export type LockCommand =
  | { readonly type: 'acquire', readonly name: string, readonly key: string } & Pick<LockRequest, 'mode' | 'claim'>
  | { readonly type: 'release', readonly name: string }
  /** Takes and gives back the lock until killed, and says in the log when it enters and leaves, and whether that counts. */
  | { readonly type: 'contend', readonly key: string, readonly log: string }

export type LockEvent =
  | { readonly type: 'granted' | 'failed' | 'left', readonly name: string }
  | { readonly type: 'claim', readonly name: string, readonly claim: string }

const [, , directory = ''] = process.argv
const locks = fileLocks({ directory })
const held = new Map<string, Lock>()
const say = (event: LockEvent) => { process.send?.(event) }

process.on('message', (command: LockCommand) => { obey(command).catch(() => process.exit(1)) })

async function obey (command: LockCommand): Promise<void> {
  if (command.type === 'contend') return await contend(command.key, command.log)
  const { name } = command
  if (command.type === 'release') return await held.get(name)?.release()
  const { key, mode, claim } = command
  try {
    held.set(name, await locks.acquire(key, { mode, claim, timeout: 60_000, onClaim: claim => say({ type: 'claim', name, claim }) }))
    say({ type: 'granted', name })
  } catch {
    say({ type: 'failed', name })
  }
}

async function contend (key: string, log: string): Promise<void> {
  for (let section = 0; ; section++) {
    const lock = await locks.acquire(key, { mode: 'exclusive', claim: 'yield', timeout: 60_000, onClaim: () => {} }).catch(() => undefined)
    if (lock === undefined) continue
    const id = `${process.pid}.${section}`
    appendFileSync(log, `enter ${id}\n`)
    await new Promise(resolve => setImmediate(resolve))
    appendFileSync(log, `leave ${id}\n`)
    // As the engine: what was done counts if the lock is still held after it.
    const counts = lock.held?.() !== false
    if (counts) appendFileSync(log, `counts ${id}\n`)
    await lock.release()
    if (counts) say({ type: 'left', name: String(process.pid) })
  }
}
