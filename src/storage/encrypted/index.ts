import { type KeyObject, randomBytes } from 'node:crypto'
import { addAbortSignal, Readable } from 'node:stream'
import { ChunkSizeRefused, PasswordRequired } from '../../errors.js'
import { type Rule, checkByRules, kinds, notCalled } from '../../option-rules.js'
import type { JsonObject, JsonValue, Upload } from '../../upload.js'
import { type FileKey, type Storage, StorageShort, type WriteProgress } from '../contract.js'
import { type SealedFile, decrypted, encrypted } from './bytes.js'
import { type ScryptCost, type Seal, newSeal, openSeal, sealOf } from './keys.js'
import { clearOffset, storedOffset, storedRanges, stride } from './layout.js'
import { ChecksumStateSeal } from './states.js'
import type { PasswordAsker } from './password-checks.js'
import { rules } from './options.rules.js'

export type { FileKey } from '../contract.js'
export type { ScryptCost } from './keys.js'
export type { PasswordAsker } from './password-checks.js'

export interface EncryptedStorageOptions {
  /** Clear bytes that are encrypted, and have to be read, together. @default 65536 */
  readonly segmentSize?: number | undefined
  /** What a guess at a password costs (scrypt): time and `128 · cost · blockSize` bytes of memory. @default 32 MiB: 2 ** 15, 8, 1 */
  readonly scrypt?: ScryptCost | undefined
  /**
   * A secret of the servers, 32 bytes or more and the same for all of them, that seals the running checksum in the records: with it an
   * upload goes on over restarts and servers and its hash is still verified without the password. Keep it apart from records and files:
   * together with them it gives away some of the bytes.
   * @default random for each process: after a change of the process the completion needs the password
   */
  readonly stateSecret?: Uint8Array | string | undefined
}

export interface EncryptedStorage extends Storage {
  /**
   * What an upload needs as `encryption` in its `protocolState` to be encrypted for this password. The password is not in it:
   * with it a server can encrypt, and only a client with the password can read. Takes a good part of a second of another thread.
   * @param asker whose password it is: users and addresses take turns, and only so many may wait. Left out for the host's own.
   * @throws {TooManyPasswords} {@link ClientGone} when the asker's signal aborts while it waits
   */
  seal (password: string, asker?: PasswordAsker): Promise<JsonObject>
  /**
   * The key of an encrypted upload, for the `options` of a read.
   * @param asker as for {@link seal}
   * @throws {PasswordWrong} {@link PasswordRequired} when the upload is not encrypted, and as {@link seal}
   */
  unlock (upload: Upload, password: string, asker?: PasswordAsker): Promise<FileKey>
}

/** Of the storage that is encrypted. */
const innerRule: Rule = {
  holds: kinds.storage, text: 'must be an object with create, write, finish, read, remove', explain: notCalled, required: true
}

/**
 * Encrypts files at rest, whatever storage keeps them: each chunk under a key of its own, which is locked for the public key that belongs
 * to the upload's password. So chunks come in any order and over several servers, while no server has to keep the password or the private
 * key. Files without a password pass as they are.
 *
 * An encrypted upload has a declared size and a grid of chunks, each of which is written from its start; one that is not whole does not
 * count. Its size, name and checksum are not secret; how far the checksum has come is kept sealed, see `stateSecret`.
 * @throws {InvalidOption}
 */
