import { type MaybePromise, checkByRules } from '../../option-rules.js'
import type { Upload } from '../../upload.js'
import type { FastifyRequest } from 'fastify'
import type { Encryption } from './encryption.js'
import type { ChunkTaskHooks, WantedTask } from './hooks.js'
import { rules } from './options.rules.js'

/** `api`: ApiError objects. `text`: the plain texts of the contract before October 2025. */
export type ErrorStyle = 'api' | 'text'

/** Finds the finished upload that makes a task needless; null or undefined for none. */
export type FindFile = (task: WantedTask, request: FastifyRequest) => MaybePromise<Upload | null | undefined>

/** Options of {@link chunkTasks}. */
export interface ChunkTasksOptions extends ChunkTaskHooks {
  /** Names the mount; several of one registration need different names. @default 'chunkTasks' */
  readonly name?: string | undefined
  /** Path below the registration's prefix. The original is at `/api/files/upload`. @default '' */
  readonly prefix?: string | undefined
  /** Form of error bodies: `api`, ApiError objects, or `text`, the plain texts of before October 2025. @default 'api' */
  readonly errorStyle?: ErrorStyle | undefined
  /** Anonymous requests hear 401 on every route, as in the original. @default the registration's `requireUser` */
  readonly requireUser?: boolean | undefined
  /** Bytes of a chunk where the client does not say. @default 5242880 */
  readonly chunkSize?: number | undefined
  /** Bytes: a wish for smaller chunks is raised to it. @default 1 */
  readonly minChunkSize?: number | undefined
  /** Bytes: a wish for larger chunks is lowered to it. @default 104857600 */
  readonly maxChunkSize?: number | undefined
  /** A file of more chunks gets larger ones, up to `maxChunkSize`; one that needs more even so is refused. @default 10000 */
  readonly maxChunks?: number | undefined
  /**
   * Which files make an upload needless when a client names their hash: `user`, the same user's in the same pool (all users' where
   * users are not restricted); `all`, those of all users, too; a function that finds one, which is shown as it is; or none.
   *
   * `all` tells the client that the file is there, and gives it a record of its own with a copy of the bytes: nothing of the other
   * record, and no access to it. `onCreate`, `onComplete` and all limits hold for it; the answer takes as long as copying does. Anonymous
   * clients get a new copy each time: set `requireUser` where that is too much. Of other
   * users' files only hashes that were verified count.
   * @default 'user'
   */
  readonly dedupe?: 'user' | 'all' | false | FindFile | undefined
  /**
   * A chunk that is there already: `replace` compares, and stores what differs; of an encrypted file, which cannot be compared, the first
   * one stays. `discard` drops the body unread, and answers as the original has done since November 2025. @default 'replace'
   */
  readonly repeats?: 'replace' | 'discard' | undefined
  /**
   * Removes finished files once their own `expired_at` has passed: true every hour, or a number of ms. Nothing else removes a finished
   * file by itself. @default false
   */
  readonly sweepFiles?: boolean | number | undefined
  /** Bytes that `direct` takes. @default 20971520 */
  readonly directBytes?: number | undefined
  /** What encrypts files that come with `encrypt_password`: the storage, made by `encryptedStorage()`. Without it they are refused. */
  readonly encryption?: Encryption | undefined
}

/** Bytes of chunks, and their number, as the host wants them. */
export interface ChunkSizes {
  readonly chunkSize: number
  readonly minChunkSize: number
  readonly maxChunkSize: number
  readonly maxChunks: number
}

/** What the verbs read of the options. What is undefined is as the plugin says. */
export interface ChunkTasksSettings extends ChunkTaskHooks, ChunkSizes {
  readonly errorStyle: ErrorStyle
  readonly requireUser: boolean | undefined
  readonly dedupe: NonNullable<ChunkTasksOptions['dedupe']>
  readonly repeats: 'replace' | 'discard'
  /** ms between two sweeps of expired files; 0 for none. */
  readonly sweepEvery: number
  readonly directBytes: number
  readonly encryption: Encryption | undefined
}

/** @throws {InvalidOption} */
export function settingsOf (options: ChunkTasksOptions): ChunkTasksSettings {
  checkByRules('chunkTasks', options, rules)
  const { authorize, resolvePool, resolveBundle, quota, fileRecord, sweepFiles = false } = options
  return {
    ...authorize !== undefined && { authorize },
    ...resolvePool !== undefined && { resolvePool },
    ...resolveBundle !== undefined && { resolveBundle },
    ...quota !== undefined && { quota },
    ...fileRecord !== undefined && { fileRecord },
    errorStyle: options.errorStyle ?? 'api',
    requireUser: options.requireUser,
    chunkSize: options.chunkSize ?? 5 * 1024 * 1024,
    minChunkSize: options.minChunkSize ?? 1,
    maxChunkSize: options.maxChunkSize ?? 100 * 1024 * 1024,
    maxChunks: options.maxChunks ?? 10_000,
    dedupe: options.dedupe ?? 'user',
    repeats: options.repeats ?? 'replace',
    sweepEvery: sweepFiles === true ? 3_600_000 : Number(sweepFiles),
    directBytes: options.directBytes ?? 20 * 1024 * 1024,
    encryption: options.encryption
  }
}
