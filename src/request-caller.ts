import { Http2ServerResponse } from 'node:http2'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, UploadDraft } from './engine/index.js'
import { InvalidOption } from './errors.js'
import { isObject } from './option-rules.js'
import type { ChunkedUploadOptions } from './options.js'
import type { Uploads } from './protocols/contract.js'
import type { Upload, UserId } from './upload.js'
import { UploadTypes } from './upload-types.js'

/**
 * The caller that a request acts for: its user, its limits, and the host's hooks bound to it.
 * @param log is told once when the user of a request cannot be known; each of these requests is refused
 */
export function requestCallers (options: ChunkedUploadOptions, log: FastifyBaseLogger): (protocol: string) => Uploads['caller'] {
  const { user: userOf = defaultUser, userRestricted: restricted = true, maxBytes = null, maxStored = null } = options
  let told = false
  const tellingOnce = (error: unknown): never => {
    if (!told) log.error({ err: error }, 'requests are refused: their user cannot be determined')
    told = true
    throw error
  }
  return protocol => async (request, reply) => ({
    protocol,
    user: asUserId(await userOf(request), tellingOnce),
    restricted,
    maxBytes: typeof maxBytes === 'function' ? asLimit('maxBytes', await maxBytes(request)) : maxBytes,
    maxStored: typeof maxStored === 'function' ? asLimit('maxStored', await maxStored(request)) : maxStored,
    gone: () => clientGone(request, reply),
    hooks: hooksOf(options, request, reply)
  })
}

const USER_MISSING = 'must say who sends the request: `request.user` is there, but has neither `id` nor `sub`. ' +
  'Set `user`, such as `user: request => request.user?.email ?? null`'

/** The id that the host gave, or an error: a user without a usable id must not pass for an anonymous one. */
function defaultUser (request: FastifyRequest): unknown {
  const user: unknown = 'user' in request ? request.user : undefined
  if (!isObject(user)) return user
  return user.id ?? user.sub ?? new InvalidOption('user', USER_MISSING)
}

/** @param refuse throws the error that it is given */
function asUserId (user: unknown, refuse: (error: unknown) => never): UserId | null {
  if (user === undefined || user === null) return null
  if (typeof user === 'bigint') return String(user)
  if ((typeof user === 'string' && user !== '') || (typeof user === 'number' && Number.isFinite(user))) return user
  if (user instanceof InvalidOption) return refuse(user)
  return refuse(new InvalidOption('user', 'must return a string that is not empty, a finite number, or null for an anonymous request'))
}

/** A value that is no number must not pass for "no limit". @throws {InvalidOption} */
function asLimit (name: 'maxBytes' | 'maxStored', bytes: unknown): number | null {
  if (bytes === undefined || bytes === null) return null
  if (typeof bytes === 'number' && bytes >= 0) return bytes
  throw new InvalidOption(name, 'must return a number of bytes, or null for no limit')
}

/** Aborts when the client's connection, or its stream, is closed before the reply is written. */
function clientGone ({ raw: request }: FastifyRequest, { raw: reply }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  const connection = reply instanceof Http2ServerResponse ? reply.stream : request.socket
  const leave = (): void => { if (!reply.writableEnded) controller.abort() }
  if (connection.destroyed) leave()
  // A reply that waits for the one before it does not hear of the connection's end.
  connection.once('close', leave)
  reply.once('close', () => {
    connection.off('close', leave)
    leave()
  })
  return controller.signal
}

function hooksOf (options: ChunkedUploadOptions, request: FastifyRequest, reply: FastifyReply): Caller['hooks'] {
  const { onCreate, onComplete, onRemove, allowedTypes, detectType } = options
  const context = { request, reply }
  const types = new UploadTypes(options, request)
  return {
    ...(onCreate !== undefined || allowedTypes !== undefined || detectType !== undefined) && {
      onCreate: async (wanted: UploadDraft, upload?: Upload) => {
        const draft = await types.named(wanted)
        await types.check(draft)
        const changes: unknown = await onCreate?.(draft, { ...context, ...upload !== undefined && { upload } }) ?? {}
        if (typeof changes !== 'object') throw new InvalidOption('onCreate', 'must return an object with what to change, or nothing')
        const changed = { ...draft, ...changes }
        if (changed.contentType !== draft.contentType) await types.check(changed)
        return changed
      }
    },
    ...detectType !== undefined && { typeOf: async (upload, firstBytes) => await types.whole(upload, firstBytes) },
    ...onComplete !== undefined && { onComplete: async upload => await onComplete(upload, context) ?? undefined },
    ...onRemove !== undefined && { onRemove: async upload => { await onRemove(upload, context) } }
  }
}
