// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.
import { faultOfProtocols, kinds, notCalled } from './option-rules.js'

export const rules = {
  name: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  scope: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  protocols: {
    explain: faultOfProtocols,
    text: "must be a list of protocols, such as [contentRange()], each with a name of its own",
    holds: (value: any): boolean => kinds.protocols(value)
  },
  directory: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  path: {
    text: "must be a strftime pattern or a function",
    holds: (value: any): boolean => (((typeof value === 'string') && value.length >= 1) || ((typeof value === 'function')))
  },
  completeExt: {
    text: "must be the ending of a file, such as '.part'; '.location' is taken",
    holds: (value: any): boolean => kinds.ending(value)
  },
  incompleteExt: {
    text: "must be the ending of a file, such as '.part'; '.location' is taken",
    holds: (value: any): boolean => kinds.ending(value)
  },
  durability: {
    text: "must be 'process' or 'disk'",
    holds: (value: any): boolean => (((value === 'process')) || ((value === 'disk')))
  },
  storage: {
    explain: notCalled,
    text: "must be an object with create, write, finish, read, remove",
    holds: (value: any): boolean => kinds.storage(value)
  },
  metadata: {
    explain: notCalled,
    text: "must be an object with create, get, getBySerial, update, delete, list, usage, findByChecksum",
    holds: (value: any): boolean => kinds.methods(value, 'create', 'get', 'getBySerial', 'update', 'delete', 'list', 'usage', 'findByChecksum')
  },
  locks: {
    explain: notCalled,
    text: "must be an object with acquire",
    holds: (value: any): boolean => kinds.methods(value, 'acquire')
  },
  expirationDelta: {
    text: "must be milliseconds, or a number with a unit such as '90s', '12h', '1d', more than 0, at most 365000 days; null for never",
    holds: (value: any): boolean => (((value === null)) || (kinds.duration(value, 1, 31536000000000)))
  },
  expirationFrom: {
    text: "must be 'creation' or 'activity'",
    holds: (value: any): boolean => (((value === 'creation')) || ((value === 'activity')))
  },
  sweepInterval: {
    text: "must be milliseconds, or a number with a unit such as '90s', '12h', '1d', more than 0, at most 24 days; false for never",
    holds: (value: any): boolean => (((value === false)) || (kinds.duration(value, 1, 2147483647)))
  },
  lockTimeout: {
    text: "must be milliseconds, or a number with a unit such as '90s', '12h', '1d', 0 or more, at most 24 days",
    holds: (value: any): boolean => kinds.duration(value, 0, 2147483647)
  },
  stallTimeout: {
    text: "must be milliseconds, or a number with a unit such as '90s', '12h', '1d', 0 or more, at most 24 days; 0 for never",
    holds: (value: any): boolean => kinds.duration(value, 0, 2147483647)
  },
  minRate: {
    text: "must be a whole number, 0 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 0
  },
  maxBodyTime: {
    text: "must be milliseconds, or a number with a unit such as '90s', '12h', '1d', 0 or more, at most 24 days; 0 for never",
    holds: (value: any): boolean => kinds.duration(value, 0, 2147483647)
  },
  bodyMemory: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  checksum: {
    text: "must be false or one of md5, sha1, sha224, sha256, sha384, sha512, sha3_256, sha3_512, blake2b, blake2s, blake3, crc32, crc32c, xxh64, xxh3, xxh128",
    holds: (value: any): boolean => (((value === false)) || ((((value === 'md5')) || ((value === 'sha1')) || ((value === 'sha224')) || ((value === 'sha256')) || ((value === 'sha384')) || ((value === 'sha512')) || ((value === 'sha3_256')) || ((value === 'sha3_512')) || ((value === 'blake2b')) || ((value === 'blake2s')) || ((value === 'blake3')) || ((value === 'crc32')) || ((value === 'crc32c')) || ((value === 'xxh64')) || ((value === 'xxh3')) || ((value === 'xxh128')))))
  },
  maxBytes: {
    text: "must be a whole number of bytes, null for no limit, or a function of the request",
    holds: (value: any): boolean => (((((value === null)) || (Number.isInteger(value) && value <= 9007199254740991 && value >= 0))) || ((typeof value === 'function')))
  },
  maxStored: {
    text: "must be a whole number of bytes, null for no limit, or a function of the request",
    holds: (value: any): boolean => (((((value === null)) || (Number.isInteger(value) && value <= 9007199254740991 && value >= 0))) || ((typeof value === 'function')))
  },
  maxOpenUploads: {
    text: "must be a whole number, 0 or more",
    holds: (value: any): boolean => (((value === null)) || (Number.isInteger(value) && value <= 9007199254740991 && value >= 0))
  },
  allowedTypes: {
    text: "must be a list of media types, each 'type/subtype' or 'type/*', or a function",
    holds: (value: any): boolean => ((Array.isArray(value) && value.length >= 0 && ((array) => { for(const value of array) if(!(((((value === '*/*')) || (kinds.mediaRange(value)))))) { return false }; return true; })(value)) || ((typeof value === 'function')))
  },
  detectType: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  fieldName: {
    text: "must be a name or a list of names",
    holds: (value: any): boolean => (((typeof value === 'string') && value.length >= 1) || (Array.isArray(value) && value.length >= 1 && ((array) => { for(const value of array) if(!(((typeof value === 'string') && value.length >= 1))) { return false }; return true; })(value)))
  },
  user: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  userRestricted: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  requireUser: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  onCreate: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  onComplete: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  onRemove: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  onExpire: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  location: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  baseUrl: {
    text: "must be an absolute URL of http or https, such as 'https://example.com/files'",
    holds: (value: any): boolean => kinds.url(value)
  },
  downloads: {
    text: "must be true, false or { inline: a list of media types, each 'type/subtype' or 'type/*' }",
    holds: (value: any): boolean => (((typeof value === 'boolean')) || ((typeof value === 'object' && value !== null && !Array.isArray(value)) && (value['inline'] !== undefined ? (Array.isArray(value['inline']) && value['inline'].length >= 0 && ((array) => { for(const value of array) if(!((kinds.mediaRange(value)))) { return false }; return true; })(value['inline'])) : true) && Object.getOwnPropertyNames(value).every(key => ['inline'].includes(key))))
  },
  routeOptions: {
    text: "must be options of a route or a function that returns them, without method, url, path, handler, errorHandler, validatorCompiler, serializerCompiler, attachValidation, exposeHeadRoute, prefixTrailingSlash",
    holds: (value: any): boolean => (((typeof value === 'function')) || (kinds.without(value, 'method', 'url', 'path', 'handler', 'errorHandler', 'validatorCompiler', 'serializerCompiler', 'attachValidation', 'exposeHeadRoute', 'prefixTrailingSlash')))
  }
}
