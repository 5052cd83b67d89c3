import fs from 'node:fs'
import { access, rename } from 'node:fs/promises'
import path from 'node:path'
import { addAbortSignal } from 'node:stream'
import { checkDirectory } from '../../folders.js'
import { checkByRules } from '../../option-rules.js'
import { type JsonObject, type Upload, storedEnd } from '../../upload.js'
import { StorageLost, StorageShort } from '../contract.js'
import type { Storage, WriteProgress } from '../contract.js'
import { epochOf } from './epoch.js'
import { fittingFolder } from './names.js'
import { finishFile, identityOf, placeOfFile, readNote, removeMoved, sizeOf } from './finish.js'
import { Folders, atLocation, codeOf, locationFile, relativeFile, relativePath, removeFile } from './paths.js'
import { placeOf, triedTarget, withFile } from './place.js'
import { FileRange } from './read.js'
import { LentBuffers, filesAsBatches } from './concat.js'
import { writeBatches } from './write.js'
import { assertForeign, assertOutside } from './own-files.js'
import { compileStrftime } from './strftime.js'
import { unlimited } from '../unlimited.js'
import { rules } from './options.rules.js'

export interface DiskStorageOptions {
  /** Root of all files, resolved once against the working directory. @default '.' */
  readonly directory?: string | undefined
  /**
   * Folder of a new upload below `directory`: a strftime pattern filled with the time of creation in UTC, or a function.
   * @default 'chunked_uploads/%Y/%m/%d'
   */
  readonly path?: string | ((upload: Upload) => string) | undefined
  /** Ending of unfinished files. @default '.part' */
  readonly incompleteExt?: string | undefined
  /** Ending of finished files that got no location of their own; may equal `incompleteExt`. @default '.done' */
  readonly completeExt?: string | undefined
  /**
   * What a confirmed byte survives. `process`: a kill of the process. `disk`: a power cut too, at the price of an fdatasync every
   * 64 MiB and at the end of each request.
   * @default 'process'
   */
  readonly durability?: 'process' | 'disk' | undefined
  /** Permission bits of new files, less the umask. @default 0o666 */
  readonly mode?: number | undefined
}

/**
 * Keeps each upload in one file of its own on a local disk, or on a network file system with POSIX rules.
 * @throws {InvalidOption}
 * @throws {Error} when `path` is no strftime pattern, or leads out of `directory`
 */
