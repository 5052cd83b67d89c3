import path from 'node:path'
import type { JsonObject, JsonValue, Upload } from '../../upload.js'
import { relativeFile } from './paths.js'

/** Ending of the note that a finish leaves where it cannot move a file in one step. */
const noteExt = '.location'

/** Where an upload was planned to be, as paths below the directory: options that changed since, or a new day, do not matter. */
export interface Place {
  readonly part: string
  /** The finished file, unless the host wants another location. */
  readonly done: string
  readonly note: string
  /** Which file it is, whatever it is called; undefined while nothing was written. */
  readonly file: string | undefined
}

export function placeOf (upload: Upload): Place {
  const state = upload.storageState
  if (state !== null && typeof state === 'object' && !Array.isArray(state)) {
    const { part, done, file } = state as JsonObject
    if (typeof part === 'string' && typeof done === 'string' && (file === undefined || typeof file === 'string')) {
      const note = path.posix.join(path.posix.dirname(part), upload.id + noteExt)
      return { part: relativeFile(part, 'part'), done: relativeFile(done, 'part'), note, file }
    }
  }
  throw new Error(`Upload ${upload.id} was not created by this storage`)
}

export function withFile (file: string): (state: JsonValue) => JsonValue {
  return state => typeof state === 'object' && state !== null && !Array.isArray(state) ? { ...state, file } : state
}

/** Where a finish may have been asked to put the file of an upload that never became complete; undefined for no place that it takes. */
export function triedTarget ({ status, target }: Upload): string | undefined {
  if (status === 'complete' || target === undefined) return undefined
  try {
    return relativeFile(target, 'location')
  } catch {
    return undefined
  }
}
