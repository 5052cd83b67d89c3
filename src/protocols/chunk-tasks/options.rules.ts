// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.
import { kinds, notCalled } from '../../option-rules.js'

export const rules = {
  name: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  prefix: {
    text: "must be a string",
    holds: (value: any): boolean => (typeof value === 'string')
  },
  errorStyle: {
    text: "must be 'api' or 'text'",
    holds: (value: any): boolean => (((value === 'api')) || ((value === 'text')))
  },
  requireUser: {
    text: "must be true or false",
    holds: (value: any): boolean => (typeof value === 'boolean')
  },
  chunkSize: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  minChunkSize: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  maxChunkSize: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  maxChunks: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  dedupe: {
    text: "must be 'user', 'all', false or a function",
    holds: (value: any): boolean => (((((value === false)) || ((((value === 'user')) || ((value === 'all')))))) || ((typeof value === 'function')))
  },
  repeats: {
    text: "must be 'replace' or 'discard'",
    holds: (value: any): boolean => (((value === 'replace')) || ((value === 'discard')))
  },
  sweepFiles: {
    text: "must be true, false or milliseconds, more than 0, at most 24 days",
    holds: (value: any): boolean => (((typeof value === 'boolean')) || (Number.isFinite(value) && value <= 2147483647 && value >= 1))
  },
  directBytes: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  encryption: {
    explain: notCalled,
    text: "must be made by encryptedStorage()",
    holds: (value: any): boolean => kinds.methods(value, 'seal', 'unlock')
  },
  authorize: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  resolvePool: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  resolveBundle: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  quota: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  fileRecord: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  }
}
