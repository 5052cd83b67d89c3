import type { EventEmitter } from 'node:events'
import type { BodyPace } from '../body-pace.js'
import type { Locks } from '../locks/contract.js'
import type { Metadata } from '../metadata/contract.js'
import type { Storage } from '../storage/contract.js'
import { type OperationChannels, operationChannels } from '../telemetry/channels.js'
import type { Upload, UploadingUpload } from '../upload.js'
import { BodiesInFlight } from './body/bodies-in-flight.js'
import type { SaveEvery, WriteRequest } from './body/write-request.js'
import type { Caller } from './caller.js'
import { BackgroundChecksum } from './checksum/background-checksum.js'
import { UploadChecksums } from './checksum/upload-checksums.js'
import { Losses } from './durability/losses.js'
import { Syncer } from './durability/syncer.js'
import { EngineEvents, type UploadEvents } from './events.js'
import { Quota } from './limits/quota.js'
import type { Lease } from './locking/lease.js'
import { UploadLocks } from './locking/upload-locks.js'
import { Agreement } from './agreement.js'
import { currentMetadata } from './records/current-metadata.js'
import { UploadRecords } from './records/upload-records.js'

export interface EngineOptions {
  readonly storage: Storage
  readonly metadata: Metadata
  readonly locks: Locks
  /** The registration: uploads of others are unknown to this engine. Left out, it sees all of the store. */
  readonly scope?: string | undefined
  /** Told of each record that a list or a sweep leaves out because it cannot be read. */
  readonly onUnreadable?: (error: unknown, id: string) => void
  /** Told of each finished file that the disk would not take after its completion was answered: it is compared before each use. */
  readonly onUnsynced?: (error: unknown, upload: Upload) => void
  /** ms that a request waits for an upload in use. */
  readonly lockTimeout: number
  /** How slowly a body may come. */
  readonly pace: BodyPace
  /** Unfinished, unexpired uploads that one user may have; null for no limit. */
  readonly maxOpenUploads: number | null
  /** The expiry of new uploads counts from their last body, not from creation. */
  readonly slidingExpiry: boolean
  /** Where a finished file goes, relative to the storage's root. */
  readonly location?: ((upload: Upload) => string | undefined) | undefined
  /** Confirmed bytes, or ms, after which a long body saves its progress. Default: 64 MiB or 5 s, whatever comes first. */
  readonly saveEvery?: SaveEvery
  /** Bytes of memory for all bodies in flight together. Default: 64 MiB. */
  readonly bodyMemory?: number | undefined
}

/** An upload under its lock, and on whose behalf it is worked on. */
export interface Held<U extends Upload = UploadingUpload> {
  readonly caller: Caller
  readonly upload: U
  readonly lease: Lease
}

/** What every operation works with: made once for an engine. */
export interface EngineContext {
  readonly options: EngineOptions
  readonly storage: Storage
  readonly records: UploadRecords
  readonly locks: UploadLocks
  readonly checksums: UploadChecksums
  readonly backgroundChecksum: BackgroundChecksum
  readonly quota: Quota
  readonly losses: Losses
  readonly syncer: Syncer
  readonly agreement: Agreement
  readonly events: EngineEvents
  readonly bodies: BodiesInFlight
  /** Uploads that nothing can keep from being removed any more. */
  readonly removing: Set<string>
  readonly channels: OperationChannels
  /** Aborts when the engine stops. */
  readonly stopping: AbortSignal
  /** The write of operations/write.ts, for bytes that come from the storage: a replacement needs it, and a write may end with one. */
  readonly writeStored: (context: EngineContext, held: Held, request: WriteRequest) => Promise<UploadingUpload>
}

export function engineContext (
  options: EngineOptions, emitter: EventEmitter<UploadEvents>, writeStored: EngineContext['writeStored']
): EngineContext {
  const { storage } = options
  const records = new UploadRecords(currentMetadata(options.metadata), options.scope, options.onUnreadable)
  const locks = new UploadLocks(options.locks, records, options.lockTimeout)
  const { stopping } = locks
  const checksums = new UploadChecksums(storage)
  const events = new EngineEvents(emitter)
  const syncer = new Syncer({ storage, records, stopping, onFailed: options.onUnsynced ?? (() => {}) })
  return {
    options,
    storage,
    records,
    locks,
    checksums,
    backgroundChecksum: new BackgroundChecksum(records, locks, checksums),
    quota: new Quota(records, locks, options),
    losses: new Losses({ storage, records, checksums, syncer, events, stopping }),
    syncer,
    agreement: new Agreement(storage, records),
    events,
    bodies: new BodiesInFlight(options.bodyMemory),
    removing: new Set(),
    channels: operationChannels(),
    stopping,
    writeStored
  }
}
