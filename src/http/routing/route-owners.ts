import type { FastifyInstance } from 'fastify'
import { RouteTaken } from '../../errors.js'

/** Which protocol of a registration has which URL, to tell what is in the way of another one. */
export class RouteOwners {
  readonly #owners = new Map<string, string>()

  /** Lets a protocol declare its routes in `scope`. @throws {RouteTaken} and what `declare` throws */
  async declare (scope: FastifyInstance, protocol: string, declare: () => void | Promise<void>): Promise<void> {
    const urls: string[] = []
    scope.addHook('onRoute', ({ url }) => { urls.push(url) })
    try {
      await declare()
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'FST_ERR_DUPLICATED_ROUTE') throw error
      throw new RouteTaken(protocol, error.message, this.#advice(protocol, urls.at(-1) ?? ''), { cause: error })
    }
    for (const url of urls) this.#owners.set(url, protocol)
  }

  #advice (protocol: string, url: string): string {
    const owner = this.#owners.get(url)
    return owner === undefined
      ? 'the app or another registration has it. Give this protocol or the registration another prefix'
      : `protocol "${owner}" has it. Give one of the two a prefix of its own, as in { prefix: '/${protocol}' }`
  }
}
