import { join } from 'node:path'
import { checkDirectory } from '../../folders.js'
import { checkByRules } from '../../option-rules.js'
import { isUnsynced, mayExpire, type Upload, type UploadChecksum } from '../../upload.js'
import type { ListOrder, ListQuery, Metadata, UploadPage } from '../contract.js'
import { type Facts, factsOf, orderKey, UsageSum } from './facts.js'
import { IdIndex, KeyedIndex, SerialIndex } from './entries.js'
import { OwnerIndex } from './owners.js'
import { isUnreadable, READ_CONCURRENCY, readEach } from './reading.js'
import { RecordFiles } from './records.js'
import { matchesChecksum, matchesList, PAGE_SIZE, pageOf } from '../filter.js'
import { PageMemory } from './page-memory.js'
import { rules } from './options.rules.js'

export interface FileMetadataOptions {
  /** Folder of the records, on a local file system. Made where it is missing. */
  readonly directory: string
  /**
   * What a record survives once a call has resolved: the end of this process (`'process'`), or a power cut as well (`'disk'`: each
   * change waits for the disk).
   * @default 'process'
   */
  readonly durability?: 'process' | 'disk' | undefined
  /**
   * Records whose files are kept open, as those of running uploads are asked for again and again.
   * @default 256
   */
  readonly maxOpenFiles?: number | undefined
}

/** A record as its list orders it. */
interface Ordered {
  readonly id: string
  readonly key: string
}

/**
 * Records as JSON files in a folder: no service, no lock, and safe when several processes of one machine use the folder at once.
 * A lookup by id, by serial or by checksum opens only what it asks for; a list of unfinished, expired or removed uploads, or those of a
 * user, reads only these; one with an order, and sums, only unfinished ones and the page; any other list reads every record, with memory
 * for the ids and one page. The first such question about a store of version 0.1 reads every record, once. Not for network file systems.
 * Ids are
 * used once: one that was deleted does not come again. Files that are removed by hand while a server runs may be seen for a while.
 * @throws {InvalidOption}
 */
