import type { Upload } from './upload.js'

/** The format of the records that this version writes. Records without a `format` are of 0.1. */
export const RECORD_FORMAT = 2

/** The end of the protocol's name that marks internal uploads in format 1. */
const INTERNAL_SUFFIX = '/inner'

/** A stored record in the format of this version, whatever version wrote it. Records of all adapters pass through here. */
export function currentRecord (stored: Upload): Upload {
  if (stored.format !== undefined || !stored.protocol.endsWith(INTERNAL_SUFFIX)) return stored
  return { ...stored, protocol: stored.protocol.slice(0, -INTERNAL_SUFFIX.length), internal: true, format: RECORD_FORMAT }
}
