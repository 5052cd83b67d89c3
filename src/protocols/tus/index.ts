import type { Protocol } from '../contract.js'
import { defineProtocol } from '../define-protocol.js'
import { corsHeaders } from './cors.js'
import { settingsOf, type TusOptions } from './options.js'

export type { TusExtension, TusOptions } from './options.js'

/**
 * tus 1.0.0 with all extensions: creation, creation-with-upload, creation-defer-length, expiration, checksum, checksum-trailer,
 * termination, concatenation and concatenation-unfinished. Finished uploads can be downloaded where the plugin's `downloads` says so.
 * @throws {InvalidOption}
 */
export function tus (options: TusOptions = {}): Protocol {
  const settings = settingsOf(options)
  return defineProtocol({
    name: options.name ?? 'tus',
    prefix: options.prefix,
    headers: corsHeaders,
    marks: { headers: ['tus-resumable'], plain: ['GET', 'OPTIONS'] },
    settings,
    serve: async (mount, scope) => (await import('./serve.js')).serve(mount, scope)
  })
}
