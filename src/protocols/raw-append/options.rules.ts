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
  expirationDelta: {
    text: "must be milliseconds, or a number with a unit such as '90s', '12h', '1d', 0 or more, at most 365000 days; null for never",
    holds: (value: any): boolean => (((value === null)) || (kinds.duration(value, 0, 31536000000000)))
  },
  contentType: {
    text: "must be a media type, such as 'video/mp4'",
    holds: (value: any): boolean => kinds.mediaType(value)
  },
  filename: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  join: {
    text: "must be ffmpeg(), or an object with jobs and join",
    holds: (value: any): boolean => kinds.joiner(value)
  },
  onJoined: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  },
  onJoinFailed: {
    text: "must be a function",
    holds: (value: any): boolean => (typeof value === 'function')
  }
}
