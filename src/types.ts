/** `fastify-chunked-upload/types`: what other public types name, and few hosts have to write down. No code. */
export type { Duration, MaybePromise } from './options.js'
export type { CorsHeaders, HostApp, HostRouteOptions, ProtocolSettings, RouteName, Uploads } from './protocols/contract.js'
export type {
  BodyDigest, BodyDigestAlgorithm, BodyHash, Caller, CallerHooks, Completed, CompleteRequest, Concatenation,
  DeletedExpired, DeleteExpiredOptions, EngineOptions, FinishedQuery, FinishingWriteRequest, OwnQuery,
  ProtocolChange, RecordQuery, RemoveOptions, Replacement, RunningHash, Sameness,
  SaveEvery, ScratchDraft, ScratchOwner, ScratchUploads, SpooledBody, Told, UploadEngine, UploadEvents, UploadLimits, WriteRequest,
  Written
} from './engine/index.js'
export type { Kind as ErrorKind } from './protocols/error-answer.js'
export type { FormKind } from './http/body/form.js'
export type { FileWanted } from './http/body/form-file.js'
export type { FieldPart, FilePart } from './http/body/multipart.js'
export type { RouteSetting } from './http/routing/routes.js'
export type { Exchange } from './http/download/send-upload.js'
export type { OpenBodies } from './http/body/unread-body.js'
export type { BodyPace } from './body-pace.js'
export type {
  Bundle, ChunkTaskHooks, Encryption, ErrorStyle, FindFile, KeyAsker, Pool, Quota, WantedTask
} from './protocols/chunk-tasks/index.js'
export type { DialectName } from './protocols/content-range/index.js'
export type { TusExtension } from './protocols/tus/index.js'
export type {
  ByteRange, ChecksumState, JsonObject, JsonValue, RemovalReason, UploadChecksum, UploadFields, UploadPhase
} from './upload.js'
