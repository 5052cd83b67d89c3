import { type TObject, type TProperties, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { TUS_VERSION } from './headers.js'
import type { TusSettings } from './options.js'

const idParams = Type.Object({ id: Type.String({ description: 'Id of the upload' }) })
const bytes = { content: { 'application/offset+octet-stream': { schema: Type.String({ format: 'binary' }) } } }
/** Mostly empty, but the host's `onComplete` may put anything there. */
const reply = (description: string) => Type.Any({ description })
const count = (description: string) => Type.Integer({ minimum: 0, description })

/**
 * What each route takes and answers, with the extensions that are on: documentation, as the protocol checks requests in its own words.
 * Creation has no `body`, since documents call each one required; https://tus.io/protocols/resumable-upload tells the rest.
 */
export function schemasOf ({ extensions, checksumAlgorithms }: TusSettings): Readonly<Record<string, FastifySchema>> {
  const optional = (name: string, on: boolean, value: TProperties[string]): TProperties => on ? { [name]: Type.Optional(value) } : {}
  const headers = (more: TProperties = {}): TObject => Type.Object({ 'Tus-Resumable': Type.String({ enum: [TUS_VERSION] }), ...more })
  const deferred = extensions.has('creation-defer-length')
  const checksum = optional('Upload-Checksum', extensions.has('checksum'), Type.String({
    description: `Of the body: an algorithm (${[...checksumAlgorithms.keys()].join(', ')}), a space, and the digest in base64`
  }))
  return {
    discover: { summary: 'What the server can do (tus)', response: { 200: reply('See Tus-Version, Tus-Extension, Tus-Max-Size') } },
    create: {
      summary: 'Create an upload (tus)',
      ...extensions.has('creation-with-upload') && { description: 'First bytes may be in the body, as application/offset+octet-stream' },
      headers: headers({
        ...optional('Upload-Length', true, count('Bytes of the file')),
        ...optional('Upload-Defer-Length', deferred, Type.String({ enum: ['1'], description: 'In place of Upload-Length, which follows' })),
        ...optional('Upload-Metadata', true, Type.String({
          description: 'Keys with values in base64, parted by commas; filename and filetype tell of the file',
          examples: ['filename ZmlsbS5tcDQ=,filetype dmlkZW8vbXA0']
        })),
        ...optional('Upload-Concat', extensions.has('concatenation'), Type.String({
          description: '`partial` for a part of a file; `final;` and the URLs of parts, for the file of these'
        })),
        ...checksum
      }),
      response: { 201: reply('Location is the URL of the upload') }
    },
    offset: {
      summary: 'Where to go on (tus)',
      params: idParams,
      headers: headers(),
      response: { 200: reply('Upload-Offset and Upload-Length') }
    },
    chunk: {
      summary: 'Send bytes from Upload-Offset on (tus)',
      params: idParams,
      headers: headers({
        'Upload-Offset': count('Bytes that are stored'),
        ...optional('Upload-Length', deferred, count('Bytes of the file, where its creation deferred them')),
        ...checksum
      }),
      body: bytes,
      response: { 204: reply('Upload-Offset is what is stored') }
    },
    remove: { summary: 'Terminate an upload (tus)', params: idParams, headers: headers(), response: { 204: reply('The upload is gone') } },
    download: { summary: 'Download a finished upload', params: idParams }
  }
}
