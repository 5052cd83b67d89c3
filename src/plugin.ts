import { join } from 'node:path'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Caller, UploadDraft } from './engine/caller.js'
import { UploadEngine } from './engine/upload-engine.js'
import { InvalidOption, NameTaken, TypeNotAllowed } from './errors.js'
import { HostUploads } from './host-uploads.js'
import { streamScope } from './http/stream-scope.js'
import { memoryLocks } from './locks/memory.js'
import { fileMetadata } from './metadata/file.js'
import { memoryMetadata } from './metadata/memory.js'
import { type ChunkedUploadOptions, checkOptions, milliseconds } from './options.js'
import { contentRange } from './protocols/content-range.js'
import type { Protocol, Uploads } from './protocols/contract.js'
import { diskStorage } from './storage/disk.js'
import type { UserId } from './upload.js'

declare module 'fastify' {
  interface FastifyInstance {
    chunkedUpload: HostUploads
  }
}

const fastifyChunkedUpload: FastifyPluginAsync<ChunkedUploadOptions> = async (fastify, options) => {
  checkOptions(options)
  const name = options.name ?? 'chunkedUpload'
  if (fastify.hasDecorator(name)) throw new NameTaken(name)

  const adapters = makeAdapters(options)
  const expirationDelta = options.expirationDelta === null ? null : milliseconds('expirationDelta', options.expirationDelta ?? '1d')
  const engine = new UploadEngine({
    ...adapters,
    lockTimeout: milliseconds('lockTimeout', options.lockTimeout ?? '20s'),
    stallTimeout: milliseconds('stallTimeout', options.stallTimeout ?? '60s'),
    maxOpenUploads: options.maxOpenUploads ?? null,
    slidingExpiry: options.expirationFrom === 'activity' ? expirationDelta : null,
    location: options.location
  })
  const host = new HostUploads(engine, HOST, (error, upload) => {
    fastify.log.error({ err: error, upload: upload.id }, 'an expired upload could not be removed')
  })
  const { onExpire } = options
  if (onExpire !== undefined) {
    engine.on('remove', (upload, reason) => {
      if (reason !== 'expired') return
      Promise.resolve(upload).then(onExpire).catch((error: unknown) => { fastify.log.error({ err: error, upload: upload.id }, 'onExpire failed') })
    })
  }
  fastify.decorate(name, host)

  const sweepInterval = options.sweepInterval === false ? 0 : milliseconds('sweepInterval', options.sweepInterval ?? '1h')
  const sweeper = sweepInterval > 0 ? setInterval(() => { sweep() }, sweepInterval).unref() : undefined
  const sweep = (): void => {
    host.deleteExpired().catch((error: unknown) => { fastify.log.error({ err: error }, 'expired uploads could not be removed') })
  }
  // Bodies in flight end here, what storage confirmed of them is saved, and the server can close its connections.
  fastify.addHook('preClose', async () => {
    clearInterval(sweeper)
    await engine.shutdown()
  })
  fastify.addHook('onClose', async () => {
    for (const own of ['storage', 'metadata', 'locks'] as const) {
      if (options[own] === undefined) await adapters[own].close?.()
    }
  })

  const userOf = options.user ?? defaultUser
  const settings: Uploads['settings'] = {
    expirationDelta,
    checksum: options.checksum ?? 'md5',
    fieldNames: [options.fieldName ?? ['file', 'my_file']].flat(),
    userRestricted: options.userRestricted ?? true,
    requireUser: options.requireUser ?? false,
    downloads: options.downloads === undefined || options.downloads === false
      ? false
      : { inline: options.downloads === true ? [] : options.downloads.inline ?? [] }
  }

  const register = async (protocol: Protocol): Promise<void> => {
    const { routeOptions } = options
    const uploads: Uploads = {
      engine,
      settings,
      routeOptions: route => (typeof routeOptions === 'function' ? routeOptions(route) : routeOptions) ?? {},
      caller: async (request, reply) => ({
        protocol: protocol.name,
        user: await userOf(request) ?? null,
        restricted: settings.userRestricted,
        maxBytes: typeof options.maxBytes === 'function' ? await options.maxBytes(request) : options.maxBytes ?? null,
        hooks: hooksOf(options, request, reply)
      })
    }
    await fastify.register(async scope => {
      streamScope(scope, { stopping: () => engine.stopping })
      await protocol.register(scope, uploads)
    }, { prefix: joinPrefix(prefixOf(options), protocol.prefix) })
  }
  for (const protocol of options.protocols ?? [contentRange()]) await register(protocol)
}

