import { InvalidOption } from '../../errors.js'
import type { Upload } from '../../upload.js'
import type { ProtocolSettings } from '../contract.js'
import type { FastifyRequest } from 'fastify'
import type { Encryption } from './encryption.js'
import type { ChunkTaskHooks, MaybePromise, WantedTask } from './hooks.js'

/** `api`: ApiError objects. `text`: the plain texts of the contract before October 2025. */
export type ErrorStyle = 'api' | 'text'

/** Options of {@link chunkTasks}. */
export interface ChunkTasksOptions extends ChunkTaskHooks {
  /** Names the mount; several of one registration need different names. @default 'chunkTasks' */
  readonly name?: string
  /** Path below the registration's prefix. The original is at `/api/files/upload`. @default '' */
  readonly prefix?: string
  /** @default 'api' */
  readonly errorStyle?: ErrorStyle
  /** Anonymous requests hear 401 on every route, as in the original. @default the registration's `requireUser` */
  readonly requireUser?: boolean
  /** Bytes of a chunk where the client does not say. @default 5242880 */
  readonly chunkSize?: number
  /** Bytes: a wish for smaller chunks is raised to it. @default 1 */
  readonly minChunkSize?: number
  /** Bytes: a wish for larger chunks is lowered to it. @default 104857600 */
  readonly maxChunkSize?: number
  /** A file of more chunks gets larger ones, up to `maxChunkSize`. @default 10000 */
  readonly maxChunks?: number
  /**
   * Which files make an upload needless when a client names their hash: `user`, the same user's in the same pool (everybody's where
   * users are not restricted); `all`, which tells whoever knows a hash that somebody stored the file; a function that finds one; or none.
   * @default 'user'
   */
  readonly dedupe?: 'user' | 'all' | false | ((task: WantedTask, request: FastifyRequest) => MaybePromise<Upload | null | undefined>)
  /**
   * A chunk that is there already: `replace` compares, and stores what differs; of an encrypted file, which cannot be compared, the first
   * one stays. `discard` drops the body unread, and answers as the original has done since November 2025. @default 'replace'
   */
  readonly repeats?: 'replace' | 'discard'
  /**
   * Removes finished files once their own `expired_at` has passed: true every hour, or a number of ms. Nothing else removes a finished
   * file by itself. @default false
   */
  readonly sweepFiles?: boolean | number
  /** Bytes that `direct` takes. @default 20971520 */
  readonly directBytes?: number
  /** What encrypts files that come with `encrypt_password`: the storage, made by `encryptedStorage()`. Without it they are refused. */
  readonly encryption?: Encryption
}

export interface ChunkTasksSettings extends ChunkTaskHooks {
  readonly requireUser: boolean
  readonly chunkSize: number
  readonly minChunkSize: number
  readonly maxChunkSize: number
  readonly maxChunks: number
  readonly dedupe: NonNullable<ChunkTasksOptions['dedupe']>
  readonly repeats: 'replace' | 'discard'
  readonly directBytes: number
  readonly encryption: Encryption | undefined
  /** ms; null for never. */
  readonly expirationDelta: number | null
  /** Of files whose hash nobody gave. */
  readonly checksum: string | false
}

export function settingsOf (options: ChunkTasksOptions, { requireUser, expirationDelta, checksum }: ProtocolSettings): ChunkTasksSettings {
  return {
    chunkSize: 5 * 1024 * 1024,
    minChunkSize: 1,
    maxChunkSize: 100 * 1024 * 1024,
    maxChunks: 10_000,
    dedupe: 'user',
    repeats: 'replace',
    directBytes: 20 * 1024 * 1024,
    requireUser,
    ...options,
    encryption: options.encryption,
    expirationDelta,
    checksum
  }
}

/** ms between two sweeps of expired files; 0 for none. */
export function sweepEvery ({ sweepFiles = false }: ChunkTasksOptions): number {
  return sweepFiles === true ? 3_600_000 : Number(sweepFiles)
}

const SIZES = ['chunkSize', 'minChunkSize', 'maxChunkSize', 'maxChunks', 'directBytes'] as const
const HOOKS = ['authorize', 'resolvePool', 'resolveBundle', 'quota', 'fileRecord'] as const

/** @throws {InvalidOption} */
export function checkChunkTasksOptions (options: ChunkTasksOptions): void {
  const check = (name: keyof ChunkTasksOptions, right: boolean, text: string): void => {
    if (options[name] !== undefined && !right) throw new InvalidOption(`chunkTasks.${name}`, text)
  }
  const { errorStyle, requireUser, dedupe, repeats, sweepFiles, encryption } = options
  for (const name of SIZES) check(name, Number.isSafeInteger(options[name]) && Number(options[name]) > 0, 'must be a whole number above 0')
  for (const name of HOOKS) check(name, typeof options[name] === 'function', 'must be a function')
  check('errorStyle', errorStyle === 'api' || errorStyle === 'text', "must be 'api' or 'text'")
  check('requireUser', typeof requireUser === 'boolean', 'must be a boolean')
  const dedupes = dedupe === 'user' || dedupe === 'all' || dedupe === false || typeof dedupe === 'function'
  check('dedupe', dedupes, "must be 'user', 'all', false or a function")
  check('repeats', repeats === 'replace' || repeats === 'discard', "must be 'replace' or 'discard'")
  check('sweepFiles', typeof sweepFiles === 'boolean' || (Number.isFinite(sweepFiles) && Number(sweepFiles) > 0), 'must be a boolean or ms')
  check('encryption', typeof encryption === 'object' && typeof encryption.seal === 'function', 'must be made by encryptedStorage()')
}
