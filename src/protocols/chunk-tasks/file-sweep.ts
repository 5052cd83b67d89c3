import type { FastifyInstance } from 'fastify'
import { isOver } from './dedupe.js'
import type { TaskMount } from './mount.js'
import { isTaskState } from './task.js'

/**
 * Removes finished files whose own `expired_at` has passed: clients asked for it, and the host said so by option. Files in use stay
 * until the next sweep.
 * @param every ms
 */
export function sweepFiles ({ engine, name: protocol }: TaskMount, scope: FastifyInstance, every: number): void {
  let sweeping: Promise<void> | undefined
  const sweep = async (): Promise<void> => {
    await engine.purge(engine.scan({ protocol, internal: false, status: 'complete' }), ({ status, protocolState }) => {
      return status === 'complete' && isTaskState(protocolState) && isOver(protocolState.expired_at)
    })
  }
  const timer = setInterval(() => {
    sweeping ??= sweep()
      .catch((error: unknown) => {
        if (!engine.stopping) scope.log.error({ err: error }, 'expired files could not be removed')
      })
      .finally(() => { sweeping = undefined })
  }, every).unref()
  scope.addHook('preClose', async () => {
    clearInterval(timer)
    await sweeping
  })
}
