import type { Upload } from '../../upload.js'

/** Length of what the parts make together, in bytes; null while one is unknown. */
export function sumOf (parts: readonly Upload[]): number | null {
  return parts.reduce<number | null>((sum, { size }) => sum === null || size === null ? null : sum + size, 0)
}

/** Bytes that this user has in the parts; those of one that is named several times are stored once. */
export function bytesOfUser (user: Upload['user'], parts: readonly Upload[]): number {
  return [...new Set(parts)].filter(part => part.user === user).reduce((sum, { size }) => sum + (size ?? 0), 0)
}
