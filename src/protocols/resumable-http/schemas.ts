import { type TObject, type TProperties, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'

const params = Type.Object({ id: Type.String({ description: 'Id of the upload' }) })
const bytes = { content: { 'application/partial-upload': { schema: Type.String({ format: 'binary' }) } } }
/** The host's `onComplete` may answer anything, and downloads are any bytes. */
const reply = (description: string) => Type.Any({ description })

/** `summary` and `description` are what @fastify/swagger shows. */
type RouteSchema = FastifySchema & { readonly summary: string, readonly description?: string }

const text: RouteSchema['description'] = 'https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/'

const fields = (more: TProperties = {}): TObject => Type.Object({
  ...more,
  'Upload-Draft-Interop-Version': Type.Optional(Type.Integer({ minimum: 3, maximum: 9, description: 'Without it, the newest' }))
})
const digest = (description: string) => Type.Optional(Type.String({ description: `${description}: sha-256 or sha-512 (RFC 9530)` }))
const ofBody = {
  'Upload-Complete': Type.Optional(Type.String({ enum: ['?0', '?1'], description: '`?1` when the file ends with this body' })),
  'Upload-Length': Type.Optional(Type.Integer({ minimum: 0, description: 'Bytes of the file' })),
  'Content-Digest': digest('What the body must come to'),
  'Repr-Digest': digest('What the file must come to'),
  'Want-Repr-Digest': digest('Which checksum of the file to tell')
}

/**
 * For documents made of the routes: the fields are checked by the protocol, in its own words. Creation has no `body`, since documents call
 * each one required.
 */
export const schemas = {
  limits: {
    summary: 'What the server takes (Resumable Uploads for HTTP)',
    description: text,
    headers: fields(),
    response: { 200: reply('See Upload-Limit') }
  },
  create: {
    summary: 'Create an upload (Resumable Uploads for HTTP)',
    description: 'The body is the file, its first bytes, or none yet; Content-Type is that of the file. Upload-Complete says ' +
      `whether more follows; without it nothing does. ${text}`,
    headers: fields({
      ...ofBody,
      'Content-Disposition': Type.Optional(Type.String({ description: 'Name of the file', examples: ['attachment; filename="film.mp4"'] }))
    }),
    response: { 201: reply('Location is the URL of the upload') }
  },
  offset: {
    summary: 'Where to go on (Resumable Uploads for HTTP)',
    params,
    headers: fields(),
    response: { 200: reply('The finished file'), 204: reply('See Upload-Offset and Upload-Complete') }
  },
  append: {
    summary: 'Send bytes from Upload-Offset on (Resumable Uploads for HTTP)',
    params,
    headers: fields({ 'Upload-Offset': Type.Integer({ minimum: 0, description: 'Bytes that are stored' }), ...ofBody }),
    body: bytes,
    response: { 200: reply('The upload is complete'), 201: reply('More may follow'), 204: reply('More may follow') }
  },
  cancel: {
    summary: 'Cancel an upload (Resumable Uploads for HTTP)', params, headers: fields(), response: { 204: reply('The upload is gone') }
  }
} satisfies Readonly<Record<string, RouteSchema>>
