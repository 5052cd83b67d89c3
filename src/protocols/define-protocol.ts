import type { FastifyInstance } from 'fastify'
import type { Marks } from '../http/routing/shared-url.js'
import type { CorsHeaders, HostApp, Protocol, ProtocolSettings } from './contract.js'
import { Mount, type OwnSettings, inherit } from './mount.js'
import type { Declare } from './service.js'
import { withShared } from './shared-cors.js'

export interface ProtocolDefinition<Own extends OwnSettings> {
  /** Names the mount: uploads belong to it, and the host's `routeOptions` know it by that. */
  readonly name: string
  /** Path below the plugin's prefix. @default '' */
  readonly prefix?: string | undefined
  /** The header fields of its own that browsers of other origins need to be allowed. */
  readonly headers: CorsHeaders
  /**
   * By what its requests are known: two protocols that say so can have one `prefix`, and clients switch the protocol, not the address.
   * A request without any of these fields goes to the first that can serve its method.
   */
  readonly marks?: Marks
  /** The protocol's own options. Those that the plugin has as well go first, and the plugin's fill in what is left out. */
  readonly settings: Own
  /**
   * Clients tell, or ask for, a checksum of the whole file: then the plugin's default algorithm holds. Otherwise a checksum is kept only
   * where the host has asked for one by name.
   * @default false
   */
  readonly keepsChecksum?: boolean
  /**
   * What the mount serves. Called once, when the plugin is registered: a protocol loads its verbs and schemas here, as in
   * `serve: async mount => (await import('./serve.js')).serve(mount)`, so that importing the package costs little.
   * @param scope for hooks of the protocol's own
   */
  readonly serve: (mount: Mount<Own>, scope: FastifyInstance, host: HostApp) => Declare | Promise<Declare>
}

/** Makes a protocol. Its factory checks the options first, so that mistakes show where they are made. */
export function defineProtocol<Own extends OwnSettings> (
  { name, prefix = '', headers, marks, settings: own, keepsChecksum = false, serve }: ProtocolDefinition<Own>
): Protocol {
  return {
    name,
    prefix,
    headers: withShared(headers),
    ...marks !== undefined && { marks },
    async register (scope, uploads, host) {
      const plugin: ProtocolSettings = uploads.settings
      const settings = inherit(own, plugin, keepsChecksum ? plugin.checksum : plugin.wideChecksum ?? false)
      const declare = await serve(new Mount({ name, settings, uploads, prefix: scope.prefix }), scope, host)
      declare(scope)
    }
  }
}
