import type { Metadata, UploadPage } from '../../metadata/contract.js'
import { currentRecord } from '../../record-format.js'
import type { Upload } from '../../upload.js'

/** The host's metadata, whose records all come out in the format of this version. */
export function currentMetadata (metadata: Metadata): Metadata {
  const current = (stored: Upload | undefined): Upload | undefined => stored === undefined ? undefined : currentRecord(stored)
  return {
    create: async (upload, options) => currentRecord(await metadata.create(upload, options)),
    get: async id => current(await metadata.get(id)),
    getBySerial: async serial => current(await metadata.getBySerial(serial)),
    update: async upload => await metadata.update(upload),
    delete: async (id, version) => await metadata.delete(id, version),
    list: async (query): Promise<UploadPage> => {
      const page = await metadata.list(query)
      return { ...page, uploads: page.uploads.map(currentRecord) }
    },
    usage: async query => await metadata.usage(query),
    findByChecksum: async query => current(await metadata.findByChecksum(query))
  }
}
