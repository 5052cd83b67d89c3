import type { TObject, TSchema } from '@sinclair/typebox'
import { bodyDigestLengths, checksumAlgorithms } from '../src/engine/index.js'
import type { FfmpegOptions } from '../src/ffmpeg/index.js'
import type { FileLocksOptions } from '../src/locks/file/index.js'
import type { FileMetadataOptions } from '../src/metadata/file/index.js'
import type { ChunkedUploadOptions } from '../src/options.js'
import type { ChunkTasksOptions } from '../src/protocols/chunk-tasks/options.js'
import type { ContentRangeOptions } from '../src/protocols/content-range/options.js'
import type { FormAppendOptions } from '../src/protocols/form-append/options.js'
import type { RawAppendOptions } from '../src/protocols/raw-append/options.js'
import type { ResumableHttpOptions } from '../src/protocols/resumable-http/options.js'
import { type TusOptions, tusExtensions } from '../src/protocols/tus/options.js'
import type { DiskStorageOptions } from '../src/storage/disk/index.js'
import type { EncryptedStorageOptions } from '../src/storage/encrypted/index.js'
import {
  adapter, bodyHash, boolean, checksumOf, delay, duration, either, ending, func, joiner, lifetime, listOf, mediaType, mediaTypes, mount,
  names, oneOf, optionsOf, or, positive, powerOfTwo, protocols, secret, storage, string, text, url, whole, without, worded
} from './kinds.js'

/** The options of one factory. */
export interface Table {
  /** The factory, or the plugin. */
  readonly of: string
  /** Where the interface stands, and the folder that gets the compiled rules. */
  readonly file: string
  readonly type: string
  readonly schema: TObject
}

function table<Options> (
  of: string, file: string, type: string, properties: Readonly<Record<keyof Options, TSchema>>, required: readonly string[] = []
): Table {
  return { of, file, type, schema: optionsOf(properties, required) }
}

/** What a route of the plugin decides itself. */
const OWN_ROUTE_OPTIONS: readonly string[] = [
  'method', 'url', 'path', 'handler', 'errorHandler', 'validatorCompiler', 'serializerCompiler', 'attachValidation', 'exposeHeadRoute',
  'prefixTrailingSlash'
]
const bytes = either('must be a whole number of bytes, null for no limit, or a function of the request', or(null, whole(0)), func)
const checksum = checksumOf(checksumAlgorithms)
const digests = Object.keys(bodyDigestLengths)

