import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { once } from './deadline.js'
import type { LockCommand, LockEvent } from './lock-process.js'
import { endProgram, startProgram } from './program.js'

const SCRIPT = fileURLToPath(new URL('./lock-process.ts', import.meta.url))

export interface Contenders {
  /** Resolves after so many more sections that count, of all of them together. */
  entered (sections: number): Promise<void>
  kill (): Promise<void>
}

/** Processes that take and give back one lock until they are killed. */
export function startContenders (t: Pick<Test, 'teardown'>, directory: string, log: string, count: number): Contenders {
  const told = new EventEmitter()
  const children = Array.from({ length: count }, (): ChildProcess => {
    const child = startProgram(SCRIPT, [directory])
    child.on('message', ({ type }: LockEvent) => {
      if (type === 'left') told.emit('left')
    })
    child.send({ type: 'contend', key: 'key', log } satisfies LockCommand)
    return child
  })
  const kill = async (): Promise<void> => {
    await Promise.all(children.map(async child => await endProgram(child)))
  }
  t.teardown(kill)
  return {
    kill,
    entered: async sections => {
      for (let number = 0; number < sections; number++) await once(told, 'left')
    }
  }
}