export function fileMetadata (options: FileMetadataOptions): Metadata {
  checkByRules('fileMetadata', options, rules)
  const { directory, durability = 'process', maxOpenFiles = 256 } = options
  const durable = durability === 'disk'
  const records = new RecordFiles(join(directory, 'records'), durable, maxOpenFiles)
  const unfinished = new IdIndex(join(directory, 'unfinished'), durable)
  const removed = new IdIndex(join(directory, 'removed'), durable)
  const checksums = new KeyedIndex(join(directory, 'checksums'), durable)
  const owners = new OwnerIndex(directory, durable, records)
  const serials = new SerialIndex(join(directory, 'serials'), durable)
  const restsById = new PageMemory<string>()
  const restsInOrder = new PageMemory<Ordered>()
  let begun: Promise<void> | undefined

  // Indexes are written before the record and thinned out behind it: a crash leaves a name too many, which is seen when it is met.
  const addToIndexes = async (upload: Upload): Promise<void> => {
    if (isUnfinished(upload)) await unfinished.add(upload.id)
    if (upload.status === 'removed') await removed.add(upload.id)
    if (upload.status === 'complete' && upload.checksum !== null) await withChecksum(upload.checksum).add(upload.id)
  }
  const withChecksum = ({ algorithm, value }: UploadChecksum): IdIndex => checksums.of(algorithm, value)
  /** The indexes that have every record of a query; none for one about all records. */
  const indexesFor = ({ status, expiredBefore, unsynced }: ListQuery): IdIndex[] => [
    ...status === 'uploading' || expiredBefore !== undefined || unsynced === true ? [unfinished] : [],
    ...status === 'removed' ? [removed] : []
  ]
  const idsOf = async (query: ListQuery, indexes: readonly IdIndex[]): Promise<string[]> => {
    const named = await Promise.all(indexes.map(index => index.ids()))
    const owned = query.user === undefined ? [] : [await owners.ids(query.user, query)]
    const ids = [...named, ...owned].length === 0 ? await records.ids() : inAll([...named, ...owned])
    const { cursor = '' } = query
    return ids.filter(id => id > cursor).sort()
  }
  const listById = async (query: ListQuery): Promise<UploadPage> => {
    const { limit = PAGE_SIZE, offset = 0 } = query
    const indexes = indexesFor(query)
    const ids = restsById.take(query) ?? await idsOf(query, indexes)
    const uploads: Upload[] = []
    let passed = 0
    for (let start = 0; start < ids.length; start += READ_CONCURRENCY) {
      const some = ids.slice(start, start + READ_CONCURRENCY)
      for (const { id, upload } of await readEach(records, some, query)) {
        if (upload === undefined) await Promise.all(indexes.map(index => index.removeOrphan(id)))
        else if (indexes.includes(unfinished) && !isUnfinished(upload)) await unfinished.remove(id)
        if (upload === undefined || !matchesList(upload, query) || passed++ < offset) continue
        // One more than asked for was found: there is a next page.
        if (uploads.length === limit) {
          const cursor = uploads.at(-1)?.id ?? query.cursor ?? ''
          restsById.keep(query, cursor, ids.slice(start).filter(rest => rest > cursor))
          return { uploads, cursor }
        }
        uploads.push(upload)
      }
    }
    return { uploads }
  }
  const orderedOf = async (query: ListQuery, by: ListOrder['by']): Promise<Ordered[]> => {
    const found: Ordered[] = []
    const add = (facts: Facts): void => { found.push({ id: facts.id, key: orderKey(facts, by) }) }
    if (query.expiredBefore === undefined && query.unsynced !== true) {
      for await (const { facts } of owners.find(query)) add(facts)
    } else {
      const { cursor: _cursor, ...all } = query
      const { uploads } = await listById({ ...all, offset: 0, limit: Infinity })
      uploads.map(factsOf).forEach(add)
    }
    return found
  }
  const listInOrder = async (query: ListQuery, { by, descending }: ListOrder): Promise<UploadPage> => {
    const { cursor, offset = 0, limit = PAGE_SIZE } = query
    let known = restsInOrder.take(query)
    if (known === undefined) {
      known = await orderedOf(query, by)
    }
    const { page, next, rest } = pageOf(known, { cursor, offset, limit, descending })
    const uploads: Upload[] = []
    for (let start = 0; start < page.length; start += READ_CONCURRENCY) {
      const ids = page.slice(start, start + READ_CONCURRENCY).map(({ id }) => id)
      for (const { upload } of await readEach(records, ids, query)) {
        if (upload !== undefined && matchesList(upload, query)) uploads.push(upload)
      }
    }
    if (next === undefined) return { uploads }
    restsInOrder.keep(query, next, rest)
    return { uploads, cursor: next }
  }

  return {
    directory,

    async prepare () {
      await checkDirectory(directory)
    },

    async create (upload, { serial = false } = {}) {
      if (!records.isId(upload.id)) throw new TypeError('an upload id has 1 to 100 letters, digits, - and _')
      const record = serial ? { ...upload, serial: await serials.next(upload.id) } : upload
      await (begun ??= owners.begin())
      await addToIndexes(record)
      await owners.create(record, async () => { await records.create(record) })
      return record
    },

    async get (id) {
      return await records.get(id)
    },

    async getBySerial (serial) {
      const id = await serials.id(serial)
      const record = id === undefined ? undefined : await records.get(id)
      return record?.serial === serial ? record : undefined
    },

    async update (upload) {
      if (upload.status === 'uploading') {
        const { won, before } = await records.update(upload)
        if (won && before !== 'uploading') await Promise.all([unfinished.add(upload.id), owners.reopen(upload)])
        return won
      }
      const known = await records.get(upload.id)
      if (known === undefined || known.version !== upload.version - 1) return false
      await addToIndexes(upload)
      let before = known.status
      const won = await owners.update(known, upload, async () => {
        const outcome = await records.update(upload)
        before = outcome.before
        return outcome.won
      })
      if (won && !isUnfinished(upload) && (before !== 'removed' || upload.partial === true)) await unfinished.remove(upload.id)
      if (won && before === 'complete' && upload.status === 'removed' && upload.checksum !== null) {
        await withChecksum(upload.checksum).remove(upload.id)
      }
      return won
    },

    async delete (id, version) {
      const record = await records.get(id)
      if (record === undefined || record.version !== version) return false
      if (!await owners.delete(record, async () => await records.delete(id, version) !== undefined)) return false
      await unfinished.remove(id)
      await removed.remove(id)
      if (record.checksum !== null) await withChecksum(record.checksum).remove(id)
      if (record.serial !== null) await serials.remove(record.serial)
      return true
    },

    async list (query) {
      // Each sweep asks for these: an occasion to go over all names, which removes what crashes have left.
      if (query.status === 'removed' && query.cursor === undefined && query.order === undefined) await records.ids()
      return query.order === undefined ? await listById(query) : await listInOrder(query, query.order)
    },

    async usage (query) {
      const sum = new UsageSum(query)
      for await (const { facts, upload } of owners.find(query)) {
        if (upload === undefined) sum.addFinished(facts)
        else sum.add(upload)
      }
      return sum.usage
    },

    async findByChecksum (query) {
      const { algorithm, value } = query
      const same = checksums.of(algorithm, value)
      for (const id of await same.ids()) {
        const record = await records.get(id).catch((error: unknown) => {
          if (!isUnreadable(error)) throw error
          return null
        })
        if (record === null) continue
        if (record !== undefined && matchesChecksum(record, query)) return record
        // An unfinished one may be about to be completed. One that another user owns has this checksum all the same.
        if (record === undefined) await same.removeOrphan(id)
        else if (record.status !== 'uploading' && !matchesChecksum(record, { algorithm, value })) await same.remove(id)
      }
      return undefined
    },

    async close () {
      await records.close()
    }
  }
}

/** What is in each of the lists, of which there is at least one. */
function inAll ([first = [], ...others]: ReadonlyArray<readonly string[]>): readonly string[] {
  return others.reduce((ids, other) => {
    const wanted = new Set(other)
    return ids.filter(id => wanted.has(id))
  }, first)
}

/** What the index of unfinished uploads names: a file that has to be brought to the disk yet is one, too. */
function isUnfinished (upload: Upload): boolean {
  return mayExpire(upload) || isUnsynced(upload)
}
