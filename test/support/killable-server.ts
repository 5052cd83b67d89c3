import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { within } from './deadline.js'
import { endProgram, lineOf, startProgram } from './program.js'

const plainServer = fileURLToPath(new URL('./plain-server.mjs', import.meta.url))

interface Gate {
  readonly promise: Promise<void>
  resolve (): void
}

function gate (): Gate {
  let resolve = (): void => {}
  const promise = new Promise<void>(_resolve => { resolve = _resolve })
  return { promise, resolve: () => { resolve() } }
}

/** A server in a process of its own, on the built package, that can be killed and started again on the same directory. */
export class KillableServer {
  readonly #directory: string
  readonly #options: string
  #child: ChildProcess | undefined
  #up = gate()
  port = 0
  /** Aborts soon after the death of the server that runs now: a request to it is not answered any more. */
  gone: NonNullable<RequestInit['signal']> = new AbortController().signal
  /** Everything that the server wrote to its log (warnings and errors). */
  log = ''

  readonly #shell: readonly string[]
  readonly #program: string

  /**
   * @param shell command that runs the server, given to it as arguments: for a mount or a limit of its own
   * @param program another server, which takes the same arguments
   */
  constructor (
    directory: string, options: Readonly<Record<string, unknown>> = {}, shell: readonly string[] = [], program = plainServer
  ) {
    this.#directory = directory
    this.#shell = shell
    this.#program = program
    this.#options = JSON.stringify(options)
  }

  get url (): string {
    return `http://127.0.0.1:${this.port}/uploads/`
  }

  /** Of the process that runs now. */
  get pid (): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('no server runs')
    return pid
  }

  /** Resolves once the server answers, also one that is about to be started again. */
  get up (): Promise<void> {
    return within(this.#up.promise, 'the start of a server')
  }

  async start (): Promise<void> {
    const args = [this.#directory, '0', this.#options]
    const child = startProgram(this.#program, args, { shell: this.#shell, stderr: 'pipe' })
    this.#child = child
    const gone = new AbortController()
    this.gone = gone.signal
    // What it answered before is read first.
    child.once('exit', () => { setTimeout(() => { gone.abort(new Error('the server has died')) }, 1000).unref() })
    child.stderr?.on('data', (data: Buffer) => { this.log += data.toString() })
    try {
      const [port] = await lineOf(child, /^\d+$/, line => { this.log += `${line}\n` })
      this.port = Number(port)
    } catch (cause) {
      throw new Error(`the server did not start: ${this.log}`, { cause })
    }
    this.#up.resolve()
  }

  /** kill -9; resolves when the process is gone. */
  async kill (): Promise<void> {
    this.#up = gate()
    await endProgram(this.#child)
  }

  /** Ends it in the orderly way. */
  async stop (): Promise<void> {
    await endProgram(this.#child, 'SIGTERM')
  }
}
