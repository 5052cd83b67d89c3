import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { UploadNotFound } from '../../src/errors.js'
import { partsOf, readForm } from '../../src/http/body/form.js'
import { declareRoutes } from '../../src/http/routing/routes.js'
import { bodyOf, contentLength, hasBody } from '../../src/http/body/stream-scope.js'
import type { Protocol, Uploads } from '../../src/protocols/contract.js'
import type { Upload } from '../../src/upload.js'

export interface TinyOptions {
  readonly name?: string
  readonly prefix?: string
}

/** The smallest protocol that uses everything which protocols share. Words only "not found" itself. */
export function tiny ({ name = 'tiny', prefix = '' }: TinyOptions = {}): Protocol {
  return {
    name,
    prefix,
    register (scope, uploads) {
      declareRoutes(scope, [
        { name: 'create', method: 'POST', url: '/', handler: async (request, reply) => shown(await create(uploads, request, reply)) },
        { name: 'list', method: 'GET', url: '/', handler: async (request, reply) => await list(uploads, request, reply) },
        { name: 'append', method: 'PATCH', url: '/:id/', schema: { params: id }, handler: append(uploads) },
        { name: 'read', method: 'GET', url: '/:id/', schema: { params: id, response: { 200: record } }, handler: read(uploads) },
        { name: 'remove', method: 'DELETE', url: '/:id/', schema: { params: id }, handler: remove(uploads) },
        { name: 'form', method: ['POST', 'DELETE'], url: '/form/', handler: async request => ({ ...await readForm(request) }) },
        { name: 'parts', method: 'POST', url: '/parts/', handler: async request => await listOf(request) },
        { name: 'body', method: 'PUT', url: '/body/', handler: async request => await whatCame(request) },
        { name: 'refuse', method: ['GET', 'PUT', 'POST'], url: '/refuse/', schema: { querystring: refusal }, handler: refuse }
      ], {
        wordError: error => error instanceof UploadNotFound ? { statusCode: 404, body: { tiny: 'nothing here' } } : undefined,
        routeOptions: route => uploads.routeOptions({ ...route, protocol: name })
      })
    }
  }
}

const id = { type: 'object', required: ['id'], properties: { id: { type: 'string', maxLength: 64 } } }
const record = { type: 'object', properties: { id: { type: 'string' }, offset: { type: 'integer' }, status: { type: 'string' } } }
const refusal = {
  type: 'object',
  properties: { read: { type: 'string', enum: ['nothing', 'some', 'all'] }, status: { type: 'integer', default: 418 } }
}

export function shown ({ id, received, status, user, filename }: Upload) {
  return { id, offset: received[0]?.[1] ?? 0, status, user, filename }
}

async function create (uploads: Uploads, request: FastifyRequest, reply: FastifyReply): Promise<Upload> {
  const caller = await uploads.caller(request, reply)
  return await uploads.engine.create(caller, {
    filename: 'tiny.bin',
    contentType: request.headers['content-type'] ?? null,
    metadata: {},
    protocolState: {},
    size: null,
    chunkSize: null,
    checksum: null,
    expiresIn: uploads.settings.expirationDelta,
    serial: false
  })
}

async function list (uploads: Uploads, request: FastifyRequest, reply: FastifyReply): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const upload of uploads.engine.list(await uploads.caller(request, reply))) found.push(shown(upload))
  return found
}

function idOf (request: FastifyRequest): string {
  const { params } = request
  return typeof params === 'object' && params !== null && 'id' in params ? String(params.id) : ''
}

/** A raw body, or the file of a form. `?complete` finishes the upload with it. */
function append (uploads: Uploads) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const caller = await uploads.caller(request, reply)
    const write = async (body: Readable, length: number | undefined): Promise<unknown> => {
      const { upload } = await uploads.engine.write(caller, idOf(request), {
        start: 'end', body, ...length !== undefined && { length }, ...request.url.includes('?complete') && { complete: { when: 'end' } }
      })
      return shown(upload)
    }
    if (!(request.headers['content-type'] ?? '').startsWith('multipart/')) return await write(bodyOf(request), contentLength(request))
    for await (const part of partsOf(request)) {
      if (part.kind === 'file') return await write(part.body, undefined)
    }
    return { nothing: true }
  }
}

function read (uploads: Uploads) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    return shown(await uploads.engine.get(await uploads.caller(request, reply), idOf(request)))
  }
}

function remove (uploads: Uploads) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    await uploads.engine.remove(await uploads.caller(request, reply), idOf(request))
    return reply.code(204).send()
  }
}

async function listOf (request: FastifyRequest): Promise<unknown[]> {
  const parts: unknown[] = []
  for await (const part of partsOf(request)) {
    if (part.kind === 'field') parts.push([part.name, part.value])
    else {
      let bytes = 0
      for await (const piece of part.body) bytes += piece.length
      parts.push([part.name, { filename: part.filename, contentType: part.contentType, bytes }])
    }
  }
  return parts
}

async function whatCame (request: FastifyRequest): Promise<unknown> {
  let bytes = 0
  for await (const piece of bodyOf(request)) bytes += piece.length
  return { bytes, hasBody: hasBody(request), contentLength: contentLength(request) ?? null }
}

/** Fails before the body was read, in the midst of it, or behind it. */
async function refuse (request: FastifyRequest): Promise<void> {
  const { query, headers } = request
  const { read = 'nothing', status = 418 } = typeof query === 'object' && query !== null ? query as { read?: string, status?: number } : {}
  const body = bodyOf(request)
  if (read !== 'nothing') {
    if ((headers['content-type'] ?? '').startsWith('multipart/')) {
      for await (const part of partsOf(request)) {
        if (part.kind === 'file') await readSome(part.body, read === 'all')
        if (read === 'some') break
      }
    } else await readSome(body, read === 'all')
  }
  throw Object.assign(new Error('refused'), { statusCode: status, code: 'REFUSED' })
}

/** All of a stream, or its first piece: then it is left as the engine leaves one, paused. */
async function readSome (body: Readable, all: boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    body.on('error', reject).once('end', resolve).on('data', function onData () {
      if (all) return
      body.off('data', onData)
      body.pause()
      resolve()
    })
  })
}
