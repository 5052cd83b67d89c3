import type { CorsHeaders } from '../contract.js'

/** What browsers of other origins need for resumable requests, beside what all protocols do. */
export const corsHeaders: CorsHeaders = {
  expose: [
    'Location', 'Upload-Offset', 'Upload-Length', 'Upload-Complete', 'Upload-Incomplete', 'Upload-Limit', 'Upload-Draft-Interop-Version',
    'Accept-Patch', 'Repr-Digest'
  ],
  allow: [
    'Upload-Offset', 'Upload-Length', 'Upload-Complete', 'Upload-Incomplete', 'Upload-Draft-Interop-Version', 'Content-Disposition',
    'Content-Encoding', 'Content-Language', 'Content-Digest', 'Repr-Digest', 'Want-Repr-Digest', 'X-HTTP-Method-Override'
  ]
}
