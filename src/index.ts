export { chunkedUpload as default, chunkedUpload } from './plugin.js'
export type { ChunkedUploadOptions, Duration, HookContext } from './options.js'
export type { HostUploads, UploadFilter } from './host-uploads.js'
export { allowedHeaders, allowedMethods, exposedHeaders } from './http/cors.js'

export { chunkTasks, taskIdOf, uploadIdOf } from './protocols/chunk-tasks.js'
export type { Bundle, ChunkTaskHooks, ChunkTasksOptions, Pool, Quota, WantedTask } from './protocols/chunk-tasks.js'
export { contentRange } from './protocols/content-range.js'
export type { ContentRangeOptions } from './protocols/content-range.js'
export { tus } from './protocols/tus.js'
export type { TusExtension, TusOptions } from './protocols/tus.js'
export { formAppend } from './protocols/form-append.js'
export type { FormAppendOptions } from './protocols/form-append.js'
export type { HostRouteOptions, Protocol, ProtocolSettings, RouteName, Uploads } from './protocols/contract.js'

export { diskStorage } from './storage/disk.js'
export type { DiskStorageOptions } from './storage/disk.js'
export { memoryStorage } from './storage/memory.js'
export { fileMetadata } from './metadata/file.js'
export type { FileMetadataOptions } from './metadata/file.js'
export { memoryMetadata } from './metadata/memory.js'
export { fileLocks } from './locks/file.js'
export type { FileLocksOptions } from './locks/file.js'
export { memoryLocks } from './locks/memory.js'

export { StorageLost } from './storage/contract.js'
export type { FinishOptions, Storage, StorageCapabilities, WriteProgress } from './storage/contract.js'
export type { ChecksumQuery, ListQuery, Metadata, UploadPage } from './metadata/contract.js'
export type { Claim, Lock, LockRequest, Locks } from './locks/contract.js'

export type { Caller, CallerHooks, CompletionReply, UploadDraft } from './engine/caller.js'
export type { DeletedExpired, DeleteExpiredOptions } from './engine/expiry.js'
export type { CompleteRequest, RemoveOptions, UploadEvents } from './engine/upload-engine.js'
export { offsetOf } from './upload.js'
export type {
  ByteRange, ChecksumState, CompleteUpload, JsonObject, JsonValue, RemovalReason, RemovedUpload, Upload, UploadChecksum, UploadingUpload,
  UserId
} from './upload.js'
export * as errors from './errors.js'
