import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { childEnv, endWithParent } from './child-env.js'
import { once, within } from './deadline.js'

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
    // The test runner adds its loader to every child's NODE_OPTIONS, which doubles the time of a start: a hundred of them are to come.
    const node = ['env', '-u', 'NODE_OPTIONS', process.execPath, endWithParent]
    const [command = '', ...args] = [...this.#shell, ...node, this.#program, this.#directory, '0', this.#options]
    const child = spawn(command, args, { env: childEnv, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const gone = new AbortController()
    this.gone = gone.signal
    // What it answered before is read first.
    child.once('exit', () => { setTimeout(() => { gone.abort(new Error('the server has died')) }, 1000).unref() })
    const port = new Promise<number>((resolve, reject) => {
      let line = ''
      child.stdout?.on('data', (data: Buffer) => {
        const text = data.toString()
        line += text
        this.log += text
        const port = /^(\d+)$/m.exec(line)?.[1]
        if (port !== undefined) resolve(Number(port))
      })
      child.stderr?.on('data', (data: Buffer) => { this.log += data.toString() })
      child.once('exit', () => { reject(new Error(`the server ended: ${this.log}`)) })
    })
    this.port = await within(port, 'the start of a server')
    this.#up.resolve()
  }

  /** kill -9; resolves when the process is gone. */
  async kill (): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    this.#up = gate()
    child.kill('SIGKILL')
    await gone
  }

  /** Ends it in the orderly way. */
  async stop (): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
  }
}
