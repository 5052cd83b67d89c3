import type { StorageCapabilities } from './contract.js'

/** What a storage of plain files can do: everything, in files as large as numbers are exact. */
export const unlimited: StorageCapabilities = {
  anyOffset: true,
  minChunkSize: 1,
  maxChunkSize: Number.MAX_SAFE_INTEGER,
  maxChunks: Number.MAX_SAFE_INTEGER,
  maxSize: Number.MAX_SAFE_INTEGER
}
