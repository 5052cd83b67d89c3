import type { Upload } from '../upload.js'
import type { Metadata } from './contract.js'
import { factsOf, orderKey, UsageSum } from './file/facts.js'
import { matchesChecksum, matchesList, PAGE_SIZE, pageOf } from './filter.js'

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
      const { cursor, offset = 0, limit = PAGE_SIZE, order } = query
      const keyOf = (record: Upload): string => order === undefined ? record.id : orderKey(factsOf(record), order.by)
      const matching = [...records.values()].filter(record => matchesList(record, query)).map(record => ({ record, key: keyOf(record) }))
      const { page, next } = pageOf(matching, { cursor, offset, limit, descending: order?.descending === true })
      const uploads = page.map(({ record }) => structuredClone(record))
      return next === undefined ? { uploads } : { uploads, cursor: next }
    },

    async usage (query) {
      const sum = new UsageSum(query)
      for (const record of records.values()) if (matchesList(record, query)) sum.add(record)
      return sum.usage
    },

    async findByChecksum (query) {
      for (const record of records.values()) {
        if (matchesChecksum(record, query)) return structuredClone(record)
      }
      return undefined
    }
  }
}