export function encryptedStorage (inner: Storage, options: EncryptedStorageOptions = {}): EncryptedStorage {
  checkByRules('encryptedStorage', { inner }, { inner: innerRule })
  checkByRules('encryptedStorage', options, rules)
  const { segmentSize = 64 * 1024, scrypt = { cost: 2 ** 15, blockSize: 8, parallelization: 1 } } = options
  const states = new ChecksumStateSeal(options.stateSecret ?? randomBytes(32))
  const keys = new WeakMap<FileKey, KeyObject>()

  return {
    capabilities: inner.capabilities,
    ...inner.volatile !== undefined && { volatile: inner.volatile },
    ...inner.epoch !== undefined && { epoch: inner.epoch },

    async prepare () {
      await inner.prepare?.()
    },

    plan (upload) {
      const seal = sealOf(upload.protocolState['encryption'])
      if (seal === undefined) return inner.plan?.(upload) ?? null
      const sealed = { seal, inner: null }
      const file = sealedFile(upload, sealed)
      if (stride(file.grid) > inner.capabilities.maxChunkSize || storedOffset(file.grid, file.grid.size) > inner.capabilities.maxSize) {
        throw new ChunkSizeRefused('there is no room for what encryption adds')
      }
      return { seal, inner: inner.plan?.(storedUpload(upload, sealed)) ?? null }
    },

    async create (upload) {
      const sealed = sealedState(upload)
      if (sealed === undefined) return await inner.create(upload)
      return { seal: sealed.seal, inner: await inner.create(storedUpload(upload, sealed)) }
    },

    async write (upload, start, batches, progress) {
      const sealed = sealedState(upload)
      if (sealed === undefined) return await inner.write(upload, start, batches, progress)
      const file = sealedFile(upload, sealed)
      if (start % file.grid.chunkSize !== 0) throw new Error(`Byte ${start} begins no chunk of an encrypted upload`)
      const bytes = encrypted(file, start, batches, end => { progress.release?.(end) })
      await inClear(file, inner.write(storedUpload(upload, sealed), storedOffset(file.grid, start), bytes, clearProgress(file, progress)))
    },

    async finish (upload) {
      const sealed = sealedState(upload)
      if (sealed === undefined) return await inner.finish(upload)
      const file = sealedFile(upload, sealed)
      const size = storedOffset(file.grid, file.grid.size)
      return await inClear(file, inner.finish({ ...storedUpload(upload, sealed), size }))
    },

    async checkTarget (upload) {
      await inner.checkTarget?.(upload)
    },

    reserve (folders) {
      inner.reserve?.(folders)
    },

    async reopen (upload) {
      const sealed = sealedState(upload)
      await inner.reopen?.(sealed === undefined ? upload : storedUpload(upload, sealed))
    },

    read (upload, range, options = {}) {
      const sealed = sealedState(upload)
      if (sealed === undefined) return inner.read(upload, range, options)
      const { key: fileKey, signal } = options
      const key = fileKey?.uploadId === upload.id ? keys.get(fileKey) : undefined
      const stored = storedUpload(upload, sealed)
      const bytes = Readable.from(key === undefined
        ? refused()
        : decrypted(sealedFile(upload, sealed), key, range, part => inner.read(stored, part, { signal })), { objectMode: false })
      return signal === undefined ? bytes : addAbortSignal(signal, bytes)
    },

    async remove (upload) {
      const sealed = sealedState(upload)
      await inner.remove(sealed === undefined ? upload : storedUpload(upload, sealed))
    },

    ...inner.concat !== undefined && {
      async concat (upload, parts, progress, signal) {
        if ([upload, ...parts].some(one => sealedState(one) !== undefined)) throw new PasswordRequired()
        await inner.concat?.(upload, parts, progress, signal)
      }
    } satisfies Partial<Storage>,

    ...inner.stored !== undefined && {
      async stored (upload) {
        const sealed = sealedState(upload)
        const bytes = await inner.stored?.(sealed === undefined ? upload : storedUpload(upload, sealed)) ?? 0
        return sealed === undefined ? bytes : clearOffset(sealedFile(upload, sealed).grid, bytes)
      }
    } satisfies Partial<Storage>,

    ...inner.sync !== undefined && {
      async sync (upload) {
        const sealed = sealedState(upload)
        await inner.sync?.(sealed === undefined ? upload : storedUpload(upload, sealed))
      }
    } satisfies Partial<Storage>,

    verifiable (upload) {
      return sealedState(upload) === undefined && inner.verifiable?.(upload) !== false
    },

    localPath (upload) {
      return sealedState(upload) === undefined ? inner.localPath?.(upload) : undefined
    },

    checksumStates: {
      seal (upload, state) {
        return sealedState(upload) === undefined ? inner.checksumStates?.seal(upload, state) ?? state : states.seal(upload, state)
      },
      open (upload, saved) {
        if (sealedState(upload) !== undefined) return states.open(upload, saved)
        return inner.checksumStates === undefined ? saved : inner.checksumStates.open(upload, saved)
      }
    },

    async close () {
      await inner.close?.()
    },

    async seal (password, asker) {
      return await newSeal({ password, asker }, { ...scrypt, segmentSize })
    },

    async unlock (upload, password, asker) {
      const sealed = sealedState(upload)
      if (sealed === undefined) throw new PasswordRequired()
      const file = { uploadId: upload.id }
      keys.set(file, await openSeal(sealed.seal, { password, asker }))
      return file
    }
  }
}

/** The `storageState` of an encrypted upload; those of others are the inner storage's own. */
interface SealedState {
  readonly seal: Seal
  readonly inner: JsonValue
}

function sealedState ({ storageState: state }: Upload): SealedState | undefined {
  if (typeof state !== 'object' || state === null || !('seal' in state) || !('inner' in state)) return undefined
  const seal = sealOf(state.seal)
  return seal === undefined ? undefined : { seal, inner: state.inner ?? null }
}

/** @throws {ChunkSizeRefused} */
function sealedFile ({ id, size, chunkSize }: Upload, { seal }: SealedState): SealedFile {
  if (size === null || chunkSize === null) throw new ChunkSizeRefused('an encrypted upload needs a size and chunks')
  return { id, seal, grid: { size, chunkSize, segmentSize: seal.segmentSize } }
}

/** The upload as the inner storage is to see it: its sizes are those of the stored bytes. */
function storedUpload<T extends Upload> (upload: T, sealed: SealedState) {
  const { grid } = sealedFile(upload, sealed)
  const size = storedOffset(grid, grid.size)
  return { ...upload, size, chunkSize: stride(grid), received: storedRanges(grid, upload.received), storageState: sealed.inner }
}

/** Of too few stored bytes, which clear ones they are. */
async function inClear<T> ({ grid }: SealedFile, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof StorageShort)) throw error
    throw new StorageShort(clearOffset(grid, error.bytes), grid.size, { cause: error })
  }
}

function clearProgress ({ grid }: SealedFile, progress: WriteProgress): WriteProgress {
  return {
    confirm: (end, change) => {
      progress.confirm(clearOffset(grid, end), change === undefined ? undefined : state => changedInner(state, change))
    }
  }
}

function changedInner (state: JsonValue, change: (inner: JsonValue) => JsonValue): JsonValue {
  if (typeof state !== 'object' || state === null || !('inner' in state)) return state
  return { ...state, inner: change(state.inner ?? null) }
}

async function * refused (): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.reject(new PasswordRequired())
}
