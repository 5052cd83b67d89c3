// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.
import { kinds } from '../../option-rules.js'

export const rules = {
  directory: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  path: {
    text: "must be a strftime pattern or a function",
    holds: (value: any): boolean => (((typeof value === 'string')) || ((typeof value === 'function')))
  },
  incompleteExt: {
    text: "must be the ending of a file, such as '.part'; '.location' is taken",
    holds: (value: any): boolean => (((value === '')) || (kinds.ending(value)))
  },
  completeExt: {
    text: "must be the ending of a file, such as '.part'; '.location' is taken",
    holds: (value: any): boolean => (((value === '')) || (kinds.ending(value)))
  },
  durability: {
    text: "must be 'process' or 'disk'",
    holds: (value: any): boolean => (((value === 'process')) || ((value === 'disk')))
  },
  mode: {
    text: "must be a whole number, 0 to 4095",
    holds: (value: any): boolean => Number.isInteger(value) && value <= 4095 && value >= 0
  }
}
