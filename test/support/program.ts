import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { childEnv, endWithParent } from './child-env.js'
import { once, within } from './deadline.js'

const runTypescript = `--import=${new URL('./typescript.mjs', import.meta.url).href}`

export type Program = ChildProcess & { readonly stdout: Readable }

export interface ProgramOptions {
  /** Command that runs node, given to it as arguments: for a mount or a limit of its own. It has to become node, by `exec`. */
  readonly shell?: readonly string[]
  /** Added to {@link childEnv}. */
  readonly env?: NodeJS.ProcessEnv
  /** Argument of node for what it loads first; default: what runs TypeScript. */
  readonly loader?: string
  /** Default: `inherit`. */
  readonly stderr?: 'inherit' | 'pipe'
}

/**
 * The command that runs `file` with node, in an environment such as {@link childEnv}. The test runner adds its own loader to NODE_OPTIONS
 * of every child, which doubles the time of a start, so that node gets none.
 */
export function nodeCommand (
  file: string, args: readonly string[] = [], { shell = [], loader = runTypescript }: ProgramOptions = {}
): readonly [command: string, ...args: string[]] {
  const [command, ...rest] = [...shell, 'env', '-u', 'NODE_OPTIONS', process.execPath, endWithParent]
  return [command ?? 'env', ...rest, ...file.endsWith('.mjs') ? [] : [loader], file, ...args]
}

/** Runs `file` with node in a process of its own that ends with this one. Both may send messages; its output can be read. */
export function startProgram (file: string, args: readonly string[] = [], options: ProgramOptions = {}): Program {
  const [command, ...rest] = nodeCommand(file, args, options)
  const program = spawn(command, rest, {
    env: { ...childEnv, ...options.env }, stdio: ['ignore', 'pipe', options.stderr ?? 'inherit', 'ipc']
  })
  const { stdout } = program
  if (stdout === null) throw new Error('a pipe was asked for')
  return Object.assign(program, { stdout })
}

/**
 * What `pattern` finds in the first line of a program's output that it matches.
 * @param onOther gets each other line, before and after
 * @throws when the program ends before
 */
export async function lineOf (
  program: Program, pattern: RegExp, onOther: (line: string) => void = () => {}
): Promise<RegExpExecArray> {
  const lines = createInterface({ input: program.stdout })
  const found = new Promise<RegExpExecArray>((resolve, reject) => {
    let wanted = true
    program.once('exit', () => { reject(new Error('the program ended before it said what was waited for')) })
    lines.on('line', line => {
      const match = wanted ? pattern.exec(line) : null
      if (match === null) return onOther(line)
      wanted = false
      resolve(match)
    })
  })
  return await within(found, `a line with ${String(pattern)}`)
}

/** Ends a program, unless it has ended. @returns its exit code, null for one that a signal has ended */
export async function endProgram (program: ChildProcess | undefined, signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
  if (program === undefined || program.exitCode !== null || program.signalCode !== null) return program?.exitCode ?? null
  const exit = once(program, 'exit')
  program.kill(signal)
  const [code] = await exit
  return code
}
