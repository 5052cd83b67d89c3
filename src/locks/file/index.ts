import { UploadBusy } from '../../errors.js'
import { checkDirectory } from '../../folders.js'
import { checkByRules } from '../../option-rules.js'
import type { Locks } from '../contract.js'
import { Member } from './member.js'
import { rules } from './options.rules.js'

export interface FileLocksOptions {
  /**
   * Folder by which the processes find each other, for these locks alone, on a local file system. Made where it is missing.
   */
  readonly directory: string
}

/**
 * Locks among all processes of one machine that use the same folder, also of containers that share it: for several servers
 * on one disk, meant (a cluster, a rolling restart) or not.
 *
 * One of the processes decides, with locks in its own memory; the others ask it through a Unix domain socket (a named pipe on
 * Windows). So order, shared mode and claims are the same as within one process; a server alone pays a look at its own file for it;
 * and no process polls, as the kernel tells when a process has died: its locks are free at once. When the one that decides dies, another
 * takes its place, after it has heard from every living process what that one holds, so nothing that is held is lost.
 *
 * A program that removes files from the folder while it is in use makes the processes whose files they were give up what they hold:
 * their requests have to come again.
 *
 * A process that is stopped (SIGSTOP, a debugger) keeps the others waiting up to their time-outs while it decides, or while another takes
 * that over and has to hear what it holds. Not for network file systems: processes of several machines do not see each other.
 *
 * `close` gives up what is held and waited for: call it when the work is done.
 * @throws {InvalidOption}
 */
export function fileLocks (options: FileLocksOptions): Locks {
  checkByRules('fileLocks', options, rules)
  let member: Member | undefined
  return {
    directory: options.directory,

    async prepare () {
      await checkDirectory(options.directory)
    },

    async acquire (key, request) {
      if (request.signal?.aborted === true) throw new UploadBusy()
      if (member === undefined || !member.isIntact()) member = new Member(options.directory)
      return await member.acquire(key, request)
    },
    async close () {
      await member?.leave()
    }
  }
}
