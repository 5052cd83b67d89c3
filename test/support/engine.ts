import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Caller, type EngineOptions, type UploadDraft, UploadEngine } from '../../src/engine/index.js'
import { UploadRecords } from '../../src/engine/records/upload-records.js'
import { memoryLocks } from '../../src/locks/memory.js'
import type { Metadata } from '../../src/metadata/contract.js'
import { memoryMetadata } from '../../src/metadata/memory.js'
import type { Storage } from '../../src/storage/contract.js'
import { memoryStorage } from '../../src/storage/memory.js'
import type { ByteRange, CompleteUpload, Upload } from '../../src/upload.js'
import { DEADLINE } from './deadline.js'

/** A caller without limits; `overrides` changes it. */
export function callerOf (overrides: Partial<Caller> = {}): Caller {
  return { protocol: 'test', user: null, restricted: true, maxBytes: null, maxStored: null, hooks: {}, ...overrides }
}

export function draftOf (overrides: Partial<UploadDraft> = {}): UploadDraft {
  return {
    filename: 'file.bin',
    contentType: null,
    metadata: {},
    protocolState: {},
    size: null,
    chunkSize: null,
    checksum: null,
    expiresIn: 60_000,
    serial: false,
    ...overrides
  }
}

const adapters = new WeakMap<UploadEngine, EngineOptions>()

/** An engine on memory, unless told otherwise. */
export function engineOn (overrides: Partial<EngineOptions> = {}): UploadEngine {
  const options: EngineOptions = {
    storage: memoryStorage(),
    metadata: memoryMetadata(),
    locks: memoryLocks(),
    lockTimeout: 20_000,
    pace: { stallTimeout: 0 },
    maxOpenUploads: null,
    slidingExpiry: false,
    ...overrides
  }
  const engine = new UploadEngine(options)
  adapters.set(engine, options)
  return engine
}

/** What an engine of {@link engineOn} works with. */
export function adaptersOf (engine: UploadEngine): EngineOptions {
  const options = adapters.get(engine)
  if (options === undefined) throw new Error('the engine is made by engineOn')
  return options
}

/** The records of an engine of {@link engineOn}, for tests that change them by hand. */
export function recordsOf (engine: UploadEngine): UploadRecords {
  return new UploadRecords(adaptersOf(engine).metadata)
}

/** `storage` with some of its methods replaced. */
export function changedStorage (storage: Storage, changes: Partial<Storage>): Storage {
  return { ...storage, ...changes }
}

/** A storage in memory that takes `delay` ms longer for each write. */
export function slowStorage (delay: number): Storage {
  const memory = memoryStorage()
  return changedStorage(memory, {
    write: async (...write) => {
      await sleep(delay)
      await memory.write(...write)
    }
  })
}

/** `metadata` with some of its methods replaced. */
export function changedMetadata (metadata: Metadata, changes: Partial<Metadata>): Metadata {
  return { ...metadata, ...changes }
}

/** A whole body, in pieces of `piece` bytes. */
export function bodyOf (bytes: Uint8Array, piece = 64 * 1024): Readable {
  const pieces: Uint8Array[] = []
  for (let start = 0; start < bytes.length; start += piece) pieces.push(bytes.subarray(start, start + piece))
  return Readable.from(pieces, { objectMode: false })
}

/** A body that brings bytes when the test says so. */
export class OpenBody extends Readable {
  override _read (): void {}

  send (bytes: Uint8Array): this {
    this.push(bytes)
    return this
  }

  end (): this {
    this.push(null)
    return this
  }

  /** What a broken connection looks like. */
  cut (): this {
    this.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
    return this
  }
}

/** A body that brings `bytes` and then nothing, as a half-open connection does. */
export function hangingBody (bytes: Uint8Array): OpenBody {
  return new OpenBody().send(bytes)
}

export async function bytesOf (stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

/** The stored bytes of `range`, or of all that the record says. */
export async function stored (engine: UploadEngine, upload: Upload, range: ByteRange = [0, upload.received[0]?.[1] ?? 0]): Promise<Buffer> {
  return await bytesOf(engine.read(upload, range))
}

/** The error code of a promise that rejects, `ok` of one that does not. */
export async function codeOf (promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'ok'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code).replace('FST_CHUNKED_UPLOAD_', '') : String(error)
  }
}

/** A complete upload with `bytes`. */
export async function completeOf (
  engine: UploadEngine, caller: Caller, bytes: Uint8Array, draft: Partial<UploadDraft> = {}
): Promise<CompleteUpload> {
  const { id } = await engine.create(caller, draftOf(draft))
  const { completed } = await engine.write(caller, id, { start: 0, body: bodyOf(bytes), complete: { when: 'end' } })
  if (completed === undefined) throw new Error('it is complete')
  return completed.upload
}

/** Resolves when `reached` is true, looking again and again without a fixed time. */
export async function until (reached: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + DEADLINE
  while (!await reached()) {
    if (Date.now() > end) throw new Error(`this did not come true in ${DEADLINE} ms: ${String(reached)}`)
    await new Promise(resolve => { setTimeout(resolve, 2) })
  }
}

/** Keeps this process running, as the sockets of a server would: bodies made up by a test, and the timers of the engine, do not. */
export function keepAlive (t: { teardown (fn: () => void): unknown }): void {
  const timer = setInterval(() => {}, 60_000)
  t.teardown(() => { clearInterval(timer) })
}

export interface Gate {
  readonly passed: Promise<void>
  open (): void
}

/** Something to wait for that the test opens. */
export function gate (): Gate {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => { open = resolve })
  return { passed, open }
}

export { randomBytes }
