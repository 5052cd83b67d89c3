import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

/** A call of `node:fs`, with a callback or a promise, or of a `FileHandle`: `write`, `fdatasync`, `mkdir`, `datasync` … */
export interface DiskCall {
  readonly name: string
  readonly args: readonly unknown[]
}

export interface DiskFaults {
  /**
   * ms: a call begins and ends late, by a random time of at most so many together, so that calls end in any order. A function says so of
   * each call. @default 0
   */
  readonly delay?: number | ((call: DiskCall) => number)
  /** Share of the reads and writes, from 0 to 1, that do only a part of their work, as systems may. @default 0 */
  readonly short?: number
  /** Called before each call: with the code that it returns, such as `ENOSPC`, or the error, the call fails. */
  readonly fail?: (call: DiskCall) => string | Error | undefined
  /** Numbers from 0 to below 1. @default Math.random */
  readonly random?: () => number
}

type Call = (...args: unknown[]) => unknown

/** Calls that read, write, or change what is on the disk. Those that only look are left alone. */
const CALLS = [
  'read', 'readv', 'write', 'writev', 'fsync', 'fdatasync', 'ftruncate', 'truncate', 'open', 'close', 'mkdir', 'rmdir', 'rm', 'rename',
  'link', 'symlink', 'unlink', 'copyFile', 'writeFile', 'appendFile'
]
const HANDLE_CALLS = ['read', 'readv', 'write', 'writev', 'sync', 'datasync', 'truncate', 'close', 'writeFile', 'appendFile']

/**
 * Runs `work` while the disk of this process is slow and unreliable: memory that is handed to a write is read late, writes end out of
 * order, do less than they were asked for, or fail. It reaches code that asks `fs` or `fs.promises` for a function when it calls it, or
 * imported it by its name; functions that were put aside before (by `promisify`, for instance) and the `…Sync` ones are left alone.
 */
export async function withDiskFaults<T> (faults: DiskFaults, work: () => Promise<T>): Promise<T> {
  const undo = [
    ...CALLS.map(name => replace(fs, name, original => withCallback(name, original, faults))),
    ...CALLS.map(name => replace(fs.promises, name, original => withPromise(name, original, faults)))
  ]
  syncBuiltinESMExports()
  try {
    return await work()
  } finally {
    for (const restore of undo.reverse()) restore()
    syncBuiltinESMExports()
  }
}

function replace (holder: object, name: string, wrap: (original: Call) => Call): () => void {
  const original: unknown = Reflect.get(holder, name)
  if (!isCall(original)) return () => {}
  const wrapped = wrap(original)
  // What promisify makes of it.
  for (const key of Object.getOwnPropertySymbols(original)) Object.defineProperty(wrapped, key, { value: Reflect.get(original, key) })
  Reflect.set(holder, name, wrapped)
  return () => { Reflect.set(holder, name, original) }
}

function isCall (value: unknown): value is Call {
  return typeof value === 'function'
}

function withCallback (name: string, original: Call, faults: DiskFaults): Call {
  return (...args) => {
    const done = args.pop()
    if (!isCall(done)) return original(...args, done)
    const [before, after] = delays({ name, args }, faults)
    const finish = (...results: unknown[]): void => { later(after, () => { done(...results) }) }
    later(before, () => {
      const error = failure(name, args, faults)
      if (error === undefined) original(...shortened(name, args, 1, faults), finish)
      else finish(error)
    })
  }
}

function withPromise (name: string, original: Call, faults: DiskFaults): Call {
  return async function (this: unknown, ...args) {
    const [before, after] = delays({ name, args }, faults)
    if (before > 0) await sleep(before)
    const error = failure(name, args, faults)
    if (error !== undefined) throw error
    const result = await Reflect.apply(original, this, shortened(name, args, 0, faults))
    if (after > 0) await sleep(after)
    if (name === 'open' && typeof result === 'object' && result !== null) {
      for (const call of HANDLE_CALLS) replace(result, call, wrapped => withPromise(call, wrapped, faults))
    }
    return result
  }
}

function later (ms: number, work: () => void): void {
  if (ms > 0) setTimeout(work, ms)
  else work()
}

/** Some of the time before the call, some after it. */
function delays (call: DiskCall, { delay = 0, random = Math.random }: DiskFaults): [before: number, after: number] {
  const all = (typeof delay === 'number' ? delay : delay(call)) * random()
  const before = all * random()
  return [before, all - before]
}

function failure (name: string, args: readonly unknown[], { fail }: DiskFaults): Error | undefined {
  const cause = fail?.({ name, args })
  return typeof cause === 'string' ? Object.assign(new Error(`${cause}: ${name}, on purpose`), { code: cause, syscall: name }) : cause
}

/** The arguments of a call that does a part of its work. `first` is where its buffers are. */
function shortened (
  name: string, args: readonly unknown[], first: number, { short = 0, random = Math.random }: DiskFaults
): readonly unknown[] {
  const [buffers, offset, length] = args.slice(first)
  if (short === 0 || random() >= short) return args
  if (name === 'writev' && Array.isArray(buffers)) {
    return [...args.slice(0, first), firstBytes(buffers, random), ...args.slice(first + 1)]
  }
  if ((name !== 'read' && name !== 'write') || typeof offset !== 'number' || typeof length !== 'number' || length < 2) return args
  return [...args.slice(0, first + 2), 1 + Math.floor(random() * (length - 1)), ...args.slice(first + 3)]
}

function firstBytes (buffers: readonly Uint8Array[], random: () => number): readonly Uint8Array[] {
  const bytes = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0)
  let left = 1 + Math.floor(random() * (bytes - 1))
  return buffers.flatMap(buffer => {
    const part = buffer.subarray(0, left)
    left -= part.byteLength
    return part.byteLength > 0 ? [part] : []
  })
}
