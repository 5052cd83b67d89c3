import { TakenOver, UploadGone } from '../errors.js'
import type { Upload } from '../upload.js'
import type { Caller } from './caller.js'
import type { EngineContext, Held } from './context.js'
import type { UploadLockRequest } from './locking/upload-locks.js'

/** Which upload an operation takes, on whose behalf. */
export interface Taking extends UploadLockRequest {
  readonly caller: Caller
  readonly id: string
}

/**
 * Runs `work` under the upload's lock, on a record that has been compared with its bytes if a power cut may have taken some.
 * @throws {UploadNotFound} {@link UploadBusy} {@link ShuttingDown} {@link OffsetMismatch}, {@link UploadGone} for a request that lost
 * the upload to its removal
 */
export async function withUpload<T> (
  context: EngineContext, taking: Taking, work: (held: Held<Upload>) => Promise<T>
): Promise<T> {
  const { locks, losses, removing } = context
  const { caller, id, ...request } = taking
  const due = Symbol('due')
  try {
    const first = await locks.withUpload(caller, id, request, async (upload, lease): Promise<T | typeof due> => {
      if (!losses.isDue(upload)) return await work({ caller, upload, lease })
      // That takes the whole upload.
      return request.range === undefined ? await work({ caller, upload: await losses.recovered(upload, lease), lease }) : due
    })
    if (first !== due) return first
    await locks.withUpload(caller, id, { claim: 'yield' }, async (upload, lease) => { await losses.recovered(upload, lease) })
    return await locks.withUpload(caller, id, request, async (upload, lease) => await work({ caller, upload, lease }))
  } catch (error) {
    // It need not come again.
    throw error instanceof TakenOver && removing.has(id) ? new UploadGone() : error
  }
}
