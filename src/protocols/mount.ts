import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, UploadEngine } from '../engine/index.js'
import { UserRequired } from '../errors.js'
import { type MountAddress, mountAddress } from '../http/routing/mount-address.js'
import type { ProtocolSettings, Uploads } from './contract.js'

/** Options that a protocol has as well as the plugin. Left out or undefined, the plugin's hold. */
export type OwnSettings = { readonly [name in keyof ProtocolSettings]?: ProtocolSettings[name] | undefined }

export interface MountParts<Own extends OwnSettings> {
  /** What uploads keep as their protocol. */
  readonly name: string
  readonly settings: Own & ProtocolSettings
  readonly uploads: Uploads
  /** Path of the mount, with Fastify's `:parameters`. */
  readonly prefix: string
}

/** One mount of a protocol: what its verbs share. Protocols that share more extend it. */
export class Mount<Own extends OwnSettings = OwnSettings> {
  readonly parts: MountParts<Own>

  constructor (parts: MountParts<Own>) { this.parts = parts }

  get name (): string { return this.parts.name }
  get engine (): UploadEngine { return this.parts.uploads.engine }
  /** The protocol's options; where it says nothing, the plugin's. */
  get settings (): Own & ProtocolSettings { return this.parts.settings }

  /** Largest file in bytes where it is the same for all requests; null otherwise. */
  get maxSize (): number | null {
    return this.engine.limits(this.parts.uploads.settings).maxSize
  }

  /** On whose behalf the request acts. @throws {UserRequired} */
  async caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const caller = await this.anyCaller(request, reply)
    if (caller.user === null && this.settings.requireUser) throw new UserRequired()
    return caller
  }

  /** The same for requests that need no user, as they ask for no upload. */
  async anyCaller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    return await this.parts.uploads.caller(request, reply)
  }

  /** The mount itself, for work apart from requests: it sees all of its uploads, has the limits of the plugin, and asks no hook. */
  get own (): Caller {
    const { maxBytes, maxStored } = this.parts.uploads.settings
    return { protocol: this.name, user: null, restricted: false, maxBytes, maxStored, hooks: {} }
  }

  /** Where the client sees the mount. */
  address (request: FastifyRequest): MountAddress {
    return mountAddress(request, this.parts.prefix, this.settings.baseUrl)
  }
}

/**
 * A protocol's settings with those of the plugin where it says nothing itself.
 * @param checksum of the plugin, for uploads whose client tells none
 */
export function inherit<Own extends OwnSettings> (
  own: Own, plugin: ProtocolSettings, checksum: ProtocolSettings['checksum']
): Own & ProtocolSettings {
  const told = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
  return { ...own, ...plugin, checksum, ...told }
}
