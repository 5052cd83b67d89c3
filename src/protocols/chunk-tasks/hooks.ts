import type { FastifyRequest } from 'fastify'
import type { MaybePromise } from '../../option-rules.js'
import type { Upload, JsonObject, UserId } from '../../upload.js'

/** A task as a client asks for it: what the host's hooks decide on. */
export interface WantedTask {
  readonly user: UserId | null
  /** Hex of a known kind or anything else; empty when the client gave none. */
  readonly hash: string
  readonly fileName: string
  /** Bytes. */
  readonly fileSize: number
  readonly contentType: string
  /** UUIDs with dashes, lower-case. */
  readonly poolId: string | null
  readonly bundleId: string | null
  /** When the finished file expires, ISO 8601. */
  readonly expiredAt: string | null
  /** The client wants the file encrypted at rest. The password itself is not given. */
  readonly encrypted: boolean
}

/** Where files go, in the host's own terms, and what may go there. */
export interface Pool {
  readonly id?: string
  readonly name?: string
  readonly description?: string
  /** TaskRefusal when the user's tier is below the pool's. */
  readonly tier?: { readonly required: number, readonly actual: number }
  /** False refuses `encrypt_password`. Default: true, where the protocol has `encryption` */
  readonly allowEncryption?: boolean
  /** Media types, `image/*` for all of a kind, compared without regard to case. Left out: all, and none at all. */
  readonly acceptTypes?: readonly string[]
  /** Bytes. */
  readonly maxFileSize?: number
  /** What a byte here weighs in the user's quota. Default: 1 */
  readonly costMultiplier?: number
  /** The member `pool` of the answer. Default: id, name and description */
  readonly record?: JsonObject
}

export interface Bundle {
  /** Goes before the file's own expiry, ISO 8601. */
  readonly expiredAt?: string | null
}

/** In MiB. */
export interface Quota {
  readonly limit: number
  readonly used?: number
}

/** The host's say in tasks. Each may throw an error of its own, which the host's error handler then answers. */
export interface ChunkTaskHooks {
  /** Whether the user may create files; false refuses with the contract's 403. */
  readonly authorize?: (task: WantedTask, request: FastifyRequest) => MaybePromise<boolean>
  /**
   * The pool of this id, nothing for one that is unknown or not the user's. Asked with null for a task without a pool, which may then
   * have a default one. Asked again at completion.
   */
  readonly resolvePool?: (poolId: string | null, request: FastifyRequest) => MaybePromise<Pool | null | undefined>
  /** The bundle of this id, nothing for one that is unknown or not the user's. Asked at completion. */
  readonly resolveBundle?: (bundleId: string, request: FastifyRequest) => MaybePromise<Bundle | null | undefined>
  /** What the user may store altogether; nothing for no limit. */
  readonly quota?: (task: WantedTask, request: FastifyRequest) => MaybePromise<Quota | null | undefined>
  /** Another file record than `file`, which the contract describes. */
  readonly fileRecord?: (upload: Upload, request: FastifyRequest, file: JsonObject) => MaybePromise<JsonObject>
}
