import { randomBytes } from 'node:crypto'
import type { UploadingUpload } from '../upload.js'

/** A valid record of an upload that has just been created, with an id of its own; `overrides` replaces any field. */
export function newUpload (overrides: Partial<UploadingUpload> = {}): UploadingUpload {
  const now = Date.now()
  return {
    id: `${now.toString(36).padStart(9, '0')}_${randomBytes(12).toString('base64url')}`,
    protocol: 'test',
    serial: null,
    user: null,
    filename: 'file.bin',
    contentType: null,
    metadata: {},
    protocolState: {},
    size: null,
    received: [],
    chunkSize: null,
    createdAt: now,
    updatedAt: now,
    expiresAt: null,
    checksum: null,
    checksumState: null,
    storageState: null,
    version: 1,
    status: 'uploading',
    ...overrides
  }
}
