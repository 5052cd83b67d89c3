/** The part of a file that a body is. */
export interface ContentRange {
  /** First byte; null where the request brings none (`bytes *\/20`). */
  readonly start: number | null
  /** Bytes of the part. */
  readonly length: number
  /** Bytes of the whole file; null while the client does not know it. */
  readonly total: number | null
}

/**
 * Reads the Content-Range of a request (RFC 9110, section 14.4): `bytes 0-9/20`, `bytes 0-9/*` or `bytes *\/20`. Undefined for anything
 * else: for a part that ends before its start or beyond the file, too, and for numbers that no file has.
 */
export function parseContentRange (header: string): ContentRange | undefined {
  const [, first, last, whole = ''] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/i.exec(header.trim()) ?? []
  if (whole === '' || (first === undefined && whole === '*')) return undefined
  const total = whole === '*' ? null : Number(whole)
  const start = first === undefined ? null : Number(first)
  const length = start === null ? 0 : Number(last) - start + 1
  const end = (start ?? 0) + length
  const isSound = (start === null || length > 0) && [end, total ?? 0].every(Number.isSafeInteger) && (total === null || end <= total)
  return isSound ? { start, length, total } : undefined
}
