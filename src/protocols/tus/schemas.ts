import { Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'

const idParams = Type.Object({ id: Type.String({ description: 'Id of the upload' }) })
/** Mostly empty, but the host's `onComplete` may put anything there. */
const reply = (description: string) => Type.Any({ description })

/** For documents made of the routes: the headers are in the protocol's own text, https://tus.io/protocols/resumable-upload */
const bytes = { content: { 'application/offset+octet-stream': { schema: Type.String({ format: 'binary' }) } } }
export const schemas: Readonly<Record<string, FastifySchema>> = {
  discover: { summary: 'What the server can do (tus)', response: { 200: reply('See Tus-Version, Tus-Extension, Tus-Max-Size') } },
  create: {
    summary: 'Create an upload (tus)',
    description: 'Upload-Length or Upload-Defer-Length, Upload-Metadata, Upload-Concat; the first bytes may be in the body',
    body: bytes,
    response: { 201: reply('Location is the URL of the upload') }
  },
  offset: { summary: 'Where to go on (tus)', params: idParams, response: { 200: reply('Upload-Offset and Upload-Length') } },
  chunk: {
    summary: 'Send bytes from Upload-Offset on (tus)',
    params: idParams,
    body: bytes,
    response: { 204: reply('Upload-Offset is what is stored') }
  },
  remove: { summary: 'Terminate an upload (tus)', params: idParams, response: { 204: reply('The upload is gone') } },
  download: { summary: 'Download a finished upload', params: idParams }
}
