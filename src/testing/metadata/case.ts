import type { ListQuery, Metadata } from '../../metadata/contract.js'
import type { CompleteUpload, Upload } from '../../upload.js'

/** One test: calls go to `a` and `b`, which are one instance or two on the same records. */
export type MetadataCase = readonly [name: string, run: (a: Metadata, b: Metadata) => Promise<void>]

export async function idsOf (metadata: Metadata, query: ListQuery): Promise<string[]> {
  const ids: string[] = []
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const page = await metadata.list({ ...query, ...(cursor !== undefined && { cursor }) })
    ids.push(...page.uploads.map(upload => upload.id))
    cursor = page.cursor
  }
  return ids
}

export function complete (upload: Upload): CompleteUpload {
  return { ...upload, status: 'complete', size: upload.size ?? 0, completedAt: 1_700_000_000_001, location: 'a/b c' }
}

export function removed (upload: Upload): Upload {
  return { ...upload, status: 'removed', removedAt: 1_700_000_000_002, reason: 'expired' }
}

export function times<T> (count: number, make: (number: number) => T): T[] {
  return Array.from({ length: count }, (_, number) => make(number))
}

export function pick (a: Metadata, b: Metadata, number: number): Metadata {
  return number % 2 === 0 ? a : b
}
