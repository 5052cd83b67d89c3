import type { FastifyRequest } from 'fastify'
import type { ChunkTaskHooks, Pool, WantedTask } from './hooks.js'
import type { ChunkTasksSettings } from './options.js'
import { type TaskRefusal, forbidden, invalid, notFound, overQuota } from './refusals.js'

const MIB = 1024 * 1024

/**
 * Whether the host takes this file, in the contract's order: permission, pool, tier, encryption, type, size, quota.
 * @returns the pool it goes to
 * @throws {TaskRefusal}
 */
export async function checkPolicy (
  settings: ChunkTaskHooks & Pick<ChunkTasksSettings, 'encryption'>, wanted: WantedTask, request: FastifyRequest
): Promise<Pool | null> {
  if (await settings.authorize?.(wanted, request) === false) throw forbidden()
  const pool = await findPool(settings, wanted.poolId, request)
  if (pool === undefined) throw notFound('Pool')
  checkTier(pool)
  if (wanted.encrypted && (settings.encryption === undefined || pool?.allowEncryption === false)) {
    throw noEncryption()
  }
  checkType(pool, wanted.contentType)
  const most = pool?.maxFileSize ?? Infinity
  if (wanted.fileSize > most) throw forbidden(`File size ${wanted.fileSize} is larger than the pool's maximum file size ${most}`)
  const quota = await settings.quota?.(wanted, request)
  const weight = Math.ceil(wanted.fileSize / MIB * (pool?.costMultiplier ?? 1))
  if (quota !== undefined && quota !== null && (quota.used ?? 0) + weight > quota.limit) {
    throw overQuota(weight, quota.limit)
  }
  return pool
}

export function noEncryption (): TaskRefusal {
  return forbidden('File encryption is not allowed in this pool')
}

/** The pool, null for a task without one, undefined for one that is not there or not the user's. */
export async function findPool (
  { resolvePool }: ChunkTaskHooks, poolId: string | null, request: FastifyRequest
): Promise<Pool | null | undefined> {
  const pool = await resolvePool?.(poolId, request) ?? null
  return pool === null && poolId !== null && resolvePool !== undefined ? undefined : pool
}

function checkTier (pool: Pool | null): void {
  const { required, actual } = pool?.tier ?? { required: 0, actual: 0 }
  if (actual >= required) return
  throw forbidden(
    `Tier ${required} is needed to use this pool, yours is ${actual}`,
    `You need Stellar Program tier ${required} to use this pool, you are tier ${actual}`
  )
}

function checkType (pool: Pool | null, contentType: string): void {
  const accepted = pool?.acceptTypes ?? []
  if (accepted.length === 0) return
  if (contentType === '') throw invalid({ contentType: ["Content type is required by the pool's policy"] })
  const type = contentType.toLowerCase()
  const fits = (entry: string): boolean => entry === type || (entry.endsWith('/*') && type.startsWith(entry.slice(0, -1)))
  if (!accepted.some(entry => fits(entry.toLowerCase()))) throw forbidden(`Content type ${contentType} is not allowed by the pool's policy`)
}
