import childProcess from 'node:child_process'
import { promisify } from 'node:util'
import { DEADLINE } from './deadline.js'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Of what it prints; default: `utf8`. */
  readonly encoding?: BufferEncoding
  /** Milliseconds; default: {@link DEADLINE}. */
  readonly timeout?: number
}

export interface Output {
  readonly stdout: string
  readonly stderr: string
}

const limits = { encoding: 'utf8', timeout: DEADLINE, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 } as const

/** Runs a program to its end. @throws when it fails, or has not ended at the deadline */
export async function run (program: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  return await promisify(childProcess.execFile)(program, args, { ...limits, ...options })
}

/** The same without giving way to anything else. @returns what it printed */
export function runSync (program: string, args: readonly string[], options: RunOptions = {}): string {
  return childProcess.execFileSync(program, args, { ...limits, ...options })
}

/** Runs a program that may fail or be killed, and tells how it ended. */
export function endOf (
  program: string, args: readonly string[], options: RunOptions = {}
): Output & { readonly status: number | null, readonly signal: NodeJS.Signals | null } {
  return childProcess.spawnSync(program, args, { ...limits, ...options })
}
