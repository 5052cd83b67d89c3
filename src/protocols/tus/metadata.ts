import { isUtf8 } from 'node:buffer'
import type { JsonObject } from '../../upload.js'
import { badHeader } from './errors.js'

/** The pairs of Upload-Metadata, in their order. Keys are compared as they are; values are any bytes. */
export type TusMetadata = ReadonlyMap<string, Uint8Array>

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Reads Upload-Metadata: pairs of key and base64, separated by commas (tus 1.0.0, creation). Blanks around a comma are taken, as clients
 * leave one after the key of an empty value.
 * @throws {Refusal} 400
 */
export function parseMetadata (header: string): TusMetadata {
  const metadata = new Map<string, Uint8Array>()
  if (header.trim() === '') return metadata
  for (const pair of header.split(',')) {
    const [key = '', value = '', ...more] = pair.trim().split(' ')
    if (key === '') throw badHeader('Upload-Metadata', 'has an empty key')
    if (more.length > 0 || !BASE64.test(value)) throw badHeader('Upload-Metadata', 'must be pairs of a key and a base64 value')
    if (metadata.has(key)) throw badHeader('Upload-Metadata', 'has a key twice')
    metadata.set(key, Buffer.from(value, 'base64'))
  }
  return metadata
}

/** The values that are text (UTF-8), as the record's `metadata`. */
export function textsOf (metadata: TusMetadata): JsonObject {
  return Object.fromEntries([...metadata].filter(([, bytes]) => isUtf8(bytes)).map(([key, bytes]) => [key, Buffer.from(bytes).toString()]))
}

/** The first of `keys` that has a text. */
export function textAt (metadata: TusMetadata, ...keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const bytes = metadata.get(key)
    if (bytes !== undefined && bytes.length > 0 && isUtf8(bytes)) return Buffer.from(bytes).toString()
  }
  return undefined
}
