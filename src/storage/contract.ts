import type { Readable } from 'node:stream'
import type { ByteRange, ChecksumState, CompleteUpload, JsonValue, Upload } from '../upload.js'

/**
 * Where bytes live. The engine calls under its locks: per upload either one sequential writer, or several
 * writers of ranges that do not overlap (only with `anyOffset`). Adapters know no rule of uploads.
 *
 * Errors: throw what the service throws. The engine answers 507 to ENOSPC, EDQUOT and EFBIG, 410 to {@link StorageLost}, 500 to what
 * stays as it is until the host mends it (EACCES, EROFS, ENOTDIR …), and 503 to everything else but the package's own errors:
 * `errors.LocationInvalid` says that `upload.target` can never work.
 * Where fewer bytes are there than the record says, `write`, `finish`, `read` and `concat` throw {@link StorageShort}: `write` and `read`
 * before the first byte, and `write` also before further ones that would hide the gap. The record shrinks to what is there, and the
 * client hears from where to send again.
 */
export interface Storage {
  readonly capabilities: StorageCapabilities
  /** True when everything is gone with the process: then the default metadata are in memory, too. */
  readonly volatile?: boolean
  /**
   * Called once, when the plugin registers. Throws where nothing that is asked for later could work (a folder that cannot be written):
   * then the server does not start. Trouble that may pass, such as a full disk or a service that is away, is no reason.
   */
  prepare?(): Promise<void>
  /**
   * Names the time within which confirmed bytes stay without a sync: the boot of the machine. `disk` where a confirmed byte survives a
   * power cut. An upload whose bytes are of another epoch is compared with them before it is used, and synced. Left out where no such
   * time ends, and where servers of several machines share the bytes.
   */
  readonly epoch?: string
  /**
   * What the record of a new upload says as `storageState` before `create` is called: enough for `remove` to find whatever `create` makes,
   * should the server die within it. Without it that is null. Touches nothing.
   */
  plan?(upload: Upload): JsonValue
  /**
   * Prepares the place of a new upload, whose `storageState` is the plan.
   * @returns the adapter's first `storageState`
   */
  create (upload: Upload): Promise<JsonValue>
  /**
   * Writes the batches one after the other from byte `start`. `batches` never throws: it ends when the body ended,
   * was cut, or must stop; the adapter then brings in what it has and returns. A batch is a list of buffers; their
   * bytes stay as they are until they are confirmed or released, and no longer. Bytes that were there before are replaced.
   */
  write (upload: Upload, start: number, batches: AsyncIterable<readonly Uint8Array[]>, progress: WriteProgress): Promise<void>
  /**
   * Makes the file whole and final: exactly `upload.size` bytes, at its last place: `upload.target`, or where the adapter likes without
   * one. Another file that is there already stays. Idempotent: it is called again after a crash. Where the host has a say in the file, it
   * is called without a target before the host is asked, and with the target after.
   * @returns the location, in the adapter's own terms
   */
  finish (upload: Upload & { readonly size: number }): Promise<string>
  /** Throws `errors.LocationInvalid` where `upload.target` can never be the place of a file: asked before the host is. */
  checkTarget?(upload: Upload): void | Promise<void>
  /** Told once of the absolute folders of records and locks, below which no file may come. */
  reserve?(folders: readonly string[]): void
  /** The host has refused a file that was finished without a target: an adapter may put it back where unfinished ones are. */
  reopen?(upload: Upload): Promise<void>
  /**
   * The bytes of `range`, of an unfinished upload too, and never one less: where they are gone or too few, the stream errors. Once the
   * signal of `options` aborts, it errors soon, also while a service has not answered yet.
   */
  read (upload: Upload, range: ByteRange, options?: ReadOptions): Readable
  /**
   * Removes all bytes and whatever else the upload occupies, also of one that was finished but never became complete: its bytes may be at
   * `upload.target` by then. Of one that is only planned there may be nothing, or all that `create` makes. Idempotent.
   */
  remove (upload: Upload): Promise<void>
  /**
   * Fills `upload` from byte 0 with the whole of `parts`, in their order, without sending the bytes through the client. Once `signal`
   * aborts, a request waits for the end of it: the adapter comes to an end soon, with whatever it has. It may be called again, from the
   * start.
   */
  concat?(upload: Upload, parts: readonly CompleteUpload[], progress: WriteProgress, signal: AbortSignal): Promise<void>
  /** Path of a local file that holds the bytes at their own offsets, for readers off the event loop; undefined for none. */
  localPath?(upload: Upload): string | undefined
  /** What records may hold of the running checksum, for a storage that keeps its bytes secret: a state in clear contains some of them. */
  readonly checksumStates?: ChecksumStates
  /**
   * Bytes from byte 0 on that are there, as far as can be told without reading them. Of a file with gaps the end of the last range.
   * @throws {StorageLost} when there is no file
   */
  stored?(upload: Upload): Promise<number>
  /**
   * Brings the bytes of an upload, finished or not, and the way to them, to the disk. When it fails the engine takes none of the bytes for
   * granted: a second try of the system may succeed without them. Needed with an `epoch`.
   * @throws {StorageLost} when there is no file
   */
  sync?(upload: Upload): Promise<void>
  /** False for an upload whose bytes cannot be compared with a checksum, as they are encrypted. Default: true */
  verifiable?(upload: Upload): boolean
  /** Called when the plugin closes. Only for what the adapter itself opened. */
  close?(): Promise<void>
}

/** What one read needs beside the place of the bytes. */
export interface ReadOptions {
  /** Opens an encrypted file. A storage that made no keys passes over it. */
  readonly key?: FileKey | undefined
  /** Aborts once the bytes are not wanted any more. */
  readonly signal?: AbortSignal | undefined
}

/** The key of one file, in memory for the time of a request. What it holds is known to the storage that made it alone. */
export interface FileKey {
  readonly uploadId: string
}

/** Turns the state of the running checksum into what is stored, and back. The offset stays as it is. */
export interface ChecksumStates {
  seal (upload: Upload, state: ChecksumState): ChecksumState
  /** @returns null for a state that cannot be opened here: the checksum begins again, where the bytes can be read */
  open (upload: Upload, sealed: ChecksumState): ChecksumState | null
}

export interface StorageCapabilities {
  /** Ranges may be written in any order and side by side. */
  readonly anyOffset: boolean
  /** Bytes: smallest chunk of a grid but the last one; 1 when there is no such rule. */
  readonly minChunkSize: number
  /** Bytes: largest chunk of a grid. */
  readonly maxChunkSize: number
  readonly maxChunks: number
  /** Bytes: largest file. */
  readonly maxSize: number
}

export interface WriteProgress {
  /**
   * Everything from `start` to `end` is stored so that it survives a kill of the process. Called in order, as often as the
   * adapter likes, the last time before `write` resolves. `change` turns the record's newest `storageState` into the next one.
   */
  confirm (end: number, change?: (state: JsonValue) => JsonValue): void
  /** The buffers up to `end` are no longer read. Only worth telling where it is long before they are confirmed. */
  release? (end: number): void
}

/** Thrown by an adapter whose bytes are gone for good (a deleted file, an aborted multipart upload). */
export class StorageLost extends Error {
  override name = 'StorageLost'
}

/** Thrown by an adapter that has fewer bytes of an upload than its record says, `bytes` from byte 0 on. */
export class StorageShort extends StorageLost {
  override name = 'StorageShort'

  constructor (readonly bytes: number, expected: number, options?: ErrorOptions) {
    super(`The file has ${bytes} of ${expected} bytes`, options)
  }
}
