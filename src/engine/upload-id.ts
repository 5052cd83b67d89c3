import { randomBytes } from 'node:crypto'

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
