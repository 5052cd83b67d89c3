import type { FastifyInstance } from 'fastify'
import type { UploadEngine } from '../../engine/upload-engine.js'
import { isOver } from './dedupe.js'
import { isTaskState } from './task.js'

/**
 * Removes finished files whose own `expired_at` has passed: clients asked for it, and the host said so by option. Files in use stay
 * until the next sweep.
 * @param every ms
 */
export function sweepFiles (scope: FastifyInstance, engine: UploadEngine, protocol: string, every: number): void {
  let sweeping: Promise<void> | undefined
  const sweep = async (): Promise<void> => {
    for await (const { id, protocolState } of engine.scan({ protocol, internal: false, status: 'complete' })) {
      if (engine.stopping) return
      if (!isTaskState(protocolState) || !isOver(protocolState.expired_at)) continue
      await engine.ifFree(id, async upload => {
        if (upload?.status === 'complete') await engine.purge(upload, 'expired', false)
      })
    }
  }
  const timer = setInterval(() => {
    sweeping ??= sweep()
      .catch((error: unknown) => { scope.log.error({ err: error }, 'expired files could not be removed') })
      .finally(() => { sweeping = undefined })
  }, every).unref()
  scope.addHook('preClose', async () => {
    clearInterval(timer)
    await sweeping
  })
}
