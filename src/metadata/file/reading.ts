import type { Upload } from '../../upload.js'
import type { ListQuery } from '../contract.js'
import type { RecordFiles } from './records.js'

/** Records that are read at once. */
export const READ_CONCURRENCY = 32

/** The process or the machine is short of a resource: the record itself may be in order. */
const SHORT_OF: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EBUSY', 'EINTR'])

/** True for an error of this one record: others can be read. */
export function isUnreadable (error: unknown): boolean {
  return !(error instanceof Error && 'code' in error && SHORT_OF.has(error.code))
}

interface Read {
  readonly id: string
  readonly upload: Upload | undefined
}

/** The records of these ids, at once; `upload` is undefined where there is none. Those that cannot be read are left out. */
export async function readEach (
  records: RecordFiles, ids: readonly string[], { onUnreadable }: Pick<ListQuery, 'onUnreadable'>
): Promise<Read[]> {
  const read = await Promise.all(ids.map(async (id): Promise<Read | undefined> => {
    try {
      return { id, upload: await records.peek(id) }
    } catch (error) {
      if (!isUnreadable(error)) throw error
      onUnreadable?.(error, id)
      return undefined
    }
  }))
  return read.filter(one => one !== undefined)
}
