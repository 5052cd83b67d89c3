// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.
import { kinds } from '../option-rules.js'

export const rules = {
  ffmpeg: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  ffprobe: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  jobs: {
    text: "must be a whole number, 1 or more",
    holds: (value: any): boolean => ((kinds.infinity(value)) || (Number.isInteger(value) && value <= 9007199254740991 && value >= 1))
  },
  timeout: {
    text: "must be milliseconds, 0 or more, at most 24 days",
    holds: (value: any): boolean => Number.isFinite(value) && value <= 2147483647 && value >= 0
  },
  directory: {
    text: "must be a string that is not empty",
    holds: (value: any): boolean => (typeof value === 'string') && value.length >= 1
  },
  encode: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  }
}
