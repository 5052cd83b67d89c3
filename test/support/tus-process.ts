import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { endProgram, lineOf, type Program, startProgram } from './program.js'

const program = fileURLToPath(new URL('./tus-server.ts', import.meta.url))

/** A server in a process of its own that is killed and started again, with the same directory and port. */
export class TusProcess {
  readonly #directory: string
  #child: Program | undefined
  /** Where uploads are created. */
  endpoint = ''

  constructor (t: Pick<Test, 'teardown'>, directory: string) {
    this.#directory = directory
    t.teardown(async () => { await this.kill() })
  }

  async start (): Promise<void> {
    const port = this.endpoint === '' ? '0' : new URL(this.endpoint).port
    this.#child = startProgram(program, [this.#directory, port])
    const [url] = await lineOf(this.#child, /^http:.*/)
    this.endpoint = `${url}/files`
  }

  /** kill -9; resolves when the process is gone. */
  async kill (): Promise<void> {
    await endProgram(this.#child)
  }
}
