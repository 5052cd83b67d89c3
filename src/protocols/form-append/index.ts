import type { Protocol } from '../contract.js'
import { defineProtocol } from '../define-protocol.js'
import { corsHeaders } from './cors.js'
import { type FormAppendOptions, settingsOf } from './options.js'

export type { FormAppendOptions } from './options.js'

/**
 * The protocol of the Django Chunked Video Upload API: chunks as multipart forms, appended one after the other by `upload_id`.
 *
 * | route | does |
 * |---|---|
 * | `POST upload/` (`chunk`) | stores the part `file`; without `upload_id` it is the first of a new upload |
 * | `POST upload/complete/` (`complete`) | completes the upload `upload_id` |
 * | `GET videos/` (`list`) | finished uploads, the newest first |
 * | `GET videos/<upload_id>/` (`download`) | the finished file, where the registration allows downloads |
 * @throws {InvalidOption}
 */
export function formAppend (options: FormAppendOptions = {}): Protocol {
  const settings = settingsOf(options)
  return defineProtocol({
    name: options.name ?? 'formAppend',
    prefix: options.prefix,
    headers: corsHeaders,
    settings,
    serve: async mount => (await import('./serve.js')).serve(mount)
  })
}
