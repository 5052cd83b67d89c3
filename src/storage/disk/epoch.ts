import { readFileSync, statSync, statfsSync } from 'node:fs'
import { uptime } from 'node:os'
import path from 'node:path'
import { codeOf } from './paths.js'

/**
 * File systems of which several machines may write the same files, by the numbers of statfs(2): 9p, Ceph, CIFS, FUSE, GFS2, Lustre, NFS,
 * OCFS2, SMB and SMB2. Each machine has boots of its own there, and a file that was closed is with the server.
 */
const shared: ReadonlySet<number> = new Set([
  0x01021997, 0x00C36400, 0xFF534D42, 0x65735546, 0x01161970, 0x0BD00BD0, 0x6969, 0x7461636F, 0x517B, 0xFE534D42
])

/**
 * What names this boot of the machine and the device of the files below `root`; undefined where machines share them. A disk that was taken
 * out, or copied, while a server wrote to it is another one where it comes up again.
 */
export function epochOf (root: string): string | undefined {
  const { type, device } = fileSystemOf(root)
  return shared.has(type) ? undefined : `${bootOf()}/${device}`
}

function bootOf (): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    // Other systems: the minute of the boot, which all processes find nearly alike. A process that gets it wrong only compares more.
    return `boot-${Math.round((Date.now() / 1000 - uptime()) / 60)}`
  }
}

/** The type and the device of the file system that `folder` is on, or will be once it is made; 0 when they are not to be known. */
function fileSystemOf (folder: string): { readonly type: number, readonly device: number } {
  try {
    return { type: statfsSync(folder).type, device: statSync(folder).dev }
  } catch (error) {
    const parent = path.dirname(folder)
    return codeOf(error) === 'ENOENT' && parent !== folder ? fileSystemOf(parent) : { type: 0, device: 0 }
  }
}
