import type { Upload } from '../upload.js'
import type { Metadata } from './contract.js'
import { matchesChecksum, matchesList, PAGE_SIZE } from './filter.js'

/** Records in this process's memory, for tests and for uploads that need not survive a restart. What goes in and out is copied. */
export function memoryMetadata (): Metadata {
  const records = new Map<string, Upload>()
  const idsBySerial = new Map<number, string>()
  let lastSerial = 0

  const copyOf = (id: string | undefined): Upload | undefined => {
    const record = id === undefined ? undefined : records.get(id)
    return record === undefined ? undefined : structuredClone(record)
  }

  return {
    async create (upload, { serial = false } = {}) {
      if (records.has(upload.id)) throw new Error(`there is a record ${upload.id} already`)
      const record = structuredClone(serial ? { ...upload, serial: ++lastSerial } : upload)
      records.set(record.id, record)
      if (record.serial !== null) idsBySerial.set(record.serial, record.id)
      return structuredClone(record)
    },

    async get (id) {
      return copyOf(id)
    },

    async getBySerial (serial) {
      return copyOf(idsBySerial.get(serial))
    },

    async update (upload) {
      if (records.get(upload.id)?.version !== upload.version - 1) return false
      records.set(upload.id, structuredClone(upload))
      return true
    },

    async delete (id, version) {
      const record = records.get(id)
      if (record === undefined || record.version !== version) return false
      if (record.serial !== null) idsBySerial.delete(record.serial)
      return records.delete(id)
    },

    async list (query) {
      const { cursor = '', limit = PAGE_SIZE } = query
      const found: Upload[] = []
      for (const id of [...records.keys()].sort()) {
        const record = records.get(id)
        if (id <= cursor || record === undefined || !matchesList(record, query)) continue
        // One more than asked for was found: there is a next page.
        if (found.length === limit) return { uploads: structuredClone(found), cursor: found.at(-1)?.id ?? cursor }
        found.push(record)
      }
      return { uploads: structuredClone(found) }
    },

    async findByChecksum (query) {
      for (const record of records.values()) {
        if (matchesChecksum(record, query)) return structuredClone(record)
      }
      return undefined
    }
  }
}
