import type { RouteHandlerMethod } from 'fastify'
import { UploadComplete } from '../../errors.js'
import type { Upload } from '../../upload.js'
import { type Mount, assertMayKnow, callerOf } from './mount.js'
import { idOf } from './record.js'

/** DELETE on an upload aborts it. Finished files stay: any client with their address knows the id. */
export function remove (mount: Mount): RouteHandlerMethod {
  const { uploads: { engine }, settings } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    assertMayKnow(settings, caller)
    const onRemove = async (upload: Upload): Promise<void> => {
      if (upload.status === 'complete') throw new UploadComplete()
      await caller.hooks.onRemove?.(upload)
    }
    await engine.remove({ ...caller, hooks: { ...caller.hooks, onRemove } }, idOf(request))
    return reply.code(204).send()
  }
}
