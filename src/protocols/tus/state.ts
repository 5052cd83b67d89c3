import { type JsonObject, offsetOf, type Upload, type UploadingUpload } from '../../upload.js'

/** What tus remembers of an upload. */
export interface TusState {
  /** Upload-Metadata, byte for byte. */
  readonly metadata?: string
  /** Upload-Concat, byte for byte. */
  readonly concat?: string
  /** Of a final upload: the ids of its parts, in order. */
  readonly parts?: readonly string[]
  /** Of a partial upload: the final ones that wait for it. */
  readonly finals?: readonly string[]
  /** Of a final upload: the host has refused the file. */
  readonly refused?: true
}

export function stateOf ({ protocolState }: Pick<Upload, 'protocolState'>): TusState {
  const { metadata, concat, parts, finals, refused } = protocolState
  return {
    ...typeof metadata === 'string' && { metadata },
    ...typeof concat === 'string' && { concat },
    ...Array.isArray(parts) && { parts: parts.filter(isText) },
    ...Array.isArray(finals) && { finals: finals.filter(isText) },
    ...refused === true && { refused }
  }
}

/** As the record keeps it. */
export function stored (state: TusState): JsonObject {
  return { ...state }
}

/** A piece that becomes a file only by concatenation. */
export function isPartial (upload: Pick<Upload, 'protocolState'>): boolean {
  return stateOf(upload).concat === 'partial'
}

/** An upload whose bytes come from partial ones. */
export function isFinal (upload: Pick<Upload, 'protocolState'>): boolean {
  return stateOf(upload).parts !== undefined
}

/** All bytes are there, and the upload is not complete. Never of an empty one. */
export function lacksCompletion (upload: Upload): upload is UploadingUpload & { readonly size: number } {
  return upload.status === 'uploading' && upload.size !== null && upload.size > 0 && offsetOf(upload) === upload.size
}

function isText (value: unknown): value is string {
  return typeof value === 'string'
}