export const tables: readonly Table[] = [
  table<ChunkedUploadOptions>('chunkedUpload', 'src/options.ts', 'ChunkedUploadOptions', {
    name: text,
    scope: text,
    protocols,
    directory: text,
    path: either('must be a strftime pattern or a function', text, func),
    completeExt: ending,
    incompleteExt: ending,
    durability: oneOf('process', 'disk'),
    storage,
    metadata: adapter('create', 'get', 'getBySerial', 'update', 'delete', 'list', 'usage', 'findByChecksum'),
    locks: adapter('acquire'),
    expirationDelta: lifetime(1),
    expirationFrom: oneOf('creation', 'activity'),
    sweepInterval: or(false, duration(1, undefined, '; false for never')),
    lockTimeout: duration(0),
    stallTimeout: duration(0, undefined, '; 0 for never'),
    minRate: whole(0),
    maxBodyTime: duration(0, undefined, '; 0 for never'),
    bodyMemory: whole(1),
    checksum,
    maxBytes: bytes,
    maxStored: bytes,
    maxOpenUploads: or(null, whole(0)),
    allowedTypes: either(`${mediaTypes().message}, or a function`, mediaTypes('*/*'), func),
    detectType: func,
    fieldName: names,
    user: func,
    userRestricted: boolean,
    requireUser: boolean,
    onCreate: func,
    onComplete: func,
    onRemove: func,
    onExpire: func,
    location: func,
    baseUrl: url,
    downloads: either(
      "must be true, false or { inline: a list of media types, each 'type/subtype' or 'type/*' }",
      boolean, optionsOf({ inline: mediaTypes() })
    ),
    routeOptions: either(
      `must be options of a route or a function that returns them, without ${OWN_ROUTE_OPTIONS.join(', ')}`,
      func, without(OWN_ROUTE_OPTIONS)
    )
  }),

  table<ContentRangeOptions>('contentRange', 'src/protocols/content-range/options.ts', 'ContentRangeOptions', {
    ...mount,
    dialect: oneOf('drf', 'chunky', 'parent'),
    fieldName: names,
    checksum,
    expirationDelta: lifetime(0),
    requireUser: boolean,
    idFormat: oneOf('hex', 'dashes'),
    requireContentRange: boolean,
    requireFilename: boolean,
    requireComplete: boolean,
    allowDelete: boolean,
    fileUrl: func,
    baseUrl: url,
    uploadUrl: func,
    serialize: func
  }),

  table<TusOptions>('tus', 'src/protocols/tus/options.ts', 'TusOptions', {
    ...mount,
    disable: worded(listOf(oneOf(...tusExtensions)), `must be a list of some of ${tusExtensions.join(', ')}`),
    relativeLocation: boolean,
    baseUrl: url,
    checksumAlgorithms: listOf(either(
      `must be a list of some of ${digests.join(', ')}, or of objects with a name in lower case, length and create`,
      oneOf(...digests), bodyHash
    )),
    checksum,
    expirationDelta: lifetime(0),
    terminateFinished: boolean,
    keepRecords: boolean,
    deletePartials: boolean,
    concatenationWait: delay(0),
    maxParts: whole(1),
    maxWaitingFinals: whole(1),
    requireUser: boolean,
    errorFormat: oneOf('text', 'json')
  }),

  table<ResumableHttpOptions>('resumableHttp', 'src/protocols/resumable-http/options.ts', 'ResumableHttpOptions', {
    ...mount,
    minSize: whole(0),
    maxAppendSize: whole(1),
    minAppendSize: whole(0),
    interim: worded(or(false, oneOf('auto')), "must be 'auto' or false"),
    progress: worded(
      or(false, optionsOf({ bytes: positive, ms: positive })), 'must be false or { bytes, ms }, each a number more than 0'
    ),
    relativeLocation: boolean,
    baseUrl: url,
    checksum,
    expirationDelta: lifetime(0),
    removeFinished: boolean,
    requireUser: boolean
  }),

  table<FormAppendOptions>('formAppend', 'src/protocols/form-append/options.ts', 'FormAppendOptions', {
    ...mount,
    maxBytes: worded(or(null, whole(0)), 'must be a whole number of bytes, or null for no limit'),
    expirationDelta: lifetime(0),
    checksum,
    contentRange: boolean,
    baseUrl: url,
    mediaUrl: either('must be a string or a function', string, func),
    listAnonymous: boolean
  }),

  table<ChunkTasksOptions>('chunkTasks', 'src/protocols/chunk-tasks/options.ts', 'ChunkTasksOptions', {
    ...mount,
    errorStyle: oneOf('api', 'text'),
    requireUser: boolean,
    chunkSize: whole(1),
    minChunkSize: whole(1),
    maxChunkSize: whole(1),
    maxChunks: whole(1),
    dedupe: either("must be 'user', 'all', false or a function", or(false, oneOf('user', 'all')), func),
    repeats: oneOf('replace', 'discard'),
    sweepFiles: either('must be true, false or milliseconds, more than 0, at most 24 days', boolean, delay(1)),
    directBytes: whole(1),
    encryption: worded(adapter('seal', 'unlock'), 'must be made by encryptedStorage()'),
    authorize: func,
    resolvePool: func,
    resolveBundle: func,
    quota: func,
    fileRecord: func
  }),

  table<RawAppendOptions>('rawAppend', 'src/protocols/raw-append/options.ts', 'RawAppendOptions', {
    ...mount,
    expirationDelta: lifetime(0),
    contentType: mediaType,
    filename: func,
    join: joiner,
    onJoined: func,
    onJoinFailed: func
  }),

  table<FfmpegOptions>('ffmpeg', 'src/ffmpeg/index.ts', 'FfmpegOptions', {
    ffmpeg: text, ffprobe: text, jobs: or(Infinity, whole(1)), timeout: delay(0), directory: text, encode: func
  }),

  table<DiskStorageOptions>('diskStorage', 'src/storage/disk/index.ts', 'DiskStorageOptions', {
    directory: text,
    path: either('must be a strftime pattern or a function', string, func),
    incompleteExt: or('', ending),
    completeExt: or('', ending),
    durability: oneOf('process', 'disk'),
    mode: whole(0, 0o7777)
  }),

  table<EncryptedStorageOptions>('encryptedStorage', 'src/storage/encrypted/index.ts', 'EncryptedStorageOptions', {
    segmentSize: whole(1),
    scrypt: worded(
      optionsOf(
        { cost: powerOfTwo, blockSize: whole(1), parallelization: whole(1) }, ['cost', 'blockSize', 'parallelization']
      ), 'must be { cost, blockSize, parallelization }, whole numbers above 0, cost a power of 2'
    ),
    stateSecret: secret
  }),

  table<FileMetadataOptions>('fileMetadata', 'src/metadata/file/index.ts', 'FileMetadataOptions', {
    directory: text, durability: oneOf('process', 'disk'), maxOpenFiles: or(Infinity, whole(0))
  }, ['directory']),

  table<FileLocksOptions>('fileLocks', 'src/locks/file/index.ts', 'FileLocksOptions', { directory: text }, ['directory'])
]
