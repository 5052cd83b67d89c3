import { spawn } from 'node:child_process'
import { JoinFailed } from '../protocols/raw-append/joiner.js'

export interface RunOptions {
  readonly signal: AbortSignal
  /** ms */
  readonly timeout: number
}

/** Bytes of output that are kept. */
const OUTPUT_BYTES = 1024 * 1024
const COMPLAINT_BYTES = 4096
/** What the system says when it is short of something: no fault of what the program was given. Some then end as if all were well. */
const TROUBLE = /No space left on device|Disk quota exceeded|File too large|Cannot allocate memory|Too many open files|Read-only file system/

/**
 * Runs a program to its end, without a shell.
 * @returns what it wrote to its standard output
 * @throws {JoinFailed} it ended with an error, or took too long
 * @throws the signal's reason, or why the program could not run or do its work
 */
export async function runProgram (program: string, args: readonly string[], { signal, timeout }: RunOptions): Promise<string> {
  signal.throwIfAborted()
  return await new Promise<string>((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C' }
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true, env })
    let output = ''
    let complaint = ''
    let late = false
    const end = (): void => { child.kill('SIGKILL') }
    const timer = setTimeout(() => {
      late = true
      end()
    }, timeout).unref()
    signal.addEventListener('abort', end, { once: true })
    child.stdout.on('data', (data: Buffer) => { if (output.length < OUTPUT_BYTES) output += data.toString() })
    child.stderr.on('data', (data: Buffer) => { complaint = (complaint + data.toString()).slice(-COMPLAINT_BYTES) })
    child.once('error', reject)
    child.once('close', (code, killedBy) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      if (signal.aborted) reject(signal.reason)
      else if (late) reject(new JoinFailed(`${program} took longer than ${timeout} ms`))
      else if (code === null) reject(new Error(`${program} was ended by ${killedBy}`))
      else if (TROUBLE.test(complaint)) reject(new Error(`${program} could not do its work: ${complaint.trim()}`))
      else if (code === 0) resolve(output)
      else reject(new JoinFailed(`${program} failed: ${complaint.trim()}`))
    })
  })
}
