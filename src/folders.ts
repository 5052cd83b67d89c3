import { constants } from 'node:fs'
import { access, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { DirectoryUnusable } from './errors.js'

/**
 * Makes `folder` and those above it, one after the other: a recursive mkdir of Node 20 says of a full disk that there is no such folder,
 * and does not come to an end in places such as `/proc`.
 * @returns the topmost one that was made, undefined when all were there
 * @throws the system's own error; `ENOTDIR` where a file is in the way, `ENOENT` where one above was removed meanwhile
 */
export async function makeFolders (folder: string): Promise<string | undefined> {
  const missing: string[] = []
  let current = folder
  let first = await make(current)
  while (first === 'orphan' && path.dirname(current) !== current) {
    missing.push(current)
    current = path.dirname(current)
    first = await make(current)
  }
  let topmost = first === 'made' ? current : undefined
  for (const next of missing.reverse()) {
    const outcome = await make(next)
    if (outcome === 'orphan') throw Object.assign(new Error(`ENOENT: no folder can be made at ${next}`), { code: 'ENOENT', path: next })
    if (outcome === 'made') topmost ??= next
  }
  return topmost
}

/** `orphan`: the folder above is missing. */
async function make (folder: string): Promise<'made' | 'there' | 'orphan'> {
  try {
    await mkdir(folder)
    return 'made'
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return 'orphan'
    // What the root of a drive says on some systems.
    if (code !== 'EEXIST' && code !== 'EISDIR' && code !== 'EPERM') throw error
    const there = await stat(folder).catch(() => undefined)
    if (there === undefined) throw error
    if (!there.isDirectory()) throw Object.assign(new Error(`ENOTDIR: ${folder} is no folder`), { code: 'ENOTDIR', path: folder })
    return 'there'
  }
}

/** What keeps a directory from ever being used, and what to do about it. Everything else may pass: a full disk, too many open files. */
const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['EACCES', 'the user of this process may not write there; change its permissions'],
  ['EPERM', 'the system does not let this process write there; change its permissions'],
  ['EROFS', 'its file system is read-only; mount it for writing'],
  ['ENOTDIR', 'a file is in the way; name another directory'],
  ['ELOOP', 'its symbolic links lead in a circle; correct them'],
  ['ENAMETOOLONG', 'its name is too long; shorten it'],
  ['ENOENT', 'no folder can be made there; name another directory']
])

/**
 * Makes `directory` where it is missing.
 * @throws {DirectoryUnusable} when nothing can ever be written there
 */
export async function checkDirectory (directory: string): Promise<void> {
  try {
    await makeFolders(directory)
    await access(directory, constants.W_OK | constants.X_OK)
  } catch (cause) {
    const reason = REASONS.get(codeOf(cause))
    if (reason !== undefined) throw new DirectoryUnusable(path.resolve(directory), reason, { cause })
  }
}

function codeOf (error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
