import type { CorsHeaders } from './contract.js'

/** Of every protocol: what downloads and refusals tell, and what requests for a file, or those of the host's own clients, have. */
const SHARED: CorsHeaders = {
  expose: ['Retry-After', 'ETag', 'Accept-Ranges', 'Content-Range', 'Content-Disposition'],
  allow: [
    'Content-Type', 'Authorization', 'Cache-Control', 'X-Requested-With', 'X-Request-ID', 'Range', 'If-Range', 'If-Match', 'If-None-Match',
    'If-Modified-Since', 'If-Unmodified-Since'
  ]
}

/** The header fields of a protocol's own, and those that all protocols have. */
export function withShared ({ expose, allow }: CorsHeaders): CorsHeaders {
  return { expose: [...new Set([...expose, ...SHARED.expose])], allow: [...new Set([...allow, ...SHARED.allow])] }
}
