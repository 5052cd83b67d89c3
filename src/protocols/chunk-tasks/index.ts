import type { Protocol } from '../contract.js'
import { defineProtocol } from '../define-protocol.js'
import { corsHeaders } from './cors.js'
import { type ChunkTasksOptions, settingsOf } from './options.js'

export type { Encryption, KeyAsker } from './encryption.js'
export type { ChunkTasksOptions, ErrorStyle, FindFile } from './options.js'
export type { Bundle, ChunkTaskHooks, Pool, Quota, WantedTask } from './hooks.js'
export { taskIdOf, uploadIdOf } from './task-id.js'

/**
 * Tasks whose chunks come by index, in any order and from several connections: the contract of DysonNetwork Drive's multi-part upload,
 * with its later routes for lists, progress, resumption and cancelling. A client that names the hash of a file which is there
 * already need not send it. Where the registration allows downloads, `GET file/{id}` serves finished files.
 * @throws {InvalidOption}
 */
export function chunkTasks (options: ChunkTasksOptions = {}): Protocol {
  const settings = settingsOf(options)
  return defineProtocol({
    name: options.name ?? 'chunkTasks',
    prefix: options.prefix,
    headers: corsHeaders,
    settings,
    keepsChecksum: true,
    serve: async (mount, scope) => (await import('./serve.js')).serve(mount, scope)
  })
}
