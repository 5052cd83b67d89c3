import { randomBytes } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Upload } from '../../upload.js'
import { isMissing, isOld, isTaken, makeDirectory, namesIn, syncDirectory } from './directory.js'
import { type Appended, type LogState, RecordLog, recordOf } from './log.js'

/** Bytes after which the versions of a record are dropped from its file, but for the last. */
const LONGEST_LOG = 64 * 1024

/** Turns of opening a file whose record moves on meanwhile. More than a few mean that files are missing. */
const ATTEMPTS = 20

const FOLDERS_AT_ONCE = 32

const ID = /^[A-Za-z0-9_-]{1,100}$/
const SUFFIX = '.jsonl'

/** What a use of a log came to; `ended` when the log has served its time. */
type Use<T> = { readonly done: T, readonly ended?: boolean } | { readonly state: LogState }

interface OpenFile {
  readonly opening: Promise<RecordLog | undefined>
  /** Operations under way: only an idle file is closed to make room. */
  users: number
}

export interface UpdateOutcome {
  readonly won: boolean
  /** The status that the record had before. */
  readonly before: Upload['status']
}

/**
 * The records' files: `<directory>/<last two characters of the id>/<id>.jsonl`, each a {@link RecordLog}. The end of an id is
 * random, its beginning is not: so the folders fill evenly.
 *
 * A log that has grown long, and one whose record is finished, is rewritten: the new version goes to a file of its own,
 * `<id>~<random>.jsonl`; a line in the old log names it, and with this line, if it wins, the change is done; then the new file is
 * renamed over the old one. A process that meets the old log before that renames it itself: the name is unique, so a rename that comes
 * late finds nothing.
 */
export class RecordFiles {
  readonly #directory: string
  readonly #durable: boolean
  readonly #maxOpen: number
  /** Files kept open, the one used last at the end. */
  readonly #open = new Map<string, OpenFile>()

  constructor (directory: string, durable: boolean, maxOpen: number) {
    this.#directory = directory
    this.#durable = durable
    this.#maxOpen = maxOpen
  }

  isId (id: string): boolean {
    return ID.test(id)
  }

