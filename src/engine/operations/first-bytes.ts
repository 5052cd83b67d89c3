import { PasswordRequired } from '../../errors.js'
import type { ReadOptions, Storage } from '../../storage/contract.js'
import { type UploadingUpload, offsetOf } from '../../upload.js'
import { callAdapter } from '../call-adapter.js'

/** Bytes that tell the type of a file: as many as file-type looks at. */
const ENOUGH = 4100

/** The first bytes of a file; none of one that is encrypted, without its password. @throws {UploadGone} {@link StorageTrouble} */
export async function firstBytes (storage: Storage, upload: UploadingUpload, options: ReadOptions): Promise<Uint8Array> {
  const end = Math.min(ENOUGH, offsetOf(upload))
  if (end === 0) return new Uint8Array()
  try {
    return await callAdapter(async () => await bytesOf(storage.read(upload, [0, end], options)))
  } catch (error) {
    if (error instanceof PasswordRequired) return new Uint8Array()
    throw error
  }
}

async function bytesOf (readable: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of readable) parts.push(part)
  return Buffer.concat(parts)
}
