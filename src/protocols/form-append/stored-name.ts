import { randomBytes } from 'node:crypto'
import type { JsonObject, Upload } from '../../upload.js'

/** Characters of a path in the original's database. */
const PATH_LENGTH = 100
/** Names that are remembered of one day; beyond, every name gets a suffix. */
const KEPT_NAMES = 10_000

/**
 * The paths under which the wire shows files, made as the original makes them: `chunked_uploads/<year>/<month>/<day>/<name>`, with a
 * suffix where the day has that name already. They are made for URLs; no storage builds a path of them.
 */
export class StoredNames {
  #folder = ''
  #taken = new Set<string>()

  /** The `protocolState` of a new upload. */
  take (filename: string, now = new Date()): JsonObject {
    const folder = `chunked_uploads/${now.toISOString().slice(0, 10).replaceAll('-', '/')}/`
    if (folder !== this.#folder) {
      this.#folder = folder
      this.#taken = new Set()
    }
    const name = plainName(filename)
    const plain = fit(folder, name, '')
    const full = this.#taken.size >= KEPT_NAMES
    const path = full || this.#taken.has(plain) ? fit(folder, name, `_${randomBytes(5).toString('base64url').replace(/[-_]/g, 'x')}`) : plain
    if (!full) this.#taken.add(path)
    return { path }
  }
}

export function storedPath ({ protocolState }: Upload): string {
  return typeof protocolState.path === 'string' ? protocolState.path : ''
}

/** Django's `get_valid_filename`: blanks become `_`, and only letters, digits, `-`, `_` and `.` stay. */
function plainName (filename: string): string {
  const name = filename.trim().replaceAll(' ', '_').replace(/[^-\p{L}\p{N}_.]/gu, '')
  return /^\.*$/.test(name) ? 'file' : name
}

function fit (folder: string, name: string, suffix: string): string {
  const dot = name.lastIndexOf('.')
  const ending = dot > 0 ? [...name.slice(dot)].slice(0, 20).join('') : ''
  const stem = [...dot > 0 ? name.slice(0, dot) : name]
  return folder + stem.slice(0, PATH_LENGTH - folder.length - suffix.length - ending.length).join('') + suffix + ending
}
