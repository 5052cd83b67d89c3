import { isExpired, isUnsynced, phaseOf, type Upload } from '../upload.js'
import type { ChecksumQuery, ListQuery } from './contract.js'

/** How many records a page holds when the query does not say. */
export const PAGE_SIZE = 100

/** True when the record passes every filter that the query gives. Order, cursor, offset and limit are not its business. */
export function matchesList (upload: Upload, query: ListQuery): boolean {
  return matchesOwner(upload, query) &&
    (query.internal === undefined || query.internal === (upload.internal === true)) &&
    (query.status === undefined || upload.status === query.status) &&
    (query.phases === undefined || query.phases.includes(phaseOf(upload, query.now ?? Date.now()))) &&
    (query.unsynced !== true || isUnsynced(upload)) &&
    (query.expiredBefore === undefined || isExpired(upload, query.expiredBefore))
}

/** True for a complete upload with this checksum that passes the other filters. */
export function matchesChecksum (upload: Upload, query: ChecksumQuery): boolean {
  return upload.status === 'complete' && upload.internal !== true && upload.checksum !== null &&
    upload.checksum.algorithm === query.algorithm && upload.checksum.value === query.value &&
    matchesOwner(upload, query) && query.accept?.(upload) !== false
}

export function matchesOwner (upload: Upload, query: Pick<ListQuery, 'scope' | 'protocol' | 'user'>): boolean {
  return (query.scope === undefined || upload.scope === undefined || upload.scope === query.scope) &&
    (query.protocol === undefined || upload.protocol === query.protocol) &&
    (query.user === undefined || upload.user === query.user)
}

export interface PageRequest {
  readonly cursor: string | undefined
  readonly offset: number
  readonly limit: number
  readonly descending: boolean
}

/** Those of a page, in the order of their keys, and the cursor of the next one if there is one. */
export function pageOf<T extends { readonly key: string }> (
  all: readonly T[], { cursor, offset, limit, descending }: PageRequest
): { page: readonly T[], next: string | undefined, rest: readonly T[] } {
  const sorted = [...all].sort((one, other) => (one.key < other.key ? -1 : Number(one.key > other.key)) * (descending ? -1 : 1))
  const first = cursor === undefined ? 0 : sorted.findIndex(({ key }) => descending ? key < cursor : key > cursor)
  const start = first === -1 ? sorted.length : first + offset
  const page = sorted.slice(start, start + limit)
  const rest = sorted.slice(start + limit)
  return { page, next: rest.length > 0 ? page.at(-1)?.key ?? cursor : undefined, rest }
}
