// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.
import { kinds } from '../../option-rules.js'

export const rules = {
  segmentSize: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 9007199254740991 && value >= 1
  },
  scrypt: {
    text: "must be { cost, blockSize, parallelization }, whole numbers above 0, cost a power of 2",
    holds: (value: any): boolean => (typeof value === 'object' && value !== null && !Array.isArray(value)) && kinds.powerOfTwo(value['cost']) && Number.isInteger(value['blockSize']) && value['blockSize'] <= 9007199254740991 && value['blockSize'] >= 1 && Number.isInteger(value['parallelization']) && value['parallelization'] <= 9007199254740991 && value['parallelization'] >= 1 && Object.getOwnPropertyNames(value).length === 3
  },
  stateSecret: {
    text: "must be 32 bytes or more, as a string or a Uint8Array",
    holds: (value: any): boolean => kinds.secret(value)
  }
}
