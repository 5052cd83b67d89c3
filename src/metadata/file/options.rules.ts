// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.
import { kinds } from '../../option-rules.js'

export const rules = {
  directory: {
    required: true,
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  durability: {
    text: "must be 'process' or 'disk'",
    holds: (value: any): boolean => (((value === 'process')) || ((value === 'disk')))
  },
  maxOpenFiles: {
    text: "must be a whole number, 0 or more",
    holds: (value: any): boolean => ((kinds.infinity(value)) || (Number.isInteger(value) && value <= 9007199254740991 && value >= 0))
  }
}
