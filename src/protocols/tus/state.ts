import type { JsonObject, Upload } from '../../upload.js'

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
}

export function stateOf ({ protocolState }: Pick<Upload, 'protocolState'>): TusState {
  const { metadata, concat, parts, finals } = protocolState
  return {
    ...typeof metadata === 'string' && { metadata },
    ...typeof concat === 'string' && { concat },
    ...Array.isArray(parts) && { parts: parts.filter(isText) },
    ...Array.isArray(finals) && { finals: finals.filter(isText) }
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

function isText (value: unknown): value is string {
  return typeof value === 'string'
}
