import { join } from 'node:path'
import { fileMetadata, type Metadata, type Upload } from '../../src/index.js'

/** Every record of a store, those of internal uploads too. */
export async function allRecords (metadata: Metadata): Promise<Upload[]> {
  const uploads: Upload[] = []
  let cursor: string | undefined
  do {
    const page = await metadata.list(cursor === undefined ? {} : { cursor })
    uploads.push(...page.uploads)
    cursor = page.cursor
  } while (cursor !== undefined)
  return uploads
}

/** Every record that the default metadata keeps below the plugin's `directory`. */
export async function recordsIn (directory: string): Promise<Upload[]> {
  const metadata = fileMetadata({ directory: join(directory, '.chunked_uploads') })
  try {
    return await allRecords(metadata)
  } finally {
    await metadata.close?.()
  }
}
