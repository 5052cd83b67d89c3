/** `fastify-chunked-upload/adapter`: the contracts, for those who write a storage, a store of records or locks. */
export { StorageLost, StorageShort } from './storage/contract.js'
export type { ChecksumStates, FileKey, ReadOptions, Storage, StorageCapabilities, WriteProgress } from './storage/contract.js'
export type {
  ChecksumQuery, ListOrder, ListQuery, Metadata, UploadPage, UploadUsage, UsageQuery
} from './metadata/contract.js'
export type { Claim, Lock, LockRequest, Locks } from './locks/contract.js'
