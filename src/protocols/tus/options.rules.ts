// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.
import { kinds } from '../../option-rules.js'

export const rules = {
  name: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  prefix: {
    text: "must be a string",
    holds: (value: any): boolean => (typeof value === 'string')
  },
  disable: {
    text: "must be a list of some of creation, creation-with-upload, creation-defer-length, expiration, checksum, checksum-trailer, termination, concatenation, concatenation-unfinished",
    holds: (value: any): boolean => Array.isArray(value) && value.length >= 0 && ((array) => { for(const value of array) if(!(((((value === 'creation')) || ((value === 'creation-with-upload')) || ((value === 'creation-defer-length')) || ((value === 'expiration')) || ((value === 'checksum')) || ((value === 'checksum-trailer')) || ((value === 'termination')) || ((value === 'concatenation')) || ((value === 'concatenation-unfinished')))))) { return false }; return true; })(value)
  },
  relativeLocation: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  baseUrl: {
    text: "must be an absolute URL of http or https, such as 'https://example.com/files'",
    holds: (value: any): boolean => kinds.url(value)
  },
  checksumAlgorithms: {
    text: "must be a list of some of md5, sha1, sha256, sha512, crc32, or of objects with a name in lower case, length and create",
    holds: (value: any): boolean => Array.isArray(value) && value.length >= 0 && ((array) => { for(const value of array) if(!(((((((value === 'md5')) || ((value === 'sha1')) || ((value === 'sha256')) || ((value === 'sha512')) || ((value === 'crc32')))) || (kinds.bodyHash(value)))))) { return false }; return true; })(value)
  },
  checksum: {
    text: "must be false or one of md5, sha1, sha224, sha256, sha384, sha512, sha3_256, sha3_512, blake2b, blake2s, blake3, crc32, crc32c, xxh64, xxh3, xxh128",
    holds: (value: any): boolean => (((value === false)) || ((((value === 'md5')) || ((value === 'sha1')) || ((value === 'sha224')) || ((value === 'sha256')) || ((value === 'sha384')) || ((value === 'sha512')) || ((value === 'sha3_256')) || ((value === 'sha3_512')) || ((value === 'blake2b')) || ((value === 'blake2s')) || ((value === 'blake3')) || ((value === 'crc32')) || ((value === 'crc32c')) || ((value === 'xxh64')) || ((value === 'xxh3')) || ((value === 'xxh128')))))
  },
  expirationDelta: {
    text: "must be milliseconds, or a number with a unit such as '90s', '12h', '1d', 0 or more, at most 365000 days; null for never",
    holds: (value: any): boolean => (((value === null)) || (kinds.duration(value, 0, 31536000000000)))
  },
  terminateFinished: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  keepRecords: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  deletePartials: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  concatenationWait: {
    text: "must be milliseconds, 0 or more, at most 24 days",
    holds: (value: any): boolean => Number.isFinite(value) && value <= 2147483647 && value >= 0
  },
  maxParts: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  maxWaitingFinals: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  requireUser: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  errorFormat: {
    text: "must be 'text' or 'json'",
    holds: (value: any): boolean => (((value === 'text')) || ((value === 'json')))
  }
}
