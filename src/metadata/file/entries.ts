import { createHash } from 'node:crypto'
import { readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isMissing, isOld, isTaken, makeDirectory, namesIn, syncDirectory } from './directory.js'

/** Small integers that share a folder. */
const SERIALS_A_FOLDER = 1000

const FOLDER_ATTEMPTS = 10

/** Files whose names are all that they say, so that a question need not open every record. */
class NameIndex {
  protected readonly directory: string
  protected readonly durable: boolean

  constructor (directory: string, durable: boolean) {
    this.directory = directory
    this.durable = durable
  }

  protected async write (path: string, content: string, flag: 'w' | 'wx'): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await writeFile(path, content, { flag, flush: this.durable })
        break
      } catch (cause) {
        // No folder yet, or another process has just removed it because it was empty.
        if (!isMissing(cause) || attempt === FOLDER_ATTEMPTS) throw cause
        await makeDirectory(dirname(path), this.durable)
      }
    }
    if (this.durable) await syncDirectory(dirname(path))
  }
}

/** Ids in a folder, so that a question costs what it is about, not what is stored. An id may be too many, never missing. */
export class IdIndex extends NameIndex {
  readonly #kept: boolean

  /** @param kept false removes the folder with the last id */
  constructor (directory: string, durable: boolean, kept = true) {
    super(directory, durable)
    this.#kept = kept
  }

  async add (id: string): Promise<void> {
    await this.write(join(this.directory, id), '', 'w')
  }

  async remove (id: string): Promise<void> {
    await rm(join(this.directory, id), { force: true })
    // Not empty, or removed by another: both are fine.
    if (!this.#kept) await rmdir(this.directory).catch(() => {})
  }

  async ids (): Promise<string[]> {
    return await namesIn(this.directory)
  }

  /** Removes the id of a record that there is not, unless it may be one that is just being created. */
  async removeOrphan (id: string): Promise<void> {
    if (await isOld(join(this.directory, id))) await this.remove(id)
  }
}

/** Ids by a key: a folder for each, named by a digest, as keys can be anything. */
export class KeyedIndex {
  readonly #directory: string
  readonly #durable: boolean

  constructor (directory: string, durable: boolean) {
    this.#directory = directory
    this.#durable = durable
  }

  of (...key: ReadonlyArray<string | number | null>): IdIndex {
    return this.named(KeyedIndex.nameOf(...key))
  }

  named (name: string): IdIndex {
    return new IdIndex(join(this.#directory, name.slice(0, 2), name.slice(2)), this.#durable, false)
  }

  static nameOf (...key: ReadonlyArray<string | number | null>): string {
    return createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 34)
  }

  /** The names of all keys that have ids. */
  async names (): Promise<string[]> {
    const names: string[] = []
    for (const folder of await namesIn(this.#directory)) {
      for (const rest of await namesIn(join(this.#directory, folder))) names.push(folder + rest)
    }
    return names
  }
}

/** The small integers: `<n / 1000>/<n>`, a file that holds the id. The process that creates the file has the number. */
export class SerialIndex extends NameIndex {
  /** The highest number known to be taken; other processes may be further. */
  #highest = 0

  async next (id: string): Promise<number> {
    if (this.#highest === 0) await this.#findHighest()
    for (;;) {
      const serial = ++this.#highest
      try {
        await this.write(this.#path(serial), id, 'wx')
        return serial
      } catch (cause) {
        if (!isTaken(cause)) throw cause
        await this.#findHighest()
      }
    }
  }

  async id (serial: number): Promise<string | undefined> {
    if (!Number.isSafeInteger(serial) || serial < 1) return undefined
    try {
      return await readFile(this.#path(serial), 'utf8')
    } catch (cause) {
      if (isMissing(cause)) return undefined
      throw cause
    }
  }

  /** Forgets the number, unless it may be the highest: that has to stay known, so that none is given twice. */
  async remove (serial: number): Promise<void> {
    const path = this.#path(serial)
    const folders = await this.#folders()
    if (folders.every(folder => folder <= folderOf(serial))) return
    await rm(path, { force: true })
    await rmdir(dirname(path)).catch(() => {})
  }

  async #findHighest (): Promise<void> {
    const folders = await this.#folders()
    if (folders.length === 0) return
    const last = Math.max(...folders)
    const serials = integers(await namesIn(join(this.directory, String(last))))
    this.#highest = Math.max(this.#highest, last * SERIALS_A_FOLDER - 1, ...serials)
  }

  async #folders (): Promise<number[]> {
    return integers(await namesIn(this.directory))
  }

  #path (serial: number): string {
    return join(this.directory, String(folderOf(serial)), String(serial))
  }
}

function folderOf (serial: number): number {
  return Math.floor(serial / SERIALS_A_FOLDER)
}

/** Other files in the folder are left alone. */
function integers (names: readonly string[]): number[] {
  return names.map(Number).filter(Number.isInteger)
}
