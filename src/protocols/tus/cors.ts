import type { CorsHeaders } from '../contract.js'

/** What browsers of other origins need for tus, beside what all protocols do. */
export const corsHeaders: CorsHeaders = {
  expose: [
    'Location', 'Upload-Offset', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Metadata', 'Upload-Concat', 'Upload-Expires',
    'Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size', 'Tus-Checksum-Algorithm'
  ],
  allow: [
    'Tus-Resumable', 'Upload-Offset', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Metadata', 'Upload-Checksum', 'Upload-Concat',
    'X-HTTP-Method-Override'
  ]
}
