import type { FastifyRequest } from 'fastify'
import type { CompleteUpload, Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import type { WantedTask } from './hooks.js'
import type { Mount } from './mount.js'
import { algorithmOf } from './new-task.js'
import { type TaskState, isTaskState } from './task.js'

/**
 * A finished file that makes this upload needless. One that was or will be encrypted never does: whoever has one password must not get
 * a file that another one opens.
 */
export async function findKnown (
  { uploads: { engine }, settings: { dedupe } }: Mount, caller: Caller, wanted: WantedTask, request: FastifyRequest
): Promise<CompleteUpload | undefined> {
  if (dedupe === false || wanted.hash === '' || wanted.encrypted) return undefined
  if (typeof dedupe === 'function') {
    const found = await dedupe(wanted, request)
    return found?.status === 'complete' ? found : undefined
  }
  const everybody = dedupe === 'all' || !caller.restricted
  // Anonymous users are not one user: what one of them stored is nothing to the others.
  if (!everybody && caller.user === null) return undefined
  const mount = { protocol: caller.protocol ?? '' }
  const own = { ...mount, user: caller.user }
  const hash = wanted.hash.toLowerCase()
  const fits = (upload: Upload): upload is CompleteUpload => upload.status === 'complete' && upload.size === wanted.fileSize &&
    isTaskState(upload.protocolState) && upload.protocolState.encryption === null && !isOver(upload.protocolState.expired_at) &&
    (everybody || upload.protocolState.pool_id === wanted.poolId) && hashFor(caller, upload, upload.protocolState) === hash

  const algorithm = algorithmOf(hash)
  if (algorithm !== undefined) {
    const owner = everybody ? mount : own
    const found = await engine.records.findByChecksum({ ...owner, algorithm, value: hash })
    // Files of one checksum have one size.
    if (found === undefined || found.size !== wanted.fileSize) return undefined
    if (fits(found)) return found
    // The index tells of one, which does not fit: another may.
    return await firstOf(engine.everyUpload({ ...owner, internal: false, status: 'complete' }), fits)
  }
  // No index for the rest. Nobody has verified such a hash: whoever looks for it has to have said it himself.
  return caller.user === null ? undefined : await firstOf(engine.everyUpload({ ...own, internal: false, status: 'complete' }), fits)
}

/** The hash by which this caller may find the file: what a user only says of one, others must not take for it. */
function hashFor ({ user }: Caller, { user: owner, checksum }: Upload, { hash }: TaskState): string | undefined {
  return checksum?.value ?? (user !== null && user === owner ? hash.toLowerCase() : undefined)
}

async function firstOf (
  uploads: AsyncIterable<Upload>, fits: (upload: Upload) => upload is CompleteUpload
): Promise<CompleteUpload | undefined> {
  for await (const upload of uploads) {
    if (fits(upload)) return upload
  }
  return undefined
}

export function isOver (expiredAt: string | null): boolean {
  return expiredAt !== null && Date.parse(expiredAt) <= Date.now()
}
