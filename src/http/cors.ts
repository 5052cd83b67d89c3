/**
 * What browsers of other origins need, for all protocols together. CORS itself is the host's:
 * `app.register(cors, { exposedHeaders: [...exposedHeaders], allowedHeaders: [...allowedHeaders], methods: [...allowedMethods] })`.
 * With `preflightContinue: true` and `strictPreflight: false` besides, OPTIONS requests reach the protocols, which answer them with 204:
 * tus clients ask so what a server can do.
 */

/** Headers of replies that scripts may read (`Access-Control-Expose-Headers`). */
export const exposedHeaders: readonly string[] = [
  'Location', 'Upload-Offset', 'Upload-Length', 'Upload-Complete', 'Upload-Expires', 'Upload-Limit', 'Upload-Metadata',
  'Upload-Defer-Length', 'Upload-Concat', 'Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size', 'Tus-Checksum-Algorithm',
  'Upload-Incomplete', 'Upload-Draft-Interop-Version', 'Repr-Digest', 'Accept-Patch', 'Range', 'ETag', 'Retry-After'
]

/** Headers that scripts may send (`Access-Control-Allow-Headers`). */
export const allowedHeaders: readonly string[] = [
  'Content-Type', 'Content-Range', 'Content-Disposition', 'Content-Digest', 'Repr-Digest', 'Upload-Offset', 'Upload-Length',
  'Upload-Defer-Length', 'Upload-Metadata', 'Upload-Checksum', 'Upload-Concat', 'Upload-Complete', 'Upload-Incomplete', 'Upload-Name',
  'Upload-Draft-Interop-Version', 'Tus-Resumable', 'X-HTTP-Method-Override', 'X-Requested-With', 'X-Unique-Upload-Id', 'Cache-Control',
  'uploader-file-id', 'uploader-chunks-total', 'uploader-chunk-number', 'Content-Encoding', 'Content-Language', 'Want-Repr-Digest', 'Range',
  'Authorization'
]

/** Methods that the protocols use (`Access-Control-Allow-Methods`). */
export const allowedMethods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
