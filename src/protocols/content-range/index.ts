import type { Protocol } from '../contract.js'
import { defineProtocol } from '../define-protocol.js'
import { corsHeaders } from './cors.js'
import { type ContentRangeOptions, settingsOf } from './options.js'

export type { DialectName } from './dialect.js'
export type { ContentRangeOptions } from './options.js'

/**
 * Chunks by PUT with Content-Range, completed by POST with a checksum: the contract of drf-chunked-upload, of django-chunky-upload and of
 * their parent django-chunked-upload. Chunks are the file part of a form; raw bodies of any other media type are served as well.
 * Other text fields of a form mean nothing, as with drf: what a hook has to know of a request belongs into its URL or headers.
 * @throws {InvalidOption}
 */
export function contentRange (options: ContentRangeOptions = {}): Protocol {
  const settings = settingsOf(options)
  return defineProtocol({
    name: options.name ?? 'contentRange',
    prefix: options.prefix,
    headers: corsHeaders,
    settings,
    keepsChecksum: true,
    serve: async mount => (await import('./serve.js')).serve(mount)
  })
}
