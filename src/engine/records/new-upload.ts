import { ChecksumUnsupported, ChunkSizeRefused, SizeLimitExceeded } from '../../errors.js'
import { cleanFileName } from '../../file-name.js'
import type { Storage } from '../../storage/contract.js'
import { RECORD_FORMAT } from '../../record-format.js'
import type { UploadingUpload } from '../../upload.js'
import type { Caller, UploadDraft } from '../caller.js'
import { isChecksumAlgorithm } from '../checksum/running-checksum.js'
import { newUploadId } from './upload-id.js'

/** What storage and caller allow; sizes in bytes. */
export interface UploadLimits {
  /** The largest file; null for no limit. */
  readonly maxSize: number | null
  readonly minChunkSize: number
  readonly maxChunkSize: number
  /** Chunks that one file may have. */
  readonly maxChunks: number
}

export function uploadLimits (storage: Storage, caller: Pick<Caller, 'maxBytes'>): UploadLimits {
  const { minChunkSize, maxChunkSize, maxChunks } = storage.capabilities
  return { maxSize: largestFile(storage, caller, null), minChunkSize, maxChunkSize, maxChunks }
}

/** The largest file in bytes that caller and storage allow, with chunks of `chunkSize` bytes or without a grid; null for no limit. */
export function largestFile (
  { capabilities }: Storage, { maxBytes }: Pick<Caller, 'maxBytes'>, chunkSize: number | null
): number | null {
  const limit = Math.min(maxBytes ?? Infinity, capabilities.maxSize, chunkSize === null ? Infinity : chunkSize * capabilities.maxChunks)
  return limit < Number.MAX_SAFE_INTEGER ? limit : null
}

/** @throws {SizeLimitExceeded} */
export function checkSize (storage: Storage, caller: Pick<Caller, 'maxBytes'>, size: number): void {
  const limit = largestFile(storage, caller, null)
  if (limit !== null && size > limit) throw new SizeLimitExceeded(limit)
}

/**
 * Refuses at creation what could not be finished.
 * @throws {SizeLimitExceeded} {@link ChunkSizeRefused} {@link ChecksumUnsupported}
 */
export function checkDraft (storage: Storage, caller: Caller, { size, chunkSize, checksum }: UploadDraft): void {
  const can = storage.capabilities
  if (size !== null) checkSize(storage, caller, size)
  if (chunkSize !== null && (chunkSize < can.minChunkSize || chunkSize > can.maxChunkSize)) {
    throw new ChunkSizeRefused(`chunks must have ${can.minChunkSize} to ${can.maxChunkSize} bytes`)
  }
  if (chunkSize !== null && size !== null && Math.ceil(size / chunkSize) > can.maxChunks) {
    throw new ChunkSizeRefused(`a file can have at most ${can.maxChunks} chunks`)
  }
  if (checksum !== null && !isChecksumAlgorithm(checksum.algorithm)) throw new ChecksumUnsupported(checksum.algorithm)
}

export interface NewUploadRules {
  /** Expiry counts from the last activity. */
  readonly slides: boolean
  /** The registration; undefined where all share their uploads. */
  readonly scope: string | undefined
  /** Undefined for one that cannot be guessed. */
  readonly id?: string | undefined
}

/** The record of a new, empty upload. */
export function newUpload (caller: Caller, draft: UploadDraft, { slides, scope, id }: NewUploadRules): UploadingUpload {
  const now = Date.now()
  return {
    id: id ?? newUploadId(now),
    format: RECORD_FORMAT,
    protocol: caller.protocol ?? 'host',
    ...scope !== undefined && { scope },
    ...caller.internal === true && { internal: true },
    serial: null,
    user: caller.user,
    filename: draft.filename,
    contentType: draft.contentType,
    metadata: draft.metadata,
    protocolState: draft.protocolState,
    size: draft.size,
    received: [],
    chunkSize: draft.chunkSize,
    status: 'uploading',
    createdAt: now,
    updatedAt: now,
    expiresAt: draft.expiresIn === null ? null : now + draft.expiresIn,
    ...(slides || draft.oneRequest === true) && draft.expiresIn !== null && { lifetime: draft.expiresIn },
    ...draft.partial === true && { partial: true },
    checksum: draft.checksum === null ? null : { ...draft.checksum, value: draft.checksum.value?.toLowerCase() ?? null },
    checksumState: null,
    storageState: null,
    version: 1
  }
}

/** The upload as a draft of it would say. */
export function draftOf (upload: UploadingUpload): UploadDraft {
  const { filename, contentType, metadata, protocolState, size, chunkSize, checksum, expiresAt, serial, partial } = upload
  return {
    filename,
    contentType,
    metadata,
    protocolState,
    size,
    chunkSize,
    checksum,
    expiresIn: expiresAt === null ? null : Math.max(0, expiresAt - Date.now()),
    serial: serial !== null,
    ...partial === true && { partial }
  }
}

/** The draft with a name that is only a name. What the client said stays in the metadata, unless they have it already. */
export function withCleanName (draft: UploadDraft): UploadDraft {
  const { filename: told, metadata } = draft
  const filename = cleanFileName(told)
  if (filename === told) return draft
  const isKept = 'filename' in metadata || Object.values(metadata).includes(told)
  return { ...draft, filename, metadata: isKept ? metadata : { ...metadata, filename: told } }
}
