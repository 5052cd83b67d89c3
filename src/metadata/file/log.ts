import { randomBytes } from 'node:crypto'
import { close, constants, fdatasync, open, read, readSync, write } from 'node:fs'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { currentRecord } from '../../record-format.js'
import type { Upload } from '../../upload.js'
import { isMissing } from './directory.js'

const openFile = promisify(open)
const closeFile = promisify(close)
const readFile = promisify(read)
const writeFile = promisify(write)
const syncFile = promisify(fdatasync)

/** Enough for what one update adds; the first read of a long log takes a few turns. */
const READ_SIZE = 4000

/** Lines that other processes may have torn (a full disk) make a writer try again on a fresh line, this often. */
const WRITE_ATTEMPTS = 5

const NEWLINE = 0x0A

/** What ends a log: the record went on in another file, or was deleted. */
export type LogEnd = { readonly next: string } | 'deleted'

export type LogState =
  | { readonly kind: 'record', readonly line: string, readonly size: number }
  | { readonly kind: 'ended', readonly end: LogEnd }
  /** No record in it, but for the beginning of one where there is no `line`: another process is just creating it, or died doing so. */
  | { readonly kind: 'empty', readonly line: boolean }
  /** The descriptor was given back: open the log anew. */
  | { readonly kind: 'closed' }

export interface Appended {
  readonly won: boolean
  readonly state: LogState
  readonly before: Upload['status']
}

/**
 * The history of one record: a file that is only ever appended to, one JSON line a version. Compare-and-set without any lock:
 * appends of several processes get an order from the kernel (O_APPEND), and **the first line with version n + 1 behind
 * the valid line of version n is valid, every other one is not**. A writer appends and reads back what came since it looked
 * last: it has won if its own line is the valid one. All readers judge the same lines by the same rule, so there is exactly one winner
 * of each version and no instant between two states. In detail:
 *
 * - Two writers of one version: both lines are in the file, the second is void for all, and its writer sees why.
 * - A writer that slept for long appends a version that others have used: void, as the lines before it say so.
 * - A line that ends or moves the record is a version like any other. A writer who still has the old file open appends
 *   behind that line, reads it, and opens the new file.
 * - A writer that dies leaves a whole line or none, or, on a full disk or after a power cut, half a line. That is no JSON, and neither is
 *   the line that the next writer glues to it: that writer finds its line void though no other won, and appends it once more.
 * - A reader who sees half of a line that is being written ignores it until its line feed is there.
 *
 * As bytes of one file never change, a reader who keeps the file open only has to look for bytes beyond those it knows.
 */
export class RecordLog {
  readonly #descriptor: number
  /** Bytes that have been judged: up to and including the last line feed. */
  #judged = 0
  #version = 0
  #line = ''
  #status: Upload['status'] = 'uploading'
  #end: LogEnd | undefined
  #closed = false
  /** One operation at a time within this process. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor (descriptor: number) { this.#descriptor = descriptor }

  /** @returns undefined when there is no such file */
  static async open (path: string): Promise<RecordLog | undefined> {
    try {
      return new RecordLog(await openFile(path, constants.O_RDWR | constants.O_APPEND))
    } catch (cause) {
      if (isMissing(cause)) return undefined
      throw cause
    }
  }

  /**
   * A new log with the first version in it, or none at all.
   * @throws when there is such a file already
   */
  static async create (path: string, record: Upload, durable: boolean): Promise<RecordLog> {
    const line = JSON.stringify(record)
    const log = new RecordLog(await openFile(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL, 0o666))
    try {
      const bytes = Buffer.from(`${line}\n`)
      await log.#write(bytes)
      if (durable) await syncFile(log.#descriptor)
      log.#judged = bytes.length
      log.#judge(line)
      return log
    } catch (cause) {
      // A full disk leaves half a line behind.
      await log.close()
      await rm(path, { force: true })
      throw cause
    }
  }

  /** The newest state. One small read when nothing has changed. */
  state (): Promise<LogState> {
    return this.#next(async () => {
      if (!this.#closed) await this.#catchUp()
      return this.known()
    })
  }

