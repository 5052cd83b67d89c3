import { join, resolve } from 'node:path'
import type { FastifyInstance, FastifyPluginAsync, RegisterOptions } from 'fastify'
import fp from 'fastify-plugin'
import { type Caller, UploadEngine } from './engine/index.js'
import { InvalidOption, NameTaken } from './errors.js'
import { EngineUploads, type HostUploads } from './host-uploads.js'
import { streamScope } from './http/body/stream-scope.js'
import { RouteOwners } from './http/routing/route-owners.js'
import { sharersOf } from './http/routing/shared-url.js'
import { OpenReplies } from './http/download/open-replies.js'
import { OpenBodies } from './http/body/unread-body.js'
import type { Locks } from './locks/contract.js'
import { fileLocks } from './locks/file/index.js'
import { memoryLocks } from './locks/memory.js'
import type { Metadata } from './metadata/contract.js'
import { fileMetadata } from './metadata/file/index.js'
import { memoryMetadata } from './metadata/memory.js'
import { type ChunkedUploadOptions, checkOptions, milliseconds, routeOptionsOf } from './options.js'
import { contentRange } from './protocols/content-range/index.js'
import type { Protocol, Uploads } from './protocols/contract.js'
import { requestCallers } from './request-caller.js'
import type { Storage } from './storage/contract.js'
import { diskStorage } from './storage/disk/index.js'
import { IntervalJob } from './interval-job.js'
import { storedEnd } from './upload.js'

declare module 'fastify' {
  interface FastifyInstance {
    chunkedUpload: HostUploads
  }
}

const fastifyChunkedUpload: FastifyPluginAsync<ChunkedUploadOptions & RegisterOptions> = async (fastify, options) => {
  checkOptions(options)
  const name = options.name ?? 'chunkedUpload'
  if (isTaken(fastify, name)) throw new NameTaken(name)

  const adapters = makeAdapters(options)
  const { storage, metadata, locks } = adapters
  storage.reserve?.([metadata, locks].flatMap(({ directory }) => directory === undefined ? [] : [resolve(directory)]))
  // What can never work is told now, not to clients.
  for (const adapter of [adapters.storage, adapters.metadata, adapters.locks]) await adapter.prepare?.()
  const expirationDelta = options.expirationDelta === null ? null : milliseconds('expirationDelta', options.expirationDelta ?? '1d')
  const engine = new UploadEngine({
    ...adapters,
    scope: options.scope ?? `${name}:${joinPrefix(fastify.prefix, options.prefix ?? '')}`,
    lockTimeout: milliseconds('lockTimeout', options.lockTimeout ?? '20s'),
    pace: {
      stallTimeout: milliseconds('stallTimeout', options.stallTimeout ?? '60s'),
      minRate: options.minRate,
      maxBodyTime: milliseconds('maxBodyTime', options.maxBodyTime ?? 0)
    },
    maxOpenUploads: options.maxOpenUploads ?? null,
    bodyMemory: options.bodyMemory,
    slidingExpiry: options.expirationFrom === 'activity',
    location: options.location,
    onUnreadable: (error, id) => {
      fastify.log.error({ err: error, upload: id }, 'the record of this upload cannot be read: lists and sweeps leave it out')
    },
    onUnsynced: (error, { id }) => {
      fastify.log.error({ err: error, upload: id }, 'the disk did not take this finished file: it is compared before each use')
    }
  })
  const host = new EngineUploads(engine, HOST, (error, upload) => {
    fastify.log.error({ err: error, upload: upload.id }, 'an expired upload could not be removed')
  })
  const { onExpire } = options
  if (onExpire !== undefined) {
    engine.on('remove', (upload, reason) => {
      if (reason !== 'expired') return
      Promise.resolve(upload).then(onExpire).catch((error: unknown) => {
        fastify.log.error({ err: error, upload: upload.id }, 'onExpire failed')
      })
    })
  }
  fastify.decorate(name, host)

  const sweepInterval = options.sweepInterval === false ? null : milliseconds('sweepInterval', options.sweepInterval ?? '1h')
  const sweeper = new IntervalJob(sweepInterval, async () => {
    await host.deleteExpired().catch((error: unknown) => { fastify.log.error({ err: error }, 'expired uploads could not be removed') })
  })
  const bodies = new OpenBodies(() => engine.stopping)
  const replies = new OpenReplies(engine.pace.stallTimeout)
  engine.on('lost', (upload, before) => {
    const gone = storedEnd(before) - storedEnd(upload)
    const details = { upload: upload.id, bytes: gone }
    if (before.status === 'complete') fastify.log.error({ ...details, location: before.location }, 'bytes of a finished file are gone')
    else fastify.log.warn(details, 'acknowledged bytes of an upload are gone')
  })
  let leftovers: Promise<void> | undefined
  fastify.addHook('onReady', async () => {
    sweeper.start()
    leftovers = engine.syncLeftovers().catch((error: unknown) => {
      if (!engine.stopping) fastify.log.error({ err: error }, 'finished files could not be compared with their records')
    })
  })
  // Bodies in flight end here, what storage confirmed of them is saved, and the server can close its connections.
  fastify.addHook('preClose', async () => {
    const stopped = engine.shutdown()
    replies.stop()
    await stopped
    bodies.cutSoon()
    await sweeper.stop()
    await leftovers
  })
  fastify.addHook('onClose', async () => {
    for (const own of ['storage', 'metadata', 'locks'] as const) {
      if (options[own] === undefined) await adapters[own].close?.()
    }
  })

  const callerOf = requestCallers(options, fastify.log)
  const settings: Uploads['settings'] = {
    expirationDelta,
    checksum: options.checksum ?? 'md5',
    wideChecksum: options.checksum,
    asksHost: [options.onComplete, options.detectType, options.maxBytes, options.maxStored].some(option => typeof option === 'function'),
    fieldNames: [options.fieldName ?? ['file', 'my_file']].flat(),
    maxBytes: typeof options.maxBytes === 'number' ? options.maxBytes : null,
    maxStored: typeof options.maxStored === 'number' ? options.maxStored : null,
    userRestricted: options.userRestricted ?? true,
    requireUser: options.requireUser ?? false,
    downloads: options.downloads === undefined || options.downloads === false
      ? false
      : { inline: options.downloads === true ? [] : options.downloads.inline ?? [] }
  }
  const { prefix = '', logLevel, logSerializers } = options
  const owners = new RouteOwners()
  const protocols = options.protocols ?? [contentRange()]
  const sharers = sharersOf(protocols.map(protocol => ({ ...protocol, prefix: joinPrefix(protocol.prefix) })))
  for (const protocol of protocols) {
    const uploads: Uploads = {
      engine,
      settings: { ...settings, baseUrl: publicUrl(options, protocol) },
      routeOptions: route => routeOptionsOf(options, route),
      sharer: sharers.get(protocol.name),
      caller: callerOf(protocol.name)
    }
    await fastify.register(async scope => {
      await streamScope(scope, bodies, engine.pace)
      replies.watch(scope)
      const owner = { name: protocol.name, shared: uploads.sharer?.url }
      await owners.declare(scope, owner, async () => { await protocol.register(scope, uploads, { instance: fastify, bodies }) })
    }, {
      prefix: joinPrefix(prefix, protocol.prefix),
      ...logLevel !== undefined && { logLevel },
      ...logSerializers !== undefined && { logSerializers }
    })
  }
}

