import type { FastifyRequest } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { requestPath } from '../../http/request-path.js'
import { type JsonObject, type Upload, offsetOf } from '../../upload.js'
import type { ContentRangeSettings } from './options.js'

/** The id in the request's URL. */
export function idParam ({ params }: FastifyRequest): unknown {
  return typeof params === 'object' && params !== null && 'id' in params ? params.id : undefined
}

/** The id of a URL or form, with or without dashes, in any case. @throws {UploadNotFound} anything else is unknown */
export function wireId (text: unknown): string {
  const id = typeof text === 'string' ? text.replaceAll('-', '').toLowerCase() : ''
  if (!/^[\da-f]{32}$/.test(id)) throw new UploadNotFound()
  return id
}

/** An upload as clients see it: every field that any of the systems sends. */
export function wireRecord (upload: Upload, request: FastifyRequest, settings: ContentRangeSettings): JsonObject {
  const { serialize = (record: JsonObject) => record, uploadUrl, fileUrl } = settings
  const id = settings.idFormat === 'hex' ? upload.id : dashed(upload.id)
  const offset = offsetOf(upload)
  const expires = time(upload.expiresAt)
  if (settings.dialectName === 'parent') return serialize({ upload_id: id, offset, expires }, upload, request)
  const url = uploadUrl?.(upload, request) ?? urlOf(id, request)
  return serialize({
    id,
    upload_id: id,
    url,
    file: fileUrl === undefined ? settings.downloads && upload.status === 'complete' ? `${url}/file` : null : fileUrl(upload, request),
    filename: upload.filename,
    offset,
    expires,
    created_at: time(upload.createdAt),
    status: upload.status === 'complete' ? 2 : 1,
    completed_at: upload.status === 'complete' ? time(upload.completedAt) : null,
    user: upload.user
  }, upload, request)
}

/** The collection's address as the client wrote it, and the id behind it. */
function urlOf (id: string, request: FastifyRequest): string {
  const path = requestPath(request)
  const collection = idParam(request) !== undefined ? path.slice(0, path.lastIndexOf('/')) : path
  return `${request.protocol}://${request.host}${collection}/${id}`
}

function dashed (id: string): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function time (ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
