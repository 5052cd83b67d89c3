import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import type { Caller, CompletionReply, UploadEngine } from '../engine/index.js'
import type { OpenBodies } from '../http/body/unread-body.js'
import type { Marks, Sharer } from '../http/routing/shared-url.js'
import type { Upload } from '../upload.js'

/** A wire protocol: reads requests, calls the engine, words the replies. One file or folder, made by a factory with its own options. */
export interface Protocol {
  /** Names the mount: uploads belong to the protocol that created them. Unique within one registration. */
  readonly name: string
  /** Below the registration's prefix; empty for none. */
  readonly prefix: string
  /** The header fields that browsers of other origins need to be allowed. */
  readonly headers?: CorsHeaders
  /** By what its requests are known: then it can have one URL together with other such protocols. */
  readonly marks?: Marks
  /** Declares the routes in a scope of its own, in which bodies arrive as streams, whatever their type. */
  register (scope: FastifyInstance, uploads: Uploads, host: HostApp): void | Promise<void>
}

/** Header fields for the CORS plugin of the host. */
export interface CorsHeaders {
  /** Of replies, which scripts may read (`Access-Control-Expose-Headers`). */
  readonly expose: readonly string[]
  /** Of requests, which scripts may send (`Access-Control-Allow-Headers`). */
  readonly allow: readonly string[]
}

/** The app around, for protocols that also serve routes of the host. */
export interface HostApp {
  /** What the plugin is registered on. */
  readonly instance: FastifyInstance
  /** Hooks that keep connections usable when a body is not read to its end. In the protocol's own scope they run already. */
  readonly bodies: Pick<OpenBodies, 'onRequest' | 'onSend'>
}

/** What a protocol gets of the registration that it belongs to. */
export interface Uploads {
  readonly engine: UploadEngine
  readonly settings: ProtocolSettings
  /** On whose behalf the request acts: its user, its limits, and the host's hooks bound to it. */
  caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller>
  /** Set where other protocols have the same URL. */
  readonly sharer?: Sharer | undefined
  /** What the host adds to a route: hooks, config, schema. */
  routeOptions (route: RouteName): HostRouteOptions
}

/** The options that protocols read; a protocol's own options of the same name go first. */
export interface ProtocolSettings {
  /** ms from creation until an unfinished upload expires; null for never. */
  readonly expirationDelta: number | null
  /** Algorithm of the whole-file checksum; false for none. */
  readonly checksum: string | false
  /** The same where the host has asked for it by name: then it holds for protocols, too, whose clients have no use for one. */
  readonly wideChecksum?: string | false | undefined
  /** Names of the form field that carries the bytes. */
  readonly fieldNames: readonly string[]
  /** Largest file in bytes where it is the same for all requests; null for no limit, or one that depends on the request. */
  readonly maxBytes: number | null
  /** Bytes that all uploads of a user may take together, where it is the same for all requests; null otherwise. */
  readonly maxStored: number | null
  readonly userRestricted: boolean
  /** The host has an `onComplete` or a limit that is asked about a request. */
  readonly asksHost?: boolean
  /** Anonymous requests are refused. */
  readonly requireUser: boolean
  /** Public URL of the mount, where the host tells one; its path may have the `:parameters` of the prefix. */
  readonly baseUrl?: URL | undefined
  /** Finished files can be downloaded; `inline` lists the media types that may be shown in the browser. */
  readonly downloads: false | { readonly inline: readonly string[] }
}

export interface RouteName {
  readonly protocol: string
  /** What the route does: `create`, `chunk`, `complete`, `list` … as the protocol's page names it. */
  readonly name: string
  readonly method: string | readonly string[]
  readonly url: string
}

/** What a host may add to a route of the plugin. Hooks run before the plugin's own. */
export type HostRouteOptions = Omit<
  RouteShorthandOptions,
  'errorHandler' | 'validatorCompiler' | 'serializerCompiler' | 'attachValidation' | 'exposeHeadRoute' | 'prefixTrailingSlash'
>

export type { Caller, CompletionReply, Upload }
