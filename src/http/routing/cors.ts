/**
 * What browsers of other origins need, for all protocols together. CORS itself is the host's:
 * `app.register(cors, { exposedHeaders: [...exposedHeaders], allowedHeaders: [...allowedHeaders], methods: [...allowedMethods] })`.
 */

/** Headers of replies that scripts may read (`Access-Control-Expose-Headers`). */
export const exposedHeaders: readonly string[] = [
  'Location', 'Upload-Offset', 'Upload-Length', 'Upload-Complete', 'Upload-Expires', 'Upload-Limit', 'Upload-Metadata',
  'Upload-Defer-Length', 'Upload-Concat', 'Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size', 'Tus-Checksum-Algorithm',
  'Upload-Incomplete', 'Upload-Draft-Interop-Version', 'Repr-Digest', 'Accept-Patch', 'Range', 'ETag', 'Retry-After', 'Accept-Ranges',
  'Content-Range', 'Content-Disposition'
]

/** Headers that scripts may send (`Access-Control-Allow-Headers`). */
export const allowedHeaders: readonly string[] = [
  'Content-Type', 'Content-Range', 'Content-Disposition', 'Content-Digest', 'Repr-Digest', 'Upload-Offset', 'Upload-Length',
  'Upload-Defer-Length', 'Upload-Metadata', 'Upload-Checksum', 'Upload-Concat', 'Upload-Complete', 'Upload-Incomplete', 'Upload-Name',
  'Upload-Draft-Interop-Version', 'Tus-Resumable', 'X-HTTP-Method-Override', 'X-Requested-With', 'X-Unique-Upload-Id', 'Cache-Control',
  'uploader-file-id', 'uploader-chunks-total', 'uploader-chunk-number', 'Content-Encoding', 'Content-Language', 'Want-Repr-Digest', 'Range',
  'Authorization', 'If-Range', 'If-Match', 'If-None-Match', 'X-Request-ID'
]

/**
 * `config` of routes that tell by OPTIONS what the server can do. @fastify/cors answers OPTIONS before they reach a route, with 204, and
 * refuses those that are no preflights of a browser, as apps and other programs send them.
 */
export const discoveryConfig: object = { cors: { strictPreflight: false, optionsSuccessStatus: 200 } }

/** Methods that the protocols use (`Access-Control-Allow-Methods`). */
export const allowedMethods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