export function diskStorage (options: DiskStorageOptions = {}): Storage {
  checkByRules('diskStorage', options, rules)
  const {
    directory = '.', path: pattern = 'chunked_uploads/%Y/%m/%d', incompleteExt = '.part', completeExt = '.done', durability, mode = 0o666
  } = options
  const durable = durability === 'disk'
  const folders = new Folders(path.resolve(directory), durable)
  const epoch = durable ? 'disk' : epochOf(folders.root)
  const folderOf = typeof pattern === 'function' ? pattern : datedFolder(pattern)

  const endings = [incompleteExt, completeExt]
  const reserved = [path.join(folders.root, '.chunked_uploads')]

  /** The place that the host wants. @throws {LocationInvalid} */
  const targetFile = async (target: string, { id }: Upload): Promise<string> => {
    const file = locationFile(target)
    assertForeign(file, { id, endings })
    await atLocation(() => assertOutside(folders.root, file, reserved))
    return file
  }

  const planOf = (upload: Upload): JsonObject => {
    if (!/^[\w-]+$/.test(upload.id)) {
      throw new Error(`Upload id ${JSON.stringify(upload.id)} has other characters than letters, digits, - and _`)
    }
    const folder = fittingFolder(relativePath(folderOf(upload), 'path'))
    assertForeign(folder, { id: '', endings })
    const place = path.posix.join(folder, upload.id)
    return { part: place + incompleteExt, done: place + completeExt }
  }

  const filesOf = (upload: Upload): string[] => {
    if (upload.status === 'complete') return [relativeFile(upload.location, 'location')]
    const { part, done } = placeOf(upload)
    // The second one after a crash between moving the file and writing down that it is complete.
    return [part, done]
  }

  /** Where a finish has put the file of an upload that never became complete; undefined for nowhere. */
  const astray = async (upload: Upload): Promise<string | undefined> => {
    const target = triedTarget(upload)
    const { file } = placeOf(upload)
    if (target === undefined || file === undefined) return undefined
    return await placeOfFile(folders, { id: upload.id, target, identity: file })
  }

  /** As {@link astray}, also of one that had to be copied, and is another file since. */
  const elsewhere = async (upload: Upload): Promise<string | undefined> => {
    const place = await astray(upload)
    if (place !== undefined || upload.status === 'complete') return place
    return await readNote(folders, placeOf(upload))
  }

  const located = (file: string | undefined): string | undefined => file === undefined ? undefined : folders.absolute(file)

  /** The file of an upload, as a path relative to the root. @throws {StorageLost} */
  const fileOf = async (upload: Upload): Promise<{ readonly file: string, readonly size: number }> => {
    for (const file of filesOf(upload)) {
      const size = await sizeOf(folders.absolute(file))
      if (size !== undefined) return { file, size }
    }
    const file = await elsewhere(upload)
    const size = file === undefined ? undefined : await sizeOf(folders.absolute(file))
    if (file !== undefined && size !== undefined) return { file, size }
    // A disk that is not mounted has lost nothing.
    await access(folders.root)
    throw new StorageLost('The file is gone')
  }

  async function fill (
    upload: Upload, start: number, batches: AsyncIterable<readonly Uint8Array[]>, progress: WriteProgress
  ): Promise<void> {
    const fd = await openFirst(filesOf(upload).map(file => folders.absolute(file)), async () => located(await astray(upload)))
    try {
      await assertStored(fd, upload)
      // The record learns with the first bytes which file it is, so that creating an upload saves it once, not twice.
      let news = placeOf(upload).file === undefined ? withFile(await identityOf(fd)) : undefined
      const confirm = (end: number): void => {
        progress.confirm(end, news)
        news = undefined
      }
      await writeBatches(fd, start, batches, { confirm, release: end => progress.release?.(end), durable, stored: storedEnd(upload) })
    } catch (error) {
      await close(fd).catch(() => {})
      throw error
    }
    await close(fd)
  }

  return {
    capabilities: unlimited,

    ...epoch !== undefined && { epoch },

    async prepare () {
      await checkDirectory(folders.root)
    },

    plan: planOf,

    async create (upload) {
      // None from a storage around another one that does not pass it on.
      const storageState = upload.storageState ?? planOf(upload)
      const { part } = placeOf({ ...upload, storageState })
      if (typeof pattern === 'function') await assertOutside(folders.root, part, reserved)
      await folders.entering(part, async file => { await close(await open(file, 'wx', mode)) })
      return storageState
    },

    async write (upload, start, batches, progress) {
      await fill(upload, start, batches, progress)
    },

    async finish (upload) {
      const { part, done, note, file } = placeOf(upload)
      const target = upload.target === undefined ? done : await targetFile(upload.target, upload)
      const plan = { id: upload.id, size: upload.size, sources: [part, done], target, ownName: target === done, identity: file, note }
      const finish = async (): Promise<string> => await finishFile(folders, plan, durable)
      return upload.target === undefined ? await finish() : await atLocation(finish)
    },

    async checkTarget (upload) {
      if (upload.target !== undefined) await targetFile(upload.target, upload)
    },

    reserve (more) {
      reserved.push(...more)
    },

    async reopen (upload) {
      const { part, done } = placeOf(upload)
      if (part === done) return
      await folders.entering(part, file => rename(folders.absolute(done), file))
      await folders.sync(done)
    },

    read (upload, range, { signal } = {}) {
      const bytes = new FileRange(filesOf(upload).map(file => folders.absolute(file)), range, {
        expected: storedEnd(upload), last: async () => located(await elsewhere(upload))
      })
      return signal === undefined ? bytes : addAbortSignal(signal, bytes)
    },

    async stored (upload) {
      return (await fileOf(upload)).size
    },

    async sync (upload) {
      await folders.syncFile((await fileOf(upload)).file)
    },

    async remove (upload) {
      // Never planned, so nothing is here.
      if (upload.storageState === null) return
      const { part, done, note } = placeOf(upload)
      await removeMoved(folders, { id: upload.id, note })
      const place = await astray(upload)
      if (place !== undefined) await removeFile(folders.absolute(place))
      for (const file of new Set([...filesOf(upload), part, done])) await removeFile(folders.absolute(file))
      await folders.prune(part)
    },

    async concat (upload, parts, progress, signal) {
      const files = parts.map(part => ({ file: folders.absolute(relativeFile(part.location, 'location')), size: part.size }))
      const memory = new LentBuffers()
      const batches = filesAsBatches(files, memory, signal)
      const release = (end: number): void => { memory.release(end) }
      try {
        await fill(upload, 0, batches, {
          confirm: (end, change) => {
            release(end)
            progress.confirm(end, change)
          },
          release
        })
      } finally {
        // What still reads a part ends before the upload is let go.
        memory.close()
        await batches.return()
      }
    },

    localPath (upload) {
      return folders.absolute(upload.status === 'complete' ? relativeFile(upload.location, 'location') : placeOf(upload).part)
    }
  }
}

/** @throws {Error} when the pattern is no strftime, or leads out of the directory */
function datedFolder (pattern: string): (upload: Upload) => string {
  const format = compileStrftime(pattern)
  relativePath(format(0), 'path')
  return upload => format(upload.createdAt)
}

// The callback API: a descriptor of fs/promises costs a small request several times as much.
function open (file: string, flags: string, mode?: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(file, flags, mode, (error, fd) => error === null ? resolve(fd) : reject(error))
  })
}

function close (fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, error => error ? reject(error) : resolve())
  })
}

/** Opens the first of `files` that is there, or what `last` finds when there is none. @throws {StorageLost} */
async function openFirst (files: readonly string[], last: () => Promise<string | undefined>): Promise<number> {
  const [file = await last(), ...others] = files
  if (file === undefined) throw new StorageLost('The file is gone')
  try {
    return await open(file, 'r+')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    if (files.length === 0) throw new StorageLost('The file is gone', { cause: error })
    return await openFirst(others, last)
  }
}

/** What a truncation or a power cut took is found before a byte is written after it. @throws {StorageShort} */
async function assertStored (fd: number, upload: Upload): Promise<void> {
  const expected = storedEnd(upload)
  if (expected === 0) return
  const size = await new Promise<number>((resolve, reject) => {
    fs.fstat(fd, (error, stats) => error === null ? resolve(stats.size) : reject(error))
  })
  if (size < expected) throw new StorageShort(size, expected)
}
