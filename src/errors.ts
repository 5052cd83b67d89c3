import { createError } from '@fastify/error'

/**
 * Every error of the package, in one table: name, code, message, HTTP status. Protocols with a wire contract of their own
 * turn these into the contract's words; everywhere else the host's error handler renders them.
 */

// ── Options, thrown when registering ────────────────────────────────────────────────────────────────────────────────
export const InvalidOption = createError('FST_CHUNKED_UPLOAD_INVALID_OPTION', 'chunked-upload: option "%s" %s', 500, TypeError)
export const NameTaken = createError(
  'FST_CHUNKED_UPLOAD_NAME_TAKEN', 'chunked-upload: this app already has "%s"; give this registration another `name`', 500
)
/** Thrown when registering, too: the protocol, what Fastify says of the route, and what to do. */
export const RouteTaken = createError<[string, string, string, { cause: unknown }]>(
  'FST_CHUNKED_UPLOAD_ROUTE_TAKEN', 'chunked-upload: protocol "%s" cannot declare a route (%s): %s', 500
)
/** Thrown when registering, too: a folder where nothing can ever be written. */
export const DirectoryUnusable = createError<[string, string, { cause: unknown }]>(
  'FST_CHUNKED_UPLOAD_DIRECTORY', 'chunked-upload: directory "%s" cannot be used: %s', 500
)

// ── Which upload ────────────────────────────────────────────────────────────────────────────────────────────────────
/** Unknown, malformed id, or another user's: one answer for all three. */
export const UploadNotFound = createError('FST_CHUNKED_UPLOAD_NOT_FOUND', 'Upload not found', 404)
export const UploadExpired = createError('FST_CHUNKED_UPLOAD_EXPIRED', 'Upload has expired', 410)
/** Removed by the client or the host, invalid by a protocol's rule, or lost by the storage. */
export const UploadGone = createError('FST_CHUNKED_UPLOAD_GONE', 'Upload is gone', 410)
export const UploadComplete = createError('FST_CHUNKED_UPLOAD_COMPLETE', 'Upload is already complete', 409)
/** The lock did not come free in time. */
export const UploadBusy = createError('FST_CHUNKED_UPLOAD_BUSY', 'Upload is in use by another request', 503)
export const TooManyUploads = createError('FST_CHUNKED_UPLOAD_TOO_MANY', 'Too many unfinished uploads: at most %d', 429)
export const UserRequired = createError('FST_CHUNKED_UPLOAD_USER_REQUIRED', 'Authentication is required', 401)

// ── Sizes and offsets ───────────────────────────────────────────────────────────────────────────────────────────────
const SizeLimitError = createError<[number]>('FST_CHUNKED_UPLOAD_TOO_LARGE', 'Size exceeds the limit of %d bytes', 413)
/** Larger than caller or storage allow: `limit` bytes. */
export class SizeLimitExceeded extends SizeLimitError {
  constructor (readonly limit: number) { super(limit) }
}

const QuotaError = createError<[number]>('FST_CHUNKED_UPLOAD_QUOTA', 'Your uploads would exceed your quota of %d bytes', 413)
/** All uploads of the user would take more than `limit` bytes together, with `wanted` more. */
export class QuotaExceeded extends QuotaError {
  constructor (readonly limit: number, readonly wanted: number) { super(limit) }
}

const SizeConflictError = createError<[number, number]>('FST_CHUNKED_UPLOAD_SIZE_CONFLICT', 'Upload has a size of %d bytes, not %d', 400)
/** The declared size contradicts the one that the upload already has. */
export class SizeConflict extends SizeConflictError {
  constructor (readonly size: number, readonly declared: number) { super(size, declared) }
}

/** More bytes than the upload's size leaves room for. */
export const BeyondSize = createError<[number]>('FST_CHUNKED_UPLOAD_BEYOND_SIZE', 'Data goes beyond the size of the upload (%d bytes)', 413)
export const ChunkSizeRefused = createError<[string]>('FST_CHUNKED_UPLOAD_CHUNK_SIZE', 'Chunk size is not possible here: %s', 400)
export const TypeNotAllowed = createError<[string]>('FST_CHUNKED_UPLOAD_TYPE', 'Files of type "%s" are not allowed', 415)

const OffsetMismatchError = createError<[number, number]>('FST_CHUNKED_UPLOAD_OFFSET', 'Offsets do not match: expected %d, got %d', 409)
/** The chunk starts elsewhere than where the stored bytes end. */
export class OffsetMismatch extends OffsetMismatchError {
  constructor (readonly expected: number, readonly provided: number) { super(expected, provided) }
}

const LengthMismatchError = createError<[number, number]>('FST_CHUNKED_UPLOAD_LENGTH', 'Body is %d bytes, %d were announced', 400)
/** The body is shorter or longer than announced. When it is longer, `actual` counts only what was read of it. */
export class LengthMismatch extends LengthMismatchError {
  constructor (readonly actual: number, readonly expected: number) { super(actual, expected) }
}

