import { isExpired, type Upload } from '../upload.js'
import type { ChecksumQuery, ListQuery } from './contract.js'

/** How many records a page holds when the query does not say. */
export const PAGE_SIZE = 100

/** True when the record passes every filter that the query gives. Cursor and limit are not its business. */
export function matchesList (upload: Upload, query: ListQuery): boolean {
  return matchesOwner(upload, query) &&
    (query.internal === undefined || query.internal === (upload.internal === true)) &&
    (query.status === undefined || upload.status === query.status) &&
    (query.expiredBefore === undefined || isExpired(upload, query.expiredBefore))
}

/** True for a complete upload with this checksum that passes the other filters. */
export function matchesChecksum (upload: Upload, query: ChecksumQuery): boolean {
  return upload.status === 'complete' && upload.internal !== true && upload.checksum !== null &&
    upload.checksum.algorithm === query.algorithm && upload.checksum.value === query.value && matchesOwner(upload, query)
}

function matchesOwner (upload: Upload, query: ListQuery | ChecksumQuery): boolean {
  return (query.scope === undefined || upload.scope === undefined || upload.scope === query.scope) &&
    (query.protocol === undefined || upload.protocol === query.protocol) &&
    (query.user === undefined || upload.user === query.user)
}