  /** @throws when there is a record of this id */
  async create (upload: Upload): Promise<void> {
    const log = await this.#createLog(upload)
    // Most records change again at once.
    if (this.#open.has(upload.id)) await log.close()
    else this.#open.set(upload.id, { opening: Promise.resolve(log), users: 0 })
    this.#closeOldest()
    if (this.#durable) await syncDirectory(this.#folder(upload.id))
  }

  async #createLog (upload: Upload): Promise<RecordLog> {
    const path = this.#path(upload.id)
    try {
      return await RecordLog.create(path, upload, this.#durable)
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      await makeDirectory(this.#folder(upload.id), this.#durable)
      return await RecordLog.create(path, upload, this.#durable)
    }
  }

  async get (id: string): Promise<Upload | undefined> {
    if (!ID.test(id)) return undefined
    return await this.#withLog(id, async log => {
      const state = await log.state()
      if (state.kind !== 'record') return { state }
      const record = recordOf(state.line)
      // A file system that knows no upper case finds the file of another id.
      return record.id === id ? { done: record } : { state }
    })
  }

  /** Compare-and-set, to version `upload.version`. */
  async update (upload: Upload): Promise<UpdateOutcome> {
    const lost = { won: false, before: upload.status }
    if (!ID.test(upload.id)) return lost
    const entry = JSON.stringify(upload)
    return await this.#withLog(upload.id, async log => {
      const known = log.known()
      const ended = upload.status !== 'uploading' || (known.kind === 'record' && known.size + entry.length > LONGEST_LOG)
      const { won, state, before } = ended
        ? await this.#rewrite(log, upload, entry)
        : await log.append(upload.version, entry, this.#durable)
      return won ? { done: { won, before }, ended } : { state }
    }) ?? lost
  }

  /** Compare-and-delete. @returns the record that was deleted */
  async delete (id: string, version: number): Promise<Upload | undefined> {
    const record = await this.get(id)
    if (record === undefined || record.version !== version) return undefined
    return await this.#withLog(id, async log => {
      const { won, state } = await log.append(version + 1, JSON.stringify({ version: version + 1, deleted: true }), this.#durable)
      if (!won) return { state }
      await rm(this.#path(id), { force: true })
      return { done: record, ended: true }
    })
  }

  /** As {@link get}, for one record of many: keeps no file open that was not. */
  async peek (id: string): Promise<Upload | undefined> {
    if (this.#open.has(id) || !ID.test(id)) return await this.get(id)
    const log = await RecordLog.open(this.#path(id))
    if (log === undefined) return undefined
    const state = await log.state()
    await log.close()
    if (state.kind === 'record') return recordOf(state.line)
    if (state.kind === 'ended' && state.end !== 'deleted') return await this.get(id)
    // The process that deleted the record, or was creating it, died before that was done.
    const died = state.kind === 'ended' || (state.kind === 'empty' && !state.line && await isOld(this.#path(id)))
    if (died) await rm(this.#path(id), { force: true })
    return undefined
  }

  /** Every id for which there is a file, in no order. */
  async ids (): Promise<string[]> {
    const folders = await namesIn(this.#directory)
    const ids: string[] = []
    for (let start = 0; start < folders.length; start += FOLDERS_AT_ONCE) {
      await Promise.all(folders.slice(start, start + FOLDERS_AT_ONCE).map(async folder => {
        for (const name of await namesIn(join(this.#directory, folder))) {
          if (!name.endsWith(SUFFIX)) continue
          const [id = '', rewrite] = name.slice(0, -SUFFIX.length).split('~')
          if (rewrite !== undefined) await this.#removeLeftover(id, join(this.#directory, folder, name))
          else if (ID.test(id)) ids.push(id)
        }
      }))
    }
    return ids
  }

  async close (): Promise<void> {
    const files = [...this.#open.values()]
    this.#open.clear()
    for (const { opening } of files) await (await opening)?.close()
  }

  /** Runs `use` with the log of the record until it is done, or the state says that there is nothing to do. */
  async #withLog<T> (id: string, use: (log: RecordLog) => Promise<Use<T>>): Promise<T | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const file = this.#openFile(id)
      try {
        const log = await file.opening
        if (log === undefined) return undefined
        const outcome = await use(log)
        if ('done' in outcome) {
          if (outcome.ended === true) await this.#forget(id, file)
          return outcome.done
        }
        const { state } = outcome
        if (state.kind === 'record' || state.kind === 'empty') return undefined
        await this.#forget(id, file)
        if (state.kind === 'ended') {
          if (state.end === 'deleted') return undefined
          await this.#moveIntoPlace(id, state.end.next)
        }
      } finally {
        file.users--
        this.#closeOldest()
      }
    }
    throw new Error(`the file of record ${id} names another one, which is missing`)
  }

  async #rewrite (log: RecordLog, upload: Upload, entry: string): Promise<Appended> {
    const next = randomBytes(9).toString('base64url')
    const path = this.#rewritePath(upload.id, next)
    try {
      await this.#writeNew(path, `${entry}\n`)
    } catch (cause) {
      // The record was deleted and its folder swept meanwhile: the append below will tell.
      if (!isMissing(cause)) throw cause
    }
    // Should this throw, then it is unknown whether the line counts: the new file stays.
    const appended = await log.append(upload.version, JSON.stringify({ version: upload.version, next }), this.#durable)
    if (appended.won) await this.#moveIntoPlace(upload.id, next)
    else await rm(path, { force: true })
    return appended
  }

  async #moveIntoPlace (id: string, next: string): Promise<void> {
    try {
      await rename(this.#rewritePath(id, next), this.#path(id))
    } catch (cause) {
      // Another process has done it.
      if (!isMissing(cause)) throw cause
    }
    if (this.#durable) await syncDirectory(this.#folder(id))
  }

  async #writeNew (path: string, line: string): Promise<void> {
    try {
      await writeFile(path, line, { flag: 'wx', flush: this.#durable })
    } catch (cause) {
      // A full disk leaves half a file behind; one that was there before is not ours.
      if (!isTaken(cause)) await rm(path, { force: true })
      throw cause
    }
  }

  /** Removes what a process left behind that died within a rewrite, once nothing names it. */
  async #removeLeftover (id: string, path: string): Promise<void> {
    if (!await isOld(path)) return
    await this.get(id)
    await rm(path, { force: true })
  }

  #openFile (id: string): OpenFile {
    const known = this.#open.get(id)
    const file = known ?? { opening: RecordLog.open(this.#path(id)), users: 0 }
    file.users++
    // Taken out and put in again: the one used last is at the end.
    this.#open.delete(id)
    this.#open.set(id, file)
    if (known === undefined) {
      const forget = () => { if (this.#open.get(id) === file) this.#open.delete(id) }
      file.opening.then(log => { if (log === undefined) forget() }, forget)
    }
    return file
  }

  async #forget (id: string, file: OpenFile): Promise<void> {
    if (this.#open.get(id) === file) this.#open.delete(id)
    await (await file.opening)?.close()
  }

  #closeOldest (): void {
    if (this.#open.size <= this.#maxOpen) return
    for (const [id, file] of this.#open) {
      if (file.users > 0) continue
      this.#forget(id, file).catch(() => {})
      return
    }
  }

  #folder (id: string): string {
    return join(this.#directory, id.slice(-2))
  }

  #path (id: string): string {
    return join(this.#folder(id), `${id}${SUFFIX}`)
  }

  #rewritePath (id: string, next: string): string {
    return join(this.#folder(id), `${id}~${next}${SUFFIX}`)
  }
}
