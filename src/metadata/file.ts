import { join } from 'node:path'
import { type Rules, checkByRules, oneOf, or, required, text, whole } from '../option-rules.js'
import { mayExpire, type Upload, type UploadChecksum } from '../upload.js'
import type { ListQuery, Metadata } from './contract.js'
import { IdIndex, KeyedIndex, SerialIndex } from './file-index.js'
import { RecordFiles } from './file-records.js'
import { matchesChecksum, matchesList, PAGE_SIZE } from './filter.js'

export interface FileMetadataOptions {
  /** Folder of the records, on a local file system. Made when the first record is. */
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

const RULES: Rules<FileMetadataOptions> = {
  directory: required(text),
  durability: oneOf('process', 'disk'),
  maxOpenFiles: or(Infinity, whole(0))
}

/** Records that are read at once while listing. */
const LIST_CONCURRENCY = 32

/**
 * Records as JSON files in a folder: no service, no lock, and safe when several processes of one machine use the folder at once.
 * A lookup by id, by serial or by checksum opens only what it asks for; a list of unfinished, expired or removed uploads, or those of a
 * user, reads only these; any other list reads every record, with memory for the ids and one page. Not for network file systems. Ids are
 * used once: one that was deleted does not come again. Files that are removed by hand while a server runs may be seen for a while.
 * @throws {InvalidOption}
 */
export function fileMetadata (options: FileMetadataOptions): Metadata {
  checkByRules('fileMetadata', options, RULES)
  const { directory, durability = 'process', maxOpenFiles = 256 } = options
  const durable = durability === 'disk'
  const records = new RecordFiles(join(directory, 'records'), durable, maxOpenFiles)
  const unfinished = new IdIndex(join(directory, 'unfinished'), durable)
  const removed = new IdIndex(join(directory, 'removed'), durable)
  const checksums = new KeyedIndex(join(directory, 'checksums'), durable)
  const users = new KeyedIndex(join(directory, 'users'), durable)
  const serials = new SerialIndex(join(directory, 'serials'), durable)

  // Indexes are written before the record and thinned out behind it: a crash leaves a name too many, which is seen when it is met.
  const addToIndexes = async (upload: Upload): Promise<void> => {
    if (mayExpire(upload)) await unfinished.add(upload.id)
    if (upload.status === 'removed') await removed.add(upload.id)
    if (upload.status === 'complete' && upload.checksum !== null) await withChecksum(upload.checksum).add(upload.id)
  }
  const withChecksum = ({ algorithm, value }: UploadChecksum): IdIndex => checksums.of(algorithm, value)
  /** The indexes that have every record of a query; none for one about all records. */
  const indexesFor = ({ status, expiredBefore, user }: ListQuery): IdIndex[] => [
    ...status === 'uploading' || expiredBefore !== undefined ? [unfinished] : [],
    ...status === 'removed' ? [removed] : [],
    ...user !== undefined && user !== null ? [users.of(user)] : []
  ]

  return {
    directory,

    async create (upload, { serial = false } = {}) {
      if (!records.isId(upload.id)) throw new TypeError('an upload id has 1 to 100 letters, digits, - and _')
      const record = serial ? { ...upload, serial: await serials.next(upload.id) } : upload
      await addToIndexes(record)
      if (record.user !== null) await users.of(record.user).add(record.id)
      await records.create(record)
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
        if (won && before !== 'uploading') await unfinished.add(upload.id)
        return won
      }
      if (!records.isId(upload.id)) return false
      await addToIndexes(upload)
      const { won, before } = await records.update(upload)
      if (won && !mayExpire(upload) && (before === 'uploading' || upload.partial === true)) await unfinished.remove(upload.id)
      if (won && before === 'complete' && upload.status === 'removed' && upload.checksum !== null) {
        await withChecksum(upload.checksum).remove(upload.id)
      }
      return won
    },

    async delete (id, version) {
      const record = await records.delete(id, version)
      if (record === undefined) return false
      await unfinished.remove(id)
      await removed.remove(id)
      if (record.user !== null) await users.of(record.user).remove(id)
      if (record.checksum !== null) await withChecksum(record.checksum).remove(id)
      if (record.serial !== null) await serials.remove(record.serial)
      return true
    },

    async list (query) {
      const { cursor = '', limit = PAGE_SIZE } = query
      // Each sweep asks for these: an occasion to go over all names, which removes what crashes have left.
      if (query.status === 'removed' && query.cursor === undefined) await records.ids()
      const indexes = indexesFor(query)
      const named = indexes.length === 0 ? await records.ids() : inAll(await Promise.all(indexes.map(index => index.ids())))
      const ids = named.filter(id => id > cursor).sort()
      const uploads: Upload[] = []
      for (let start = 0; start < ids.length; start += LIST_CONCURRENCY) {
        const some = ids.slice(start, start + LIST_CONCURRENCY)
        const found = await Promise.all(some.map(async id => {
          const record = await records.peek(id)
          if (record === undefined) await Promise.all(indexes.map(index => index.removeOrphan(id)))
          else if (indexes.includes(unfinished) && !mayExpire(record)) await unfinished.remove(id)
          return record
        }))
        for (const record of found) {
          if (record === undefined || !matchesList(record, query)) continue
          // One more than asked for was found: there is a next page.
          if (uploads.length === limit) return { uploads, cursor: uploads.at(-1)?.id ?? cursor }
          uploads.push(record)
        }
      }
      return { uploads }
    },

    async findByChecksum (query) {
      const { algorithm, value } = query
      const same = checksums.of(algorithm, value)
      for (const id of await same.ids()) {
        const record = await records.get(id)
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
