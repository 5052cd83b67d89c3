import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { childEnv } from './child-env.js'
import { once } from './deadline.js'

const program = fileURLToPath(new URL('./tus-server.ts', import.meta.url))

/** A server in a process of its own that is killed and started again, with the same directory and port. */
export class TusProcess {
  readonly #directory: string
  #child: ChildProcess | undefined
  /** Where uploads are created. */
  endpoint = ''

  constructor (t: Pick<Test, 'teardown'>, directory: string) {
    this.#directory = directory
    t.teardown(async () => { await this.kill() })
  }

  async start (): Promise<void> {
    const port = this.endpoint === '' ? '0' : new URL(this.endpoint).port
    const child = spawn(process.execPath, ['--import', 'tsx', program, this.#directory, port], {
      env: childEnv, stdio: ['ignore', 'pipe', 'inherit']
    })
    this.#child = child
    const [url] = await once(createInterface(child.stdout), 'line')
    this.endpoint = `${url}/files`
  }

  /** kill -9; resolves when the process is gone. */
  async kill (): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
}
