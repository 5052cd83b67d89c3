import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Upload, UserId } from '../../upload.js'
import type { ListQuery } from '../contract.js'
import { entryOf, type Facts, factsFilter, factsIn, factsOf } from './facts.js'
import { isMissing, makeDirectory, namesIn } from './directory.js'
import { type IdIndex, KeyedIndex } from './entries.js'
import type { RecordFiles } from './records.js'
import { matchesList } from '../filter.js'
import { READ_CONCURRENCY, readEach } from './reading.js'

/** An upload that was found, with its record where that had to be read. */
export interface Found {
  readonly facts: Facts
  readonly upload?: Upload
}

/** An upload, and what the indexes say of it. */
interface Indexed {
  readonly id: string
  readonly upload: Upload | undefined
  readonly entries: readonly string[]
}

/**
 * What each user has, so that lists and sums of it cost names of files instead of records. `users/<user>/<id>` says: look into the record;
 * every unfinished upload has one. `finished/<user>/<facts>` tells all that orders and sums need of a finished one.
 *
 * Facts count where they are the only ones of their upload, and `users` does not name it. So each change puts the name into `users` first
 * and takes it out last: whatever instant a process dies at, the record is asked. What it left is removed when it is met. Readers look
 * into `users` first: what moves from there to `finished` meanwhile is seen there.
 */
export class OwnerIndex {
  readonly #directory: string
  readonly #durable: boolean
  readonly #records: RecordFiles
  readonly #users: KeyedIndex
  readonly #finished: KeyedIndex
  #anonymous: Promise<void> | undefined

  constructor (directory: string, durable: boolean, records: RecordFiles) {
    this.#directory = directory
    this.#durable = durable
    this.#records = records
    this.#users = new KeyedIndex(join(directory, 'users'), durable)
    this.#finished = new KeyedIndex(join(directory, 'finished'), durable)
  }

  /** Runs `create` for a new record. */
  async create (upload: Upload, create: () => Promise<void>): Promise<void> {
    await this.#users.of(upload.user).add(upload.id)
    if (upload.status !== 'uploading') await this.#finished.of(upload.user).add(entryOf(upload))
    await create()
    if (upload.status !== 'uploading') await this.#users.of(upload.user).remove(upload.id)
  }

  /** The record is one to look into. */
  async reopen ({ user, id }: Upload): Promise<void> {
    await this.#users.of(user).add(id)
  }

