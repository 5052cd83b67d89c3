import type { FastifyRequest } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { mountAddress } from '../../http/routing/mount-address.js'
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
  const url = uploadUrl?.(upload, request) ?? urlOf(id, request, settings)
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

function urlOf (id: string, request: FastifyRequest, { prefix, baseUrl }: ContentRangeSettings): string {
  const { origin = '', path } = mountAddress(request, prefix, baseUrl)
  return `${origin}${path}/${id}`
}

function dashed (id: string): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function time (ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
