import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { ChecksumState, Upload } from '../../upload.js'

/** Tells a sealed state from one in clear, as earlier versions kept it; base64 has no colon. */
const MARK = 'sealed:'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Seals the running checksum of encrypted uploads: its state holds the last bytes in clear, and with those of before it gives away every
 * byte between two of them. AES-256-GCM, with a key for each upload out of `secret` (HKDF-SHA-256, RFC 5869).
 */
export class ChecksumStateSeal {
  readonly #secret: Uint8Array | string

  constructor (secret: Uint8Array | string) {
    this.#secret = secret
  }

  seal (upload: Upload, { offset, state }: ChecksumState): ChecksumState {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#keyOf(upload), nonce).setAAD(Buffer.from(String(offset)))
    const sealed = Buffer.concat([nonce, cipher.update(state, 'base64'), cipher.final(), cipher.getAuthTag()])
    return { offset, state: `${MARK}${sealed.toString('base64')}` }
  }

  /** @returns null when another secret sealed it */
  open (upload: Upload, saved: ChecksumState): ChecksumState | null {
    const { offset, state } = saved
    // Written by an earlier version: the next one is sealed.
    if (!state.startsWith(MARK)) return saved
    const sealed = Buffer.from(state.slice(MARK.length), 'base64')
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#keyOf(upload), sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(String(offset))).setAuthTag(sealed.subarray(-TAG_BYTES))
      const clear = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
      return { offset, state: clear.toString('base64') }
    } catch {
      return null
    }
  }

  #keyOf ({ id }: Upload): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#secret, id, 'checksum state', 32))
  }
}