  /** Runs `update` (true: it won) for a record that is or becomes a finished one. */
  async update (before: Upload, after: Upload, update: () => Promise<boolean>): Promise<boolean> {
    const [users, finished] = [this.#users.of(after.user), this.#finished.of(after.user)]
    const entry = entryOf(after)
    const old = before.status === 'uploading' ? undefined : entryOf(before)
    if (old === entry) return await update()
    if (old !== undefined) await users.add(after.id)
    await finished.add(entry)
    const won = await update()
    if (won) {
      if (old !== undefined) await finished.remove(old)
      await users.remove(after.id)
    } else {
      const now = await this.#records.get(after.id)
      if (now === undefined || now.status === 'uploading' || entryOf(now) !== entry) await finished.remove(entry)
    }
    return won
  }

  /** Runs `remove` (true: it did) for a record that is to be deleted. */
  async delete (upload: Upload, remove: () => Promise<boolean>): Promise<boolean> {
    const users = this.#users.of(upload.user)
    if (upload.status !== 'uploading') await users.add(upload.id)
    if (!await remove()) return false
    if (upload.status !== 'uploading') await this.#finished.of(upload.user).remove(entryOf(upload))
    await users.remove(upload.id)
    return true
  }

  /** Ids of a user's uploads that may match. */
  async ids (user: UserId | null, query: ListQuery): Promise<string[]> {
    if (user === null) await this.#indexAnonymous()
    const ids = new Set(await this.#users.of(user).ids())
    const fits = factsFilter(query)
    for (const name of await this.#finished.of(user).ids()) {
      const facts = factsIn(name)
      if (facts !== undefined && fits(facts)) ids.add(facts.id)
    }
    return [...ids]
  }

  /** All that match, in no order. Records are read of those alone that `users` names. */
  async * find (query: ListQuery): AsyncGenerator<Found, void, undefined> {
    await this.#indexAnonymous()
    const names = query.user === undefined
      ? new Set([...await this.#users.names(), ...await this.#finished.names()])
      : [KeyedIndex.nameOf(query.user)]
    for (const name of names) yield * this.#findIn(this.#users.named(name), this.#finished.named(name), query)
  }

  async * #findIn (users: IdIndex, finished: IdIndex, query: ListQuery): AsyncGenerator<Found, void, undefined> {
    const asked = new Set(await users.ids())
    const known = new Map<string, Facts>()
    const entries = new Map<string, string[]>()
    for (const entry of await finished.ids()) {
      const facts = factsIn(entry)
      if (facts === undefined) continue
      if (known.has(facts.id)) asked.add(facts.id)
      known.set(facts.id, facts)
      if (asked.has(facts.id)) entries.set(facts.id, [...entries.get(facts.id) ?? [], entry])
    }
    const fits = factsFilter(query)
    for (const facts of known.values()) {
      if (!asked.has(facts.id) && fits(facts)) yield { facts }
    }
    const ids = [...asked]
    for (let start = 0; start < ids.length; start += READ_CONCURRENCY) {
      const some = await readEach(this.#records, ids.slice(start, start + READ_CONCURRENCY), query)
      for (const { id, upload } of some) {
        await this.#tidy({ id, upload, entries: entries.get(id) ?? [] }, users, finished)
        if (upload !== undefined && matchesList(upload, query)) yield { facts: factsOf(upload), upload }
      }
    }
  }

  /** Removes names without a record, and puts right facts into force. */
  async #tidy ({ id, upload, entries }: Indexed, users: IdIndex, finished: IdIndex): Promise<void> {
    if (upload?.status === 'uploading') return
    const right = upload === undefined ? undefined : entryOf(upload)
    // A wrong one may belong to a change that is under way.
    for (const entry of entries) if (entry !== right) await finished.removeOrphan(entry)
    if (upload === undefined) await users.removeOrphan(id)
    else if (right !== undefined && !entries.includes(right)) await finished.add(right)
    else await users.remove(id)
  }

  /** Version 0.1 had no index of anonymous uploads: it is made once, by a look at every record. */
  #indexAnonymous (): Promise<void> {
    this.#anonymous ??= this.#makeAnonymous().catch((error: unknown) => {
      this.#anonymous = undefined
      throw error
    })
    return this.#anonymous
  }

  async #makeAnonymous (): Promise<void> {
    const marker = 'anonymous-indexed'
    if ((await namesIn(this.#directory)).includes(marker)) return
    const users = this.#users.of(null)
    const ids = await this.#records.ids()
    for (let start = 0; start < ids.length; start += READ_CONCURRENCY) {
      for (const { id, upload } of await readEach(this.#records, ids.slice(start, start + READ_CONCURRENCY), {})) {
        if (upload?.user === null) await users.add(id)
      }
    }
    await this.#mark(marker)
  }

  async #mark (name: string): Promise<void> {
    const path = join(this.#directory, name)
    await writeFile(path, '').catch(async (cause: unknown) => {
      if (!isMissing(cause)) throw cause
      await makeDirectory(this.#directory, this.#durable)
      await writeFile(path, '')
    })
  }

  /** To be called before the first record of this process is created: a new store needs no look at its records. */
  async begin (): Promise<void> {
    const names = await namesIn(this.#directory)
    if (!names.includes('records') && !names.includes('anonymous-indexed')) await this.#mark('anonymous-indexed')
  }
}
