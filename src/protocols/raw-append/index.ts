import type { Protocol } from '../contract.js'
import { defineProtocol } from '../define-protocol.js'
import { corsHeaders } from './cors.js'
import { type RawAppendOptions, settingsOf } from './options.js'

export type { RawAppendOptions } from './options.js'

/**
 * The protocol of the Video Management API: raw bodies, appended one after the other by a small integer. A video is never complete: it can
 * be read and appended to at any time. It counts as an unfinished upload where the registration limits these.
 *
 * | route | does |
 * |---|---|
 * | `POST create_video/` (`create`) | makes an empty video |
 * | `POST append_video/<id>/` (`append`) | appends the body |
 * | `GET get_video/<id>/` (`download`) | the bytes, with ranges and conditions |
 * @throws {InvalidOption}
 */
export function rawAppend (options: RawAppendOptions = {}): Protocol {
  const settings = settingsOf(options)
  return defineProtocol({
    name: options.name ?? 'rawAppend',
    prefix: options.prefix,
    headers: corsHeaders,
    settings,
    serve: async (mount, scope) => (await import('./serve.js')).serve(mount, scope, options)
  })
}
