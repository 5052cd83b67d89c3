import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import type { ProtocolSettings } from '../contract.js'
import type { ContentRangeSettings } from './options.js'

const MORE = { additionalProperties: true }
const File = Type.String({ format: 'binary' })
const Time = Type.String({ format: 'date-time' })
const NullableTime = Type.Union([Time, Type.Null()])

const Params = Type.Object({ id: Type.String({ description: '32 hex digits, or a UUID with dashes' }) })
/** The contract's words; hosts have others for what their hooks refuse. */
const Failure = Type.Object({ detail: Type.Optional(Type.Unknown()) }, MORE)

const ParentRecord = Type.Object({ upload_id: Type.String(), offset: Type.Integer(), expires: NullableTime }, MORE)
const FullRecord = Type.Object({
  id: Type.String(),
  upload_id: Type.String(),
  url: Type.String(),
  file: Type.Union([Type.String(), Type.Null()]),
  filename: Type.String(),
  offset: Type.Integer({ description: 'bytes stored' }),
  expires: NullableTime,
  created_at: Time,
  status: Type.Union([Type.Literal(1), Type.Literal(2)], { description: '1 incomplete, 2 complete' }),
  completed_at: NullableTime,
  user: Type.Union([Type.String(), Type.Number(), Type.Null()])
}, MORE)

/** `summary` is what @fastify/swagger shows. */
type RouteSchema = FastifySchema & { readonly summary: string }

/** What each route takes and answers: documentation, as the protocol checks requests in its own words. */
interface Schemas {
  readonly chunk: RouteSchema
  readonly create: RouteSchema
  readonly single: RouteSchema
  readonly complete: RouteSchema
  readonly list: RouteSchema
  readonly detail: RouteSchema
  readonly download: RouteSchema
  readonly remove: RouteSchema
}

export function schemasOf ({ checksum, fieldNames: [field = 'file'], dialectName }: ContentRangeSettings & ProtocolSettings): Schemas {
  const answer = (success: TSchema): FastifySchema['response'] => ({ 200: success, '4xx': Failure })
  const body = (content: Readonly<Record<string, TSchema>>): { content: Record<string, { schema: TSchema }> } => ({
    content: Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }]))
  })
  const form = (schema: TObject): Readonly<Record<string, TSchema>> => ({
    'application/json': schema, 'application/x-www-form-urlencoded': schema, 'multipart/form-data': schema
  })
  const record = dialectName === 'parent' ? ParentRecord : FullRecord
  const filename = Type.Optional(Type.String({ maxLength: 255 }))
  const digest = checksum === false ? {} : { [checksum]: Type.String({ description: 'checksum of the whole file, hex' }) }
  const headers = Type.Object({ 'content-range': Type.String({ examples: ['bytes 0-1048575/2621440'] }) })
  const chunk = body({
    'multipart/form-data': Type.Object({ [field]: File, filename }),
    'application/octet-stream': File
  })
  const parentChunk = {
    summary: 'First or next chunk',
    headers: Type.Partial(headers),
    body: body({ 'multipart/form-data': Type.Object({ [field]: File, upload_id: Type.Optional(Type.String()) }) }),
    response: answer(record)
  }
  const parentComplete = {
    summary: 'Complete an upload',
    body: body(form(Type.Object({ upload_id: Type.String(), ...digest }))),
    response: answer(Type.Object({}, MORE))
  }
  return {
    create: { summary: 'First chunk of a new upload', headers, body: chunk, response: answer(record) },
    chunk: dialectName === 'parent'
      ? parentChunk
      : { summary: 'Next chunk', params: Params, headers, body: chunk, response: answer(record) },
    single: {
      summary: 'Whole file in one request',
      body: body({ 'multipart/form-data': Type.Object({ [field]: File, filename, ...digest }) }),
      response: answer(record)
    },
    complete: dialectName === 'parent'
      ? parentComplete
      : { summary: 'Complete an upload', params: Params, body: body(form(Type.Object(digest))), response: answer(record) },
    list: { summary: 'Own uploads', response: answer(Type.Array(record)) },
    detail: { summary: 'One upload', params: Params, response: answer(record) },
    download: { summary: 'The bytes of a finished upload', params: Params, response: { '4xx': Failure } },
    remove: { summary: 'Abort an upload', params: Params, response: { 204: Type.Null(), '4xx': Failure } }
  }
}