  /**
   * Appends `entry` as version `version`, if the newest is the one before.
   * @returns whether it won, the state after it, and the status before it
   */
  append (version: number, entry: string, durable: boolean): Promise<Appended> {
    return this.#next(async () => {
      if (!this.#closed && this.#version < version - 1) await this.#catchUp()
      const before = this.#status
      for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
        if (this.#closed || this.#end !== undefined || this.#version !== version - 1) return { won: false, state: this.known(), before }
        // Equal records of two writers differ by this, so that each knows its own.
        const line = `[${entry},"${randomBytes(6).toString('base64url')}"]`
        await this.#write(Buffer.from(`${line}\n`))
        if (await this.#catchUp(line)) {
          if (durable) await syncFile(this.#descriptor)
          return { won: true, state: this.known(), before }
        }
      }
      throw new Error('a record could not be appended to its file')
    })
  }

  /** The state as last seen. */
  known (): LogState {
    if (this.#closed) return { kind: 'closed' }
    if (this.#end !== undefined) return { kind: 'ended', end: this.#end }
    if (this.#version === 0) return { kind: 'empty', line: this.#judged > 0 }
    return { kind: 'record', line: this.#line, size: this.#judged }
  }

  /** Idempotent. Waits for the operation that is under way. */
  close (): Promise<void> {
    return this.#next(async () => {
      if (this.#closed) return
      this.#closed = true
      await closeFile(this.#descriptor)
    })
  }

  #next<T> (operation: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(operation)
    this.#turn = result.catch(() => {})
    return result
  }

  async #write (bytes: Buffer): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      written += (await writeFile(this.#descriptor, bytes, written, bytes.length - written, null)).bytesWritten
    }
  }

  /**
   * Judges the lines that are new. Only a log that was just opened is read in the thread pool: behind its known bytes there is nothing, or
   * what a process of this machine wrote a moment ago, so the kernel answers from memory, in a tenth of the time that the pool takes.
   * @returns whether `own` is a valid one
   */
  async #catchUp (own?: string): Promise<boolean> {
    const parts: Buffer[] = []
    let position = this.#judged
    for (let size = Math.max(READ_SIZE, (own?.length ?? 0) + 1), full = true; full; size *= 2) {
      const buffer = Buffer.allocUnsafe(size)
      const bytesRead = this.#judged > 0
        ? readSync(this.#descriptor, buffer, 0, size, position)
        : (await readFile(this.#descriptor, buffer, 0, size, position)).bytesRead
      if (bytesRead > 0) parts.push(buffer.subarray(0, bytesRead))
      position += bytesRead
      full = bytesRead === size
    }
    const [first] = parts
    if (first === undefined) return false
    const bytes = parts.length === 1 ? first : Buffer.concat(parts)
    const end = bytes.lastIndexOf(NEWLINE) + 1
    this.#judged += end
    let won = false
    for (const line of bytes.toString('utf8', 0, end).split('\n')) {
      if (line !== '' && this.#judge(line) && line === own) won = true
    }
    return won
  }

  #judge (line: string): boolean {
    const entry = parseEntry(line)
    if (entry === undefined || this.#end !== undefined || (this.#version !== 0 && entry.version !== this.#version + 1)) return false
    this.#version = entry.version
    if ('next' in entry) this.#end = { next: entry.next }
    else if ('deleted' in entry) this.#end = 'deleted'
    else {
      this.#line = line
      this.#status = entry.status
    }
    return true
  }
}

/** The record of a valid line, a new object each time. */
export function recordOf (line: string): Upload {
  const entry = parseEntry(line)
  if (entry === undefined || !('id' in entry)) throw new Error('not a record')
  return currentRecord(entry)
}

type Entry = Upload | { readonly version: number, readonly next: string } | { readonly version: number, readonly deleted: true }

/** A line is an entry, or a pair of entry and writer's mark. */
function parseEntry (line: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(line)
    const entry: unknown = Array.isArray(value) ? value[0] : value
    return isEntry(entry) ? entry : undefined
  } catch {
    return undefined
  }
}

function isEntry (value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && 'version' in value && typeof value.version === 'number' &&
    (('id' in value && typeof value.id === 'string') || ('next' in value && typeof value.next === 'string') || 'deleted' in value)
}
