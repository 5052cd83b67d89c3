import type { FastifyReply } from 'fastify'
import { assertThere } from '../../engine/index.js'
import type { Caller } from '../contract.js'
import { refuse } from './errors.js'
import { checkVersion } from './headers.js'
import type { TusContext } from './mount.js'
import { isPartial } from './state.js'

/** DELETE on an upload: bytes and mostly the record too are freed (tus 1.0.0, termination). */
export async function terminate (context: TusContext): Promise<FastifyReply> {
  const { mount, request, reply, id } = context
  checkVersion(request)
  const caller = await context.caller()
  const known = await mount.engine.get(caller, id)
  assertThere(known)
  const { terminateFinished, keepRecords } = mount.settings
  await mount.engine.remove(terminateFinished ? caller : sparingFinished(caller), id, { keepRecord: keepRecords })
  return await reply.code(204).send()
}

/** Asked under the lock: an upload may become complete while a request waits to remove it. */
function sparingFinished (caller: Caller): Caller {
  return {
    ...caller,
    hooks: {
      ...caller.hooks,
      onRemove: async upload => {
        if (upload.status === 'complete' && !isPartial(upload)) throw refuse(403, 'FINISHED', 'Finished uploads cannot be terminated')
        await caller.hooks.onRemove?.(upload)
      }
    }
  }
}
