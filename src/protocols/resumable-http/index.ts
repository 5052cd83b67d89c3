import type { Upload } from '../../upload.js'
import type { Protocol } from '../contract.js'
import { defineProtocol } from '../define-protocol.js'
import { corsHeaders } from './cors.js'
import { type ResumableHttpOptions, settingsOf } from './options.js'

export type { ResumableHttpOptions } from './options.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Requests to this route can be resumed (Upload-Complete); a string names the mount of `resumableHttp()` that keeps them. */
    resumable?: boolean | string
  }
  interface FastifyRequest {
    /** The finished upload that is this request's body, if it came as a resumable one. */
    upload: Upload | null
  }
}

/**
 * Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload): interop versions 3 to 9, and requests without a version. Serves a mount
 * of its own, and routes of the host that are declared after it with `config: { resumable: true }`: their handler gets the finished upload
 * as if it had come in one piece.
 * @throws {InvalidOption}
 */
export function resumableHttp (options: ResumableHttpOptions = {}): Protocol {
  const settings = settingsOf(options)
  return defineProtocol({
    name: settings.name,
    prefix: options.prefix,
    headers: corsHeaders,
    marks: {
      headers: ['upload-draft-interop-version', 'upload-complete', 'upload-incomplete'],
      plain: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
    },
    settings,
    serve: async (mount, _scope, host) => (await import('./serve.js')).serve(mount, host)
  })
}
