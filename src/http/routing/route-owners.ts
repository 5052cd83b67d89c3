import type { FastifyInstance } from 'fastify'
import { RouteTaken } from '../../errors.js'
import type { SharedUrl } from './shared-url.js'

interface Owner {
  readonly name: string
  /** Where several protocols have its URLs. */
  readonly shared: SharedUrl | undefined
}

/** Which protocol of a registration has which URL, to tell what is in the way of another one. */
export class RouteOwners {
  readonly #owners = new Map<string, Owner>()

  /** Lets a protocol declare its routes in `scope`. @throws {RouteTaken} and what `declare` throws */
  async declare (scope: FastifyInstance, { name: protocol, shared }: Owner, declare: () => void | Promise<void>): Promise<void> {
    const urls: string[] = []
    scope.addHook('onRoute', ({ url }) => {
      urls.push(url)
      const owner = this.#owners.get(url)
      // The router would take both, and requests would never reach one of them.
      if (owner !== undefined && owner.shared !== shared) {
        const fault = `its requests cannot be told from others at '${url}'`
        throw new RouteTaken(protocol, fault, this.#advice(protocol, url), { cause: undefined })
      }
    })
    try {
      await declare()
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'FST_ERR_DUPLICATED_ROUTE') throw error
      throw new RouteTaken(protocol, error.message, this.#advice(protocol, urls.at(-1) ?? ''), { cause: error })
    }
    for (const url of urls) this.#owners.set(url, { name: protocol, shared })
  }

  #advice (protocol: string, url: string): string {
    const owner = this.#owners.get(url)
    return owner === undefined
      ? 'the app or another registration has it. Give this protocol or the registration another prefix'
      : `protocol "${owner.name}" has it. Give one of the two a prefix of its own, as in { prefix: '/${protocol}' }`
  }
}
