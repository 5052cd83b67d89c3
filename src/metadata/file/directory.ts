import { open, readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolders } from '../../folders.js'

/** ms after which something half-done must be of a process that died. */
const LEFTOVER_AGE = 3_600_000

export function isMissing (cause: unknown): boolean {
  return hasCode(cause, 'ENOENT')
}

export function isTaken (cause: unknown): boolean {
  return hasCode(cause, 'EEXIST')
}

/** Names in the folder; none when there is no such folder, or it is a file that another program put there. */
export async function namesIn (directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (cause) {
    if (isMissing(cause) || hasCode(cause, 'ENOTDIR')) return []
    throw cause
  }
}

/** True for a file on which no process can be at work any more; false when it is gone. */
export async function isOld (path: string): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < Date.now() - LEFTOVER_AGE
  } catch (cause) {
    if (isMissing(cause)) return false
    throw cause
  }
}

/** Makes the folder and those above it; `durable` brings the new names to the disk. */
export async function makeDirectory (path: string, durable: boolean): Promise<void> {
  const first = await makeFolders(path)
  if (!durable || first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made))
}

/**
 * Brings new and removed names in the folder to the disk. Windows cannot and need not. A folder that is gone has no names: another process
 * may have removed it once it was empty.
 */
export async function syncDirectory (path: string): Promise<void> {
  if (process.platform === 'win32') return
  try {
    const directory = await open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  } catch (cause) {
    if (!isMissing(cause)) throw cause
  }
}

function hasCode (cause: unknown, code: string): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === code
}
