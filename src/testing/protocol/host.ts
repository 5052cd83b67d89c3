import type { IncomingHttpHeaders } from 'node:http'
import * as errors from '../../errors.js'

/** Names the user of a request in {@link protocolSuite}. */
export const USER_HEADER = 'x-test-user'

interface Reply {
  code (status: number): { send (body: unknown): unknown }
}

/** The host app's part: what the server of a protocol under test is made with. */
export class ProtocolHost {
  /** What the host says of each user from now on, instead of who it is. */
  failure: Error | undefined
  /** Errors of the package that the protocol left to the host's error handler. */
  readonly unworded: string[] = []

  /** The plugin's option `user`. */
  readonly user = ({ headers }: { readonly headers: IncomingHttpHeaders }): string | null => {
    if (this.failure !== undefined) throw this.failure
    const user = headers[USER_HEADER]
    return typeof user === 'string' ? user : null
  }

  /** For `app.setErrorHandler`. */
  readonly errorHandler = (error: unknown, _request: unknown, reply: Reply): void => {
    const { code, message } = Object(error)
    this.unworded.push(`${String(code)}: ${String(message)}`)
    reply.code(500).send({ host: true })
  }
}

/** One error of each kind that a request may meet. */
export function requestErrors (): readonly Error[] {
  const made: Error[] = []
  for (const [name, kind] of Object.entries(errors)) {
    if (['InvalidOption', 'NameTaken', 'RouteTaken', 'DirectoryUnusable'].includes(name)) continue
    const error: unknown = Reflect.construct(kind, [1, 2, 3])
    if (error instanceof Error) made.push(error)
  }
  return made
}
