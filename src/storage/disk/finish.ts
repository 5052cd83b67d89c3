import { constants, fstat } from 'node:fs'
import { copyFile, link, open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { StorageLost, StorageShort } from '../contract.js'
import { placesFor } from './names.js'
import { codeOf, isAbsent, relativeFile, removeFile } from './paths.js'
import type { Folders } from './paths.js'

const statOpen = promisify(fstat)

/** What link(2) says where a file cannot have two names: other devices, FAT, some network and FUSE file systems. */
const cannotLink = new Set<unknown>(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

export interface FinishPlan {
  readonly id: string
  readonly size: number
  /** Where the bytes may be, relative: the unfinished file, then the finished one of the same name. */
  readonly sources: readonly string[]
  /** The last place that is wanted, relative. */
  readonly target: string
  /** True when the name is made of the id, so that a file there can only be this upload's. */
  readonly ownName: boolean
  /** What {@link identityOf} said when the first bytes were written; undefined when none ever were. */
  readonly identity: string | undefined
  /** Where the target is remembered when it takes more than one step to get there. */
  readonly note: string
}

/** Tells a file from every other one, whatever its name: it stays the same through links and renames. */
export async function identityOf (file: string | number): Promise<string> {
  const { ino, birthtimeNs } = typeof file === 'string' ? await stat(file, { bigint: true }) : await statOpen(file, { bigint: true })
  return `${ino}:${birthtimeNs}`
}

/**
 * Makes the file exact and moves it to its last place, without overwriting another one. A crash between any two
 * steps leaves a state from which the next call finds the way to the same place.
 * @returns the place, relative
 * @throws {StorageLost} when the bytes are missing, {@link StorageShort} when they are too few
 */
export async function finishFile (folders: Folders, plan: FinishPlan, durable: boolean): Promise<string> {
  for (const source of plan.sources) {
    if (!await makeExact(folders.absolute(source), plan.size, durable)) continue
    if (source === plan.target) return source
    const place = await move(folders, plan, source)
    await folders.prune(source)
    return place
  }
  return await findMoved(folders, plan)
}

/** False when there is no such file. */
async function makeExact (file: string, size: number, durable: boolean): Promise<boolean> {
  const actual = await sizeOf(file)
  if (actual === undefined) return false
  if (actual < size) throw new StorageShort(actual, size)
  if (actual === size && !durable) return true
  const handle = await open(file, 'r+')
  try {
    if (actual > size) await handle.truncate(size)
    // The new length is metadata that reading needs, which fdatasync covers.
    if (durable) await handle.datasync()
  } finally {
    await handle.close()
  }
  return true
}

async function move (folders: Folders, plan: FinishPlan, source: string): Promise<string> {
  if (plan.ownName) {
    await folders.entering(plan.target, target => rename(folders.absolute(source), target))
    await folders.sync(source)
    return plan.target
  }
  // A file that could not be told from others afterwards is noted, too.
  if (plan.identity === undefined || await readNote(folders, plan) !== undefined) return await moveInSteps(folders, plan, source)
  const identity = await identityOf(folders.absolute(source))
  for (const place of placesFor(plan)) {
    try {
      // Unlike rename, link never replaces a file.
      await folders.entering(place, target => link(folders.absolute(source), target))
    } catch (error) {
      if (cannotLink.has(codeOf(error))) return await moveInSteps(folders, plan, source)
      if (codeOf(error) !== 'EEXIST') throw error
      if (await identityAt(folders.absolute(place)) !== identity) continue
    }
    await unlink(folders.absolute(source))
    await folders.sync(source)
    return place
  }
  throw new Error(`No free name is left for ${plan.target}`)
}

/** Where the file cannot have both names for a moment: reserves the place, notes it, then puts the file there. */
async function moveInSteps (folders: Folders, plan: FinishPlan, source: string): Promise<string> {
  const place = await readNote(folders, plan) ?? await reserve(folders, plan)
  const from = folders.absolute(source)
  const target = folders.absolute(place)
  try {
    await rename(from, target)
  } catch (error) {
    if (codeOf(error) !== 'EXDEV') throw error
    const copy = copyBeside(folders, place, plan.id)
    await copyFile(from, copy, constants.COPYFILE_FICLONE)
    const handle = await open(copy, 'r+')
    try {
      // Always: the only other copy is removed next.
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await rename(copy, target)
    await folders.sync(place)
    await unlink(from)
  }
  await folders.sync(place)
  await folders.sync(source)
  return place
}

async function reserve (folders: Folders, plan: FinishPlan): Promise<string> {
  for (const place of placesFor(plan)) {
    try {
      await folders.entering(place, async target => await (await open(target, 'wx')).close())
    } catch (error) {
      if (codeOf(error) === 'EEXIST') continue
      throw error
    }
    try {
      await writeFile(draftOf(folders, plan), place)
      await rename(draftOf(folders, plan), folders.absolute(plan.note))
    } catch (error) {
      // Without a note its upload would be unknown.
      await removeFile(folders.absolute(place)).catch(() => {})
      throw error
    }
    await folders.sync(plan.note)
    return place
  }
  throw new Error(`No free name is left for ${plan.target}`)
}

/** The file of a finish that went through, whose caller did not live to write it down. */
async function findMoved (folders: Folders, plan: FinishPlan): Promise<string> {
  const noted = await readNote(folders, plan)
  if (noted !== undefined && await sizeOf(folders.absolute(noted)) === plan.size) return noted
  const { id, target, identity } = plan
  const place = plan.ownName || identity === undefined ? undefined : await placeOfFile(folders, { id, target, identity })
  const size = place === undefined ? undefined : await sizeOf(folders.absolute(place))
  if (place !== undefined && size === plan.size) return place
  if (size !== undefined && size < plan.size) throw new StorageShort(size, plan.size)
  throw new StorageLost('The file is gone')
}

/** Which of the places for the target has the file. Not only up to the first free one: what took that place may have been removed. */
export async function placeOfFile (
  folders: Folders, plan: Pick<FinishPlan, 'id' | 'target'> & { readonly identity: string }
): Promise<string | undefined> {
  for (const place of placesFor(plan)) {
    if (await identityAt(folders.absolute(place)) === plan.identity) return place
  }
  return undefined
}

/** Removes what {@link finishFile} may have left on its way: a reserved or filled place, a copy, the note. */
export async function removeMoved (folders: Folders, plan: Pick<FinishPlan, 'id' | 'note'>): Promise<void> {
  await removeFile(draftOf(folders, plan))
  const noted = await readNote(folders, plan)
  if (noted === undefined) return
  await removeFile(copyBeside(folders, noted, plan.id))
  await removeFile(folders.absolute(noted))
  await removeFile(folders.absolute(plan.note))
}

/** The place that was reserved for a file which has to be moved in steps, relative. */
export async function readNote (folders: Folders, { note }: Pick<FinishPlan, 'note'>): Promise<string | undefined> {
  try {
    return relativeFile(await readFile(folders.absolute(note), 'utf8'), 'noted location')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A note is written here first, so that it is never half a note. */
function draftOf (folders: Folders, { note }: Pick<FinishPlan, 'note'>): string {
  return `${folders.absolute(note)}~`
}

function copyBeside (folders: Folders, place: string, id: string): string {
  return path.join(path.dirname(folders.absolute(place)), `.${id}.copy`)
}

/** Bytes of a file, undefined when there is none. */
export async function sizeOf (file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

async function identityAt (file: string): Promise<string | undefined> {
  try {
    return await identityOf(file)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}
