import { fileMetadata } from '../../src/metadata/file/index.js'

/** Counts in one record under its own process id until killed, and tells the parent of every count that was acknowledged. */
const [, , directory = '', id = ''] = process.argv
const metadata = fileMetadata({ directory })
const own = String(process.pid)

for (let count = 1; ;) {
  const upload = await metadata.get(id)
  if (upload === undefined) throw new Error('the record is gone')
  const next = { ...upload, version: upload.version + 1, metadata: { ...upload.metadata, [own]: count } }
  if (await metadata.update(next)) {
    await new Promise(resolve => process.send?.(count, resolve))
    count++
  }
}