/** The host itself: sees every upload, has no limits and is not asked. */
const HOST: Caller = { protocol: null, user: null, restricted: false, maxBytes: null, hooks: {} }

function makeAdapters (options: ChunkedUploadOptions): Required<Pick<ChunkedUploadOptions, 'storage' | 'metadata' | 'locks'>> {
  const { directory = '.', durability, path, completeExt, incompleteExt } = options
  try {
    const own = options.storage === undefined
    return {
      storage: options.storage ?? diskStorage({
        directory,
        ...path !== undefined && { path },
        ...completeExt !== undefined && { completeExt },
        ...incompleteExt !== undefined && { incompleteExt },
        ...durability !== undefined && { durability }
      }),
      metadata: options.metadata ?? (own
        ? fileMetadata({ directory: join(directory, '.chunked_uploads'), ...durability !== undefined && { durability } })
        : memoryMetadata()),
      locks: options.locks ?? memoryLocks()
    }
  } catch (error) {
    throw new InvalidOption('path', `cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function hooksOf (options: ChunkedUploadOptions, request: FastifyRequest, reply: FastifyReply): Caller['hooks'] {
  const { onCreate, onComplete, onRemove, allowedTypes } = options
  const context = { request, reply }
  return {
    ...(onCreate !== undefined || allowedTypes !== undefined) && {
      onCreate: async (draft: UploadDraft) => {
        if (!await isAllowed(allowedTypes, draft.contentType, request)) throw new TypeNotAllowed(draft.contentType ?? '')
        return await onCreate?.(draft, context) ?? draft
      }
    },
    ...onComplete !== undefined && { onComplete: async upload => await onComplete(upload, context) ?? undefined },
    ...onRemove !== undefined && { onRemove: async upload => { await onRemove(upload, context) } }
  }
}

async function isAllowed (allowed: ChunkedUploadOptions['allowedTypes'], contentType: string | null, request: FastifyRequest): Promise<boolean> {
  if (allowed === undefined) return true
  if (typeof allowed === 'function') return await allowed(contentType, request)
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return allowed.some(entry => {
    const wanted = entry.toLowerCase()
    return wanted === type || wanted === '*/*' || (wanted.endsWith('/*') && type.startsWith(wanted.slice(0, -1)))
  })
}

/** `request.user?.id`, which the usual authentication plugins set. */
function defaultUser (request: FastifyRequest): UserId | null {
  const user: unknown = 'user' in request ? request.user : undefined
  const id: unknown = typeof user === 'object' && user !== null && 'id' in user ? user.id : undefined
  return typeof id === 'string' || typeof id === 'number' ? id : null
}

/** fastify-plugin takes the prefix away from the plugin itself; its routes get it back here. */
function prefixOf (options: ChunkedUploadOptions): string {
  return 'prefix' in options && typeof options.prefix === 'string' ? options.prefix : ''
}

function joinPrefix (...parts: readonly string[]): string {
  return parts.map(part => part.replace(/^\/+|\/+$/g, '')).filter(part => part !== '').map(part => `/${part}`).join('')
}

/** The plugin: `await app.register(chunkedUpload, { prefix: '/uploads' })`. */
export const chunkedUpload = fp(fastifyChunkedUpload, { name: 'fastify-chunked-upload', fastify: '5.x' })
