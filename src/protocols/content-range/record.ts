import type { FastifyRequest } from 'fastify'
import { uuidOf } from '../../http/fields/upload-id.js'
import { type JsonObject, type Upload, offsetOf } from '../../upload.js'
import type { Mount } from '../mount.js'
import type { ContentRangeSettings } from './options.js'

/** An upload as clients see it: every field that any of the systems sends. */
export function wireRecord (mount: Mount<ContentRangeSettings>, upload: Upload, request: FastifyRequest): JsonObject {
  const { settings } = mount
  const { serialize = (record: JsonObject) => record, uploadUrl, fileUrl } = settings
  const id = settings.idFormat === 'hex' ? upload.id : uuidOf(upload.id)
  const offset = offsetOf(upload)
  const expires = time(upload.expiresAt)
  if (settings.dialectName === 'parent') return serialize({ upload_id: id, offset, expires }, upload, request)
  const url = uploadUrl?.(upload, request) ?? urlOf(mount, id, request)
  const servedAt = settings.downloads !== false && upload.status === 'complete' ? `${url}/file` : null
  return serialize({
    id,
    upload_id: id,
    url,
    file: fileUrl === undefined ? servedAt : fileUrl(upload, request),
    filename: upload.filename,
    offset,
    expires,
    created_at: time(upload.createdAt),
    status: upload.status === 'complete' ? 2 : 1,
    completed_at: upload.status === 'complete' ? time(upload.completedAt) : null,
    user: upload.user
  }, upload, request)
}

function urlOf (mount: Mount<ContentRangeSettings>, id: string, request: FastifyRequest): string {
  const { origin = '', path } = mount.address(request)
  return `${origin}${path}/${id}`
}

function time (ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

/** Of removed uploads only expired ones, whose records the host keeps, are still told of. */
export function isShown (upload: Upload): boolean {
  return upload.status !== 'removed' || upload.reason === 'expired'
}
