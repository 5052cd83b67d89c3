import type { JsonObject, Upload } from '../../upload.js'

/** What encrypts and decrypts stored bytes, as `encryptedStorage()` does it. */
export interface Encryption {
  /** What has to be known to encrypt with this password, but not to decrypt. Slow on purpose. */
  seal (password: string): Promise<JsonObject>
  /** The key of a file. @throws {PasswordWrong} */
  unlock (upload: Upload, password: string): Promise<FileKey>
  /** Reads the file within `work`, which may go on after this call has returned. */
  using<T> (file: FileKey, work: () => T): T
}

/** A key in memory: for the time of a request. */
export interface FileKey {
  readonly uploadId: string
}