/** True when `name` is an own decorator here, or part of Fastify. Uploads of a surrounding scope may be shadowed, as all its decorators. */
function isTaken (fastify: FastifyInstance, name: string): boolean {
  const present: unknown = Reflect.get(fastify, name)
  return Object.hasOwn(fastify, name) || (present !== undefined && !(present instanceof EngineUploads))
}

/** The host itself: sees every upload of the registration, has no limits and is not asked. */
const HOST: Caller = { protocol: null, user: null, restricted: false, maxBytes: null, maxStored: null, hooks: {} }

interface Adapters {
  readonly storage: Storage
  readonly metadata: Metadata
  readonly locks: Locks
}

function makeAdapters (options: ChunkedUploadOptions): Adapters {
  const { directory = '.', durability } = options
  const records = join(directory, '.chunked_uploads')
  const storage = options.storage ?? makeDisk(options)
  // Records of bytes that are gone with the process are of no use.
  const volatile = storage.volatile === true
  return {
    storage,
    metadata: options.metadata ??
      (volatile ? memoryMetadata() : fileMetadata({ directory: records, ...durability !== undefined && { durability } })),
    locks: options.locks ?? (volatile || options.metadata !== undefined ? memoryLocks() : fileLocks({ directory: join(records, 'locks') }))
  }
}

function makeDisk ({ directory, durability, path, completeExt, incompleteExt }: ChunkedUploadOptions): Storage {
  try {
    return diskStorage({
      ...directory !== undefined && { directory },
      ...durability !== undefined && { durability },
      ...path !== undefined && { path },
      ...completeExt !== undefined && { completeExt },
      ...incompleteExt !== undefined && { incompleteExt }
    })
  } catch (error) {
    throw new InvalidOption('path', `cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Public URL of a protocol's mount. */
function publicUrl ({ baseUrl }: ChunkedUploadOptions, { prefix }: Protocol): URL | undefined {
  if (baseUrl === undefined) return undefined
  const { origin, pathname } = new URL(baseUrl)
  return new URL(origin + joinPrefix(pathname, prefix))
}

function joinPrefix (...parts: readonly string[]): string {
  return parts.map(part => part.replace(/^\/+|\/+$/g, '')).filter(part => part !== '').map(part => `/${part}`).join('')
}

/** The plugin: `await app.register(chunkedUpload, { prefix: '/uploads' })`. */
export const chunkedUpload = fp(fastifyChunkedUpload, { name: 'fastify-chunked-upload', fastify: '^5.3.0' })
