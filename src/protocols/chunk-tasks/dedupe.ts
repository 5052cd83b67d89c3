import type { FastifyRequest } from 'fastify'
import { asked } from '../../engine/records.js'
import type { CompleteUpload, Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import type { WantedTask } from './hooks.js'
import type { Mount } from './mount.js'
import { algorithmOf } from './new-task.js'
import { isTaskState } from './task.js'

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
  const owner = { protocol: caller.protocol ?? '', ...!everybody && { user: caller.user } }
  const hash = wanted.hash.toLowerCase()
  const fits = (upload: Upload): upload is CompleteUpload => upload.status === 'complete' && upload.size === wanted.fileSize &&
    isTaskState(upload.protocolState) && upload.protocolState.encryption === null && !isOver(upload.protocolState.expired_at) &&
    (everybody || upload.protocolState.pool_id === wanted.poolId) &&
    (upload.checksum?.value ?? upload.protocolState.hash.toLowerCase()) === hash

  const algorithm = algorithmOf(hash)
  if (algorithm !== undefined) {
    const found = await asked(() => engine.metadata.findByChecksum({ ...owner, algorithm, value: hash }))
    if (found === undefined) return undefined
    if (fits(found)) return found
  }
  // No index for the rest: a hash of an unknown kind, or several files of one hash of which the found one does not fit.
  for await (const upload of engine.everyUpload({ ...owner, status: 'complete' })) {
    if (fits(upload)) return upload
  }
  return undefined
}

export function isOver (expiredAt: string | null): boolean {
  return expiredAt !== null && Date.parse(expiredAt) <= Date.now()
}
