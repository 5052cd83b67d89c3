import type { FastifyRequest } from 'fastify'
import { uuidOf } from '../../http/fields/upload-id.js'
import { type Upload, offsetOf } from '../../upload.js'
import type { FormMount } from './mount.js'

/** An upload as the wire shows it, its fields in the order of the contract. */
export function recordOf (
  mount: FormMount, upload: Upload, request: FastifyRequest
): Record<string, unknown> & { readonly file: string } {
  return {
    id: upload.serial,
    upload_id: uuidOf(upload.id),
    file: mount.fileUrl(upload, request),
    filename: upload.filename,
    offset: offsetOf(upload),
    status: upload.status === 'complete' ? 2 : 1,
    created_at: new Date(upload.createdAt).toISOString(),
    completed_at: upload.status === 'complete' ? new Date(upload.completedAt).toISOString() : null
  }
}
