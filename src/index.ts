export { chunkedUpload as default, chunkedUpload } from './plugin.js'
export type { ChunkedUploadOptions, Duration, HookContext, MaybePromise, UntypedFile } from './options.js'
export type { HostUploads, UploadFilter } from './host-uploads.js'
export { allowedHeaders, allowedMethods, exposedHeaders } from './protocols/cors.js'

export { chunkTasks, taskIdOf, uploadIdOf } from './protocols/chunk-tasks/index.js'
export type {
  Bundle, ChunkTaskHooks, ChunkTasksOptions, Encryption, ErrorStyle, FindFile, KeyAsker, Pool, Quota, WantedTask
} from './protocols/chunk-tasks/index.js'
export { contentRange } from './protocols/content-range/index.js'
export type { ContentRangeOptions, DialectName } from './protocols/content-range/index.js'
export { resumableHttp } from './protocols/resumable-http/index.js'
export type { ResumableHttpOptions } from './protocols/resumable-http/index.js'
export { tus } from './protocols/tus/index.js'
export type { TusExtension, TusOptions } from './protocols/tus/index.js'
export { formAppend } from './protocols/form-append/index.js'
export type { FormAppendOptions } from './protocols/form-append/index.js'
export { rawAppend } from './protocols/raw-append/index.js'
export type { RawAppendOptions } from './protocols/raw-append/index.js'
export { ffmpeg } from './ffmpeg/index.js'
export type { Container, FfmpegOptions } from './ffmpeg/index.js'
export { JoinFailed } from './protocols/raw-append/joiner.js'
export type { Clip, Joined, Joiner, JoinReport } from './protocols/raw-append/joiner.js'
export type { HostApp, HostRouteOptions, Protocol, ProtocolSettings, RouteName, Uploads } from './protocols/contract.js'

export { diskStorage } from './storage/disk/index.js'
export type { DiskStorageOptions } from './storage/disk/index.js'
export { encryptedStorage } from './storage/encrypted/index.js'
export type { EncryptedStorage, EncryptedStorageOptions } from './storage/encrypted/index.js'
export type { ScryptCost } from './storage/encrypted/keys.js'
export type { PasswordAsker } from './storage/encrypted/password-checks.js'
export { memoryStorage } from './storage/memory.js'
export { fileMetadata } from './metadata/file/index.js'
export type { FileMetadataOptions } from './metadata/file/index.js'
export { memoryMetadata } from './metadata/memory.js'
export { fileLocks } from './locks/file/index.js'
export type { FileLocksOptions } from './locks/file/index.js'
export { memoryLocks } from './locks/memory.js'

export { StorageLost, StorageShort } from './storage/contract.js'
export type { ChecksumStates, FileKey, ReadOptions, Storage, StorageCapabilities, WriteProgress } from './storage/contract.js'
export type { ChecksumQuery, ListOrder, ListQuery, Metadata, UploadPage, UploadUsage, UsageQuery } from './metadata/contract.js'
export type { Claim, Lock, LockRequest, Locks } from './locks/contract.js'

export type {
  BodyDigest, BodyDigestAlgorithm, BodyHash, Caller, CallerHooks, Completed, CompleteRequest, CompletionReply, Concatenation,
  DeletedExpired, DeleteExpiredOptions, EngineOptions, FinishedQuery, FinishingWriteRequest, OwnQuery, ProtocolChange, RecordQuery,
  RemoveOptions, Replacement, RunningHash, Sameness, SaveEvery, ScratchDraft, ScratchOwner, ScratchUploads, SpooledBody, Told,
  UploadDraft, UploadEngine, UploadEvents, UploadLimits, WriteRequest, Written
} from './engine/index.js'
export type { OpenBodies } from './http/body/unread-body.js'
export type { BodyPace } from './body-pace.js'
export { offsetOf } from './upload.js'
export type {
  ByteRange, ChecksumState, CompleteUpload, JsonObject, JsonValue, RemovalReason, RemovedUpload, Upload, UploadChecksum, UploadFields,
  UploadingUpload, UploadPhase, UserId
} from './upload.js'
export * as errors from './errors.js'
