import type { Upload } from '../../upload.js'

/** Length of all parts together, in bytes; null while one is unknown. */
export function sumOf (parts: readonly Upload[]): number | null {
  return parts.reduce<number | null>((sum, { size }) => sum === null || size === null ? null : sum + size, 0)
}

/** Bytes of this user in the parts; a part that is named several times counts once. */
export function bytesOfUser (user: Upload['user'], parts: readonly Upload[]): number {
  return [...new Set(parts)].filter(part => part.user === user).reduce((sum, { size }) => sum + (size ?? 0), 0)
}
