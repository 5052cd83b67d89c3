import { Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'

const params = Type.Object({ id: Type.String({ description: 'Id of the upload' }) })
const bytes = (type: string) => ({ content: { [type]: { schema: Type.String({ format: 'binary' }) } } })
/** The host's `onComplete` may answer anything, and downloads are any bytes. */
const reply = (description: string) => Type.Any({ description })

/** `summary` and `description` are what @fastify/swagger shows. */
type RouteSchema = FastifySchema & { readonly summary: string, readonly description?: string }

const text: RouteSchema['description'] = 'https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/'

/** For documents made of the routes: the fields are checked by the protocol, in its own words. */
export const schemas = {
  limits: {
    summary: 'What the server takes (Resumable Uploads for HTTP)', description: text, response: { 200: reply('See Upload-Limit') }
  },
  create: {
    summary: 'Create an upload (Resumable Uploads for HTTP)',
    description: `Upload-Complete says whether more follows; Upload-Length, Content-Type and Content-Disposition tell of the file. ${text}`,
    body: bytes('application/octet-stream'),
    response: { 201: reply('Location is the URL of the upload') }
  },
  offset: {
    summary: 'Where to go on (Resumable Uploads for HTTP)',
    params,
    response: { 200: reply('The finished file'), 204: reply('See Upload-Offset and Upload-Complete') }
  },
  append: {
    summary: 'Send bytes from Upload-Offset on (Resumable Uploads for HTTP)',
    params,
    body: bytes('application/partial-upload'),
    response: { 200: reply('The upload is complete'), 201: reply('More may follow'), 204: reply('More may follow') }
  },
  cancel: { summary: 'Cancel an upload (Resumable Uploads for HTTP)', params, response: { 204: reply('The upload is gone') } }
} satisfies Readonly<Record<string, RouteSchema>>
