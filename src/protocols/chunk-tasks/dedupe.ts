import type { UploadEngine } from '../../engine/index.js'
import type { CompleteUpload, Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import type { WantedTask } from './hooks.js'
import type { TaskContext } from './mount.js'
import { algorithmOf } from './new-task.js'
import { type TaskState, isTaskState } from './task.js'

/** Of files whose hash only their user has said, the newest are looked at, up to this number. */
const NEWEST = 1000

/**
 * A finished file that makes this upload needless. One that was or will be encrypted never does: a client that has one password must
 * not get a file that another one opens.
 */
export async function findKnown (context: TaskContext, wanted: WantedTask): Promise<CompleteUpload | undefined> {
  const { mount: { engine, settings: { dedupe } }, request } = context
  if (dedupe === false || wanted.hash === '' || wanted.encrypted) return undefined
  if (typeof dedupe === 'function') {
    const found = await dedupe(wanted, request)
    return found?.status === 'complete' ? found : undefined
  }
  const gone = new Set<string>()
  for (;;) {
    const found = await findRecord(context, wanted, gone)
    // Without its bytes it would leave the asker with none.
    if (found === undefined || await engine.isPresent(found)) return found
    gone.add(found.id)
  }
}

/** @param gone files that were found before, and whose bytes are not there */
async function findRecord (
  context: TaskContext, wanted: WantedTask, gone: ReadonlySet<string>
): Promise<CompleteUpload | undefined> {
  const { engine, settings: { dedupe } } = context.mount
  const caller = await context.caller()
  const { restricted, user } = caller
  const anyPool = dedupe === 'all' || !restricted
  const hash = wanted.hash.toLowerCase()
  const fits = (upload: Upload): upload is CompleteUpload => upload.status === 'complete' && !gone.has(upload.id) &&
    upload.size === wanted.fileSize &&
    isTaskState(upload.protocolState) && upload.protocolState.encryption === null && !isOver(upload.protocolState.expired_at) &&
    (anyPool || upload.protocolState.pool_id === wanted.poolId) && hashFor(caller, upload, upload.protocolState) === hash

  const algorithm = algorithmOf(hash)
  if (algorithm === undefined) return await findUnverified(engine, caller, fits)
  // The user's own goes first. Anonymous users are not one user: what one of them stored is not the other's own.
  const owners = [...restricted && user !== null ? [{ user }] : [], ...anyPool ? [{}] : []]
  for (const owner of owners) {
    const query = { protocol: caller.protocol ?? '', ...owner, algorithm, value: hash, accept: fits }
    const found = await engine.findFinished(query)
    if (found !== undefined && fits(found)) return found
  }
  return undefined
}

/** No index tells of such a hash, and nothing has verified it: its user has to have said it himself. */
async function findUnverified (
  engine: UploadEngine, caller: Caller, fits: (upload: Upload) => upload is CompleteUpload
): Promise<CompleteUpload | undefined> {
  if (caller.user === null) return undefined
  const newest = { status: 'complete', order: { by: 'activity', descending: true }, offset: 0, limit: NEWEST } as const
  return (await engine.listPage({ ...caller, restricted: true }, newest)).find(fits)
}

/** The hash by which this caller may find the file: what a user only says of one, others must not take for it. */
function hashFor ({ user }: Caller, { user: owner, checksum }: Upload, { hash }: TaskState): string | undefined {
  return checksum?.value ?? (user !== null && user === owner ? hash.toLowerCase() : undefined)
}

export function isOver (expiredAt: string | null): boolean {
  return expiredAt !== null && Date.parse(expiredAt) <= Date.now()
}
