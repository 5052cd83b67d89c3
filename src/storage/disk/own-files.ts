import { realpath } from 'node:fs/promises'
import path from 'node:path'
import { LocationInvalid } from '../../errors.js'
import { codeOf } from './paths.js'

/** Folder of records and locks, unless the host says otherwise. */
const RECORDS = '.chunked_uploads'
const ID = '[\\da-f]{32}'

export interface FileNames {
  /** The upload that asks: its own file it may name. */
  readonly id: string
  /** Endings of unfinished and finished files. */
  readonly endings: readonly string[]
}

/**
 * Refuses a relative path that names what the package keeps for itself: its records and locks, and the files of other uploads, whether or
 * not they are there. Names are compared as the most lenient file systems do: without regard to case, to characters that cannot be seen,
 * and to dots and blanks at the end.
 * @throws {LocationInvalid}
 */
export function assertForeign (file: string, { id, endings }: FileNames): void {
  for (const name of file.split('/').map(comparable)) {
    const owner = endings.map(ending => ownerOf(name, comparable(ending))).find(found => found !== undefined)
    const isOwn = name === RECORDS || /^chunke~\d+$/.test(name) || (owner !== undefined && owner !== id) ||
      new RegExp(`^(?:${ID}\\.location~?|\\.${ID}\\.copy)$`).test(name)
    if (isOwn) throw refusal(file)
  }
}

/** The id in the name of an upload's file; undefined for any other name. */
function ownerOf (name: string, ending: string): string | undefined {
  if (!name.endsWith(ending)) return undefined
  const stem = name.slice(0, name.length - ending.length)
  return new RegExp(`^${ID}$`).test(stem) ? stem : undefined
}

function comparable (name: string): string {
  const shown = name.normalize('NFKC').replace(/[\p{Cc}\p{Cf}]/gu, '').toLowerCase()
  let end = shown.length
  while (end > 0 && (shown[end - 1] === '.' || shown[end - 1] === ' ')) end--
  return shown.slice(0, end)
}

/**
 * Refuses a file that would come into one of `reserved`, absolute folders, whatever links and names lead there. A folder that has the root
 * itself in it cannot be kept free.
 * @throws {LocationInvalid}
 */
export async function assertOutside (root: string, file: string, reserved: readonly string[]): Promise<void> {
  const folder = await existing(path.dirname(path.join(root, file)))
  const base = await existing(root)
  for (const own of reserved) {
    const real = await realpath(own).catch(() => undefined)
    if (real !== undefined && !isWithin(base, real) && isWithin(folder, real)) throw refusal(file)
  }
}

/** The real path of the deepest folder on the way that is there. */
async function existing (folder: string): Promise<string> {
  try {
    return await realpath(folder)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || path.dirname(folder) === folder) throw error
    return await existing(path.dirname(folder))
  }
}

function isWithin (file: string, folder: string): boolean {
  const way = path.relative(folder, file)
  return way === '' || (way !== '..' && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way))
}

function refusal (file: string): Error {
  return new LocationInvalid({ cause: new Error(`${JSON.stringify(file)} belongs to the package itself, or to another upload`) })
}
