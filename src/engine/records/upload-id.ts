import { createHash, randomBytes } from 'node:crypto'

/**
 * A new upload id: a UUID of version 7 (RFC 9562) as 32 lower-case hex digits. Its 74 random bits cannot be guessed, and ids sort by
 * their time, so that a listing needs no other order.
 */
export function newUploadId (now = Date.now()): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now, 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex')
}

/**
 * The id of an upload that is known by what it is made of: the same `key` has the same id. A UUID of version 8 (RFC 9562), as 32 lower-case
 * hex digits. It is as hard to guess as the key, and sorts by the newest of `sources`, the ids of the uploads that it is made of.
 */
export function derivedUploadId (key: string, sources: readonly string[]): string {
  const bytes = createHash('sha256').update(key).digest().subarray(0, 16)
  const newest = sources.reduce((latest, id) => id > latest ? id : latest, '').slice(0, 12)
  bytes.writeUIntBE(/^[0-9a-f]{12}$/.test(newest) ? parseInt(newest, 16) : 0, 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex')
}