const IncompleteError = createError<[number, number]>(
  'FST_CHUNKED_UPLOAD_INCOMPLETE', 'Upload is incomplete: %d of %d bytes received', 409
)
/** Completion was asked for while bytes are missing. */
export class UploadIncomplete extends IncompleteError {
  constructor (readonly received: number, readonly size: number) { super(received, size) }
}

// ── Checksums ───────────────────────────────────────────────────────────────────────────────────────────────────────
export const ChecksumUnsupported = createError<[string]>(
  'FST_CHUNKED_UPLOAD_CHECKSUM_ALGORITHM', 'Checksum algorithm "%s" is not supported', 400
)
export const ChecksumMismatch = createError<[string]>('FST_CHUNKED_UPLOAD_CHECKSUM', 'Checksum (%s) does not match', 400)

// ── Requests that ended early ───────────────────────────────────────────────────────────────────────────────────────
/** The connection broke in the body. The answer has no reader. */
export const BodyCut = createError('FST_CHUNKED_UPLOAD_BODY_CUT', 'Request body ended early', 400)
/** The connection closed before the reply, while the file was read for it. What was found out is kept for the next request. */
export const ClientGone = createError('FST_CHUNKED_UPLOAD_CLIENT_GONE', 'Client left before its reply', 400)
/** It comes too slowly: no byte for too long, less than the lowest rate, or not whole in time, as the message says. */
export const BodyStalled = createError<[string]>('FST_CHUNKED_UPLOAD_STALLED', '%s', 408)
/** A hook of the host decodes the body, so that offsets, which count the bytes as they are sent, would be wrong for ever. */
export const BodyDecoded = createError(
  'FST_CHUNKED_UPLOAD_DECODED', 'This server decodes bodies, which breaks offsets: send the file without Content-Encoding', 415
)
/** Forms, JSON and bodies without an offset. Routes of uploads are left out of the host's decoding, as it makes offsets wrong. */
export const BodyEncoded = createError(
  'FST_CHUNKED_UPLOAD_ENCODED', 'Bodies with Content-Encoding are not read here: send it uncompressed', 415
)
/** A newer request of the same upload took over, or the upload was removed. */
export const TakenOver = createError('FST_CHUNKED_UPLOAD_TAKEN_OVER', 'A newer request has taken over this upload', 409)
export const ShuttingDown = createError('FST_CHUNKED_UPLOAD_SHUTTING_DOWN', 'Server is shutting down', 503)

// ── Request bodies of forms ─────────────────────────────────────────────────────────────────────────────────────────
export const FormInvalid = createError<[string]>('FST_CHUNKED_UPLOAD_FORM', 'Form is invalid: %s', 400)
/** The message is the parser's. */
export const JsonInvalid = createError<[string]>('FST_CHUNKED_UPLOAD_JSON', 'JSON is invalid: %s', 400)
/** A request answers for one file: another one in its form would be lost. */
export const SecondFile = createError<[string]>(
  'FST_CHUNKED_UPLOAD_SECOND_FILE', 'Form has a second file in "%s": send each file in a request of its own', 400
)
/** A client of another protocol: what it was, by which field that showed, and what the host can do. */
export const ForeignClient = createError<[string, string, string]>(
  'FST_CHUNKED_UPLOAD_FOREIGN_CLIENT', 'Request looks like one of %s (it has %s), which is not served here: %s', 400
)
export const FormTooLarge = createError<[string]>('FST_CHUNKED_UPLOAD_FORM_TOO_LARGE', 'Form is too large: %s', 413)

// ── Encryption at rest ──────────────────────────────────────────────────────────────────────────────────────────────
/** The file is encrypted, and no password was given; or there is none, as the file is in clear. */
export const PasswordRequired = createError('FST_CHUNKED_UPLOAD_PASSWORD_REQUIRED', 'This needs the password of an encrypted file', 403)
/** Each check takes long, so that only some may wait for theirs. */
export const TooManyPasswords = createError(
  'FST_CHUNKED_UPLOAD_TOO_MANY_PASSWORDS', 'Too many passwords wait to be checked: send this again in some seconds', 429
)
export const PasswordWrong = createError('FST_CHUNKED_UPLOAD_PASSWORD_WRONG', 'Password does not open this file', 403)

// ── Adapters ────────────────────────────────────────────────────────────────────────────────────────────────────────
export const StorageFull = createError('FST_CHUNKED_UPLOAD_STORAGE_FULL', 'Storage is full', 507)
/** What the host's `location` says is no place for a file, as the cause tells: no retry of the client's will change that. */
export const LocationInvalid = createError('FST_CHUNKED_UPLOAD_LOCATION', 'Finished file cannot be put where the host wants it', 500)
/** Storage, metadata or locks refuse until the host mends them: no permission, a read-only file system. The cause is in the log. */
export const StorageUnusable = createError(
  'FST_CHUNKED_UPLOAD_STORAGE_UNUSABLE', 'Storage is not set up correctly; the log of the server says why', 500
)
/** Storage, metadata or locks failed; what was acknowledged stays. The cause is in `cause` and in the log. */
export const StorageTrouble = createError('FST_CHUNKED_UPLOAD_STORAGE', 'Storage is not available', 503)
