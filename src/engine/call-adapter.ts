import { StorageFull, StorageTrouble, StorageUnusable, UploadGone } from '../errors.js'

/** The storage has no place for these bytes: EFBIG says so of one file, whose bytes reach farther than the storage's files can. */
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** No retry of the client's changes these: names that no file can have, things in the way, and what the host may not do there. */
const FOR_GOOD: ReadonlySet<string> = new Set([
  'ENAMETOOLONG', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EROFS', 'EINVAL', 'EILSEQ', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS',
  // On Windows these pass, as when another program has the file open.
  ...process.platform === 'win32' ? [] : ['EACCES', 'EPERM']
])

/** What a failure of an adapter means to a client; errors that already have a status stay as they are. */
export function toUploadError (cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (typeof code === 'string' && code.startsWith('FST_CHUNKED_UPLOAD_')) return cause
  // The record has been shrunk, or will be: the next try finds what is there.
  if (shortOf(cause) !== undefined) return new StorageTrouble({ cause })
  // By its name: an adapter may have the class from the package's other build.
  if (cause instanceof Error && cause.name === 'StorageLost') return new UploadGone({ cause })
  if (typeof code !== 'string') return new StorageTrouble({ cause })
  if (NO_ROOM.has(code)) return new StorageFull({ cause })
  return FOR_GOOD.has(code) ? new StorageUnusable({ cause }) : new StorageTrouble({ cause })
}

/** The bytes that are there, of an error which says that they are fewer than the record says; undefined for any other one. */
export function shortOf (error: unknown): number | undefined {
  const cause = error instanceof StorageTrouble ? error.cause : error
  return cause instanceof Error && cause.name === 'StorageShort' && 'bytes' in cause && typeof cause.bytes === 'number'
    ? cause.bytes
    : undefined
}

/** Asks an adapter, and says of a failure what it means to a client. */
export async function callAdapter<T> (question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (cause) {
    throw toUploadError(cause)
  }
}
