import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'

/**
 * Answers `Expect: 100-continue` when the body begins to be read, not before: a request that is refused by its headers never hears
 * 100 (RFC 9110, section 10.1.1). Node itself would say 100 before it looks for a route. Holds for the whole server, for its other routes
 * too; a host with a listener of its own for `checkContinue` keeps that instead.
 */
export function continueWhenRead (scope: FastifyInstance): void {
  const { server } = scope
  if (server.listenerCount('checkContinue') === 0) {
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      if (server.listeners('checkContinue').some(listener => listener !== answer)) return
      whenRead(request, () => { if (!response.headersSent && !response.destroyed) response.writeContinue() })
      server.emit('request', request, response)
    }
    server.on('checkContinue', answer)
  }
}

/** True while a client waits for 100, and would not send the body of a request that is refused. */
export function awaitsContinue (request: IncomingMessage): boolean {
  return request.headers.expect?.toLowerCase() === '100-continue' && !request.readableDidRead
}

function whenRead (request: IncomingMessage, tell: () => void): void {
  const done = (): void => {
    request.off('newListener', look).off('resume', done)
    tell()
  }
  const look = (event: string | symbol): void => {
    if (event === 'data' || event === 'readable') done()
  }
  request.on('newListener', look).on('resume', done)
}
