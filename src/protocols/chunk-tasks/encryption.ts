import type { FastifyRequest } from 'fastify'
import type { FileKey } from '../../engine/index.js'
import type { JsonObject, Upload, UserId } from '../../upload.js'
import type { Caller } from '../contract.js'

/** What encrypts and decrypts stored bytes, as `encryptedStorage()` does it. */
export interface Encryption {
  /** What has to be known to encrypt with this password, but not to decrypt. Slow on purpose. */
  seal (password: string, asker: KeyAsker): Promise<JsonObject>
  /** The key of a file. @throws {PasswordWrong} */
  unlock (upload: Upload, password: string, asker: KeyAsker): Promise<FileKey>
}

/** For whom a password is checked: passwords of users and addresses take turns. */
export interface KeyAsker {
  readonly user: UserId | null
  readonly address: string
  /** Aborts when the client has left. */
  readonly signal: AbortSignal | undefined
}

export function askerOf ({ user, gone }: Caller, { ip }: FastifyRequest): KeyAsker {
  return { user, address: ip, signal: gone?.() }
}
