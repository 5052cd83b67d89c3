import { open, rmdir, unlink } from 'node:fs/promises'
import path from 'node:path'
import { LocationInvalid } from '../../errors.js'
import { makeFolders } from '../../folders.js'
import { StorageLost } from '../contract.js'

/** The `code` of a system error. */
export function codeOf (error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** What a path says where no file can be, whatever the path above it is. */
const NO_PLACE: ReadonlySet<unknown> = new Set(['ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL', 'EILSEQ'])

/** True when there is no file at a path, or can be none. */
export function isAbsent (error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || NO_PLACE.has(codeOf(error))
}

/** What `work` does at a place that the host chose. @throws {LocationInvalid} when there can be no file */
export async function atLocation<T> (work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw NO_PLACE.has(codeOf(cause)) ? new LocationInvalid({ cause }) : cause
  }
}

/** Removes a file that may be gone already. */
export async function removeFile (file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/**
 * `text` as a tidy relative path with forward slashes; empty when it names the root itself.
 * @throws {Error} naming `what` when it could lead out of the root, on any platform
 */
export function relativePath (text: string, what: string): string {
  if (typeof text !== 'string' || text.includes('\0') || text.includes('\\') || text.startsWith('/') || /^[a-z]:/i.test(text)) {
    throw new Error(`${what} ${JSON.stringify(text)} is not a relative path with forward slashes`)
  }
  const segments = text.split('/').filter(segment => segment !== '' && segment !== '.')
  if (segments.includes('..')) throw new Error(`${what} ${JSON.stringify(text)} leads out of the storage's directory`)
  return segments.join('/')
}

/** A {@link relativePath} that names a file. */
export function relativeFile (text: string, what: string): string {
  const file = relativePath(text, what)
  if (file === '' || /(^|\/)\.?$/.test(text)) throw new Error(`${what} ${JSON.stringify(text)} names no file`)
  return file
}

/** As {@link relativeFile}, of where the host wants the finished file. @throws {LocationInvalid} */
export function locationFile (location: string): string {
  try {
    return relativeFile(location, 'location')
  } catch (cause) {
    throw new LocationInvalid({ cause })
  }
}

/** Folders of one storage: they come when a file needs them and go when the last file has gone. */
export class Folders {
  /** Folders whose own names {@link syncFile} has put on the disk, so that each file need not do it again. */
  readonly #known = new Set<string>()

  constructor (
    readonly root: string,
    /** Make new entries survive a power cut. */
    private readonly durable: boolean
  ) {}

  absolute (file: string): string {
    return path.join(this.root, file)
  }

  /** Runs `action`, which adds an entry for `file`, in a folder that another upload's removal may take away at any moment. */
  async entering<T> (file: string, action: (absolute: string) => Promise<T>): Promise<T> {
    const absolute = this.absolute(file)
    const folder = path.dirname(absolute)
    let created = false
    for (let attempt = 0; ; attempt++) {
      try {
        const result = await action(absolute)
        await this.sync(file, created)
        return result
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || attempt === 20) throw error
      }
      try {
        this.#forget(file)
        await makeFolders(folder)
        created = true
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
      }
    }
  }

  /** With durability: puts the folder of `file` on the disk, with `ancestors` the ones above it too. */
  async sync (file: string, ancestors = false): Promise<void> {
    if (!this.durable) return
    for (const folder of ancestors ? [...foldersAbove(file), ''] : [path.posix.dirname(file)]) await syncFolder(this.absolute(folder))
  }

  /** Puts a file, its folder and the ones above it on the disk, whatever the durability. @throws {StorageLost} */
  async syncFile (file: string): Promise<void> {
    const handle = await open(this.absolute(file), process.platform === 'win32' ? 'r+' : 'r').catch((cause: unknown) => {
      throw codeOf(cause) === 'ENOENT' ? new StorageLost('The file is gone', { cause }) : cause
    })
    try {
      // The length is metadata that reading needs, which fdatasync covers.
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await syncFolder(path.dirname(this.absolute(file)))
    for (const folder of foldersAbove(file)) {
      if (this.#known.has(folder)) return
      await syncFolder(path.dirname(this.absolute(folder)))
      this.#known.add(folder)
    }
  }

  /** Removes the folders above `file` that are empty now, never the root. */
  async prune (file: string): Promise<void> {
    this.#forget(file)
    for (const folder of foldersAbove(file)) {
      try {
        await rmdir(this.absolute(folder))
      } catch (error) {
        // A folder in use stays. Any other trouble is no reason to fail either: the file itself has gone.
        if (codeOf(error) !== 'ENOENT') return
      }
    }
  }

  #forget (file: string): void {
    for (const folder of foldersAbove(file)) this.#known.delete(folder)
  }
}

/** One that is gone has no names to keep: another upload was the last in it, and took it away. */
async function syncFolder (folder: string): Promise<void> {
  // Windows cannot and need not.
  if (process.platform === 'win32') return
  try {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/** The folders of a relative path, deepest first, without the root. */
function foldersAbove (file: string): string[] {
  const segments = file.split('/').slice(0, -1)
  return segments.map((_, index) => segments.slice(0, segments.length - index).join('/'))
}
