/**
 * The upload that a client names in a URL or a field: 32 hex digits in any case, also with the dashes of a UUID. Empty for anything else:
 * an id that no upload has.
 */
export function readUploadId (text: unknown): string {
  const id = typeof text === 'string' ? text.replaceAll('-', '').toLowerCase() : ''
  return /^[\da-f]{32}$/.test(id) ? id : ''
}

/** An id as a UUID with dashes. */
export function uuidOf (id: string): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
