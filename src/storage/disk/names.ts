import path from 'node:path'

/** Bytes that a name may have on nearly all file systems. */
const NAME_BYTES = 255
/** Bytes of the longest ending that stays whole; a longer one is not the type of a file. */
const EXT_BYTES = 32
/** Names that end in `-1`, `-2` … are tried so often, then the one with the id. */
const MAX_SUFFIX = 1000

/**
 * The wanted place, then `name-1.ext`, `name-2.ext` … Names that no file system would take are cut in front of suffix and ending, within
 * no character. Each call for a target gives the same places, so that a file is found again.
 */
export function * placesFor ({ target, id }: { readonly target: string, readonly id: string }): Generator<string> {
  const parsed = path.posix.parse(target)
  const dir = fittingFolder(parsed.dir)
  const [name, ext] = Buffer.byteLength(parsed.ext) > EXT_BYTES ? [parsed.base, ''] : [parsed.name, parsed.ext]
  const place = (suffix: string): string => path.posix.join(dir, fitting(name, suffix + ext))
  yield place('')
  for (let suffix = 1; suffix <= MAX_SUFFIX; suffix++) yield place(`-${suffix}`)
  yield place(`-${id}`)
}

/** A folder whose names are cut to what file systems take. */
export function fittingFolder (folder: string): string {
  return folder.split('/').map(name => fitting(name)).join('/')
}

/** `name` and `end`, of which only `name` is cut. */
function fitting (name: string, end = ''): string {
  const room = NAME_BYTES - Buffer.byteLength(end)
  if (Buffer.byteLength(name) <= room) return name + end
  let bytes = 0
  let cut = ''
  for (const character of name) {
    bytes += Buffer.byteLength(character)
    if (bytes > room) break
    cut += character
  }
  return cut + end
}
