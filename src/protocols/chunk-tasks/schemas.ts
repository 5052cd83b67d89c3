import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'

const MORE = { additionalProperties: true }
const Nullable = (schema: TSchema): TSchema => Type.Union([schema, Type.Null()])
const Time = Type.String({ format: 'date-time' })
const Uuid = Type.String({ format: 'uuid' })
const Bytes = Type.Integer({ minimum: 0, description: 'bytes' })
const File = Type.String({ format: 'binary' })

const Problem = Type.Object({
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
  status: Type.Optional(Type.Integer()),
  detail: Type.Optional(Type.String()),
  errors: Type.Optional(Type.Record(Type.String(), Type.Array(Type.String()))),
  meta: Type.Optional(Type.Object({}, MORE))
}, MORE)

const CloudFile = Type.Object({
  id: Type.String(), name: Type.String(), size: Bytes, mime_type: Nullable(Type.String()), hash: Nullable(Type.String())
}, { ...MORE, description: 'CloudFile: all members of the contract, null included' })

const NewTask = Type.Object({
  hash: Type.String({ description: 'hex; 32, 40, 64 or 128 digits are verified as MD5, SHA-1, SHA-256 or SHA-512' }),
  file_name: Type.String(),
  file_size: Bytes,
  content_type: Type.String(),
  pool_id: Type.Optional(Uuid),
  bundle_id: Type.Optional(Uuid),
  encrypt_password: Type.Optional(Type.String({ description: 'encrypts the stored file' })),
  expired_at: Type.Optional(Time),
  chunk_size: Type.Optional(Type.Integer({ minimum: 1, description: 'bytes; the answer says what to use' }))
})

const Created = Type.Object({
  file_exists: Type.Boolean(),
  file: Nullable(CloudFile),
  task_id: Nullable(Type.String()),
  chunk_size: Nullable(Bytes),
  chunks_count: Nullable(Type.Integer())
})

const Progress = Type.Object({
  task_id: Type.String(),
  file_name: Type.String(),
  file_size: Bytes,
  chunks_count: Type.Integer(),
  chunks_uploaded: Type.Integer(),
  progress: Type.Number({ minimum: 0, maximum: 100 }),
  uploaded_chunks: Type.Array(Type.Integer())
}, MORE)

const Message = Type.Object({ message: Type.String() })
const Task = Type.Object({ taskId: Type.String({ description: '21 characters, as `create` answered' }) })
const Chunk = Type.Object({ ...Task.properties, chunkIndex: Type.String({ description: 'from 0' }) })
const Limit = Type.Optional(Type.String({ pattern: '^\\d{1,9}$' }))

/** `summary` is what @fastify/swagger shows. */
type RouteSchema = FastifySchema & { readonly summary: string }

function route (summary: string, success: TSchema, more: Omit<RouteSchema, 'summary'> = {}): RouteSchema {
  const problem = { content: { 'application/json': { schema: Problem }, 'text/plain': { schema: Type.String() } } }
  return { summary, response: { 200: success, '4xx': problem, '5xx': problem }, ...more }
}

function form (field: string): FastifySchema['body'] {
  return { content: { 'multipart/form-data': { schema: Type.Object({ [field]: File }, MORE) } } }
}

function json (schema: TSchema): FastifySchema['body'] {
  return { content: { 'application/json': { schema } } }
}

/** What each route takes and answers: documentation, as the protocol checks requests in its own words. */
export const schemas = {
  create: route('New upload task, or the file that makes it needless', Created, { body: json(NewTask) }),
  chunk: route('A chunk, in any order and beside others', Type.Unknown({ description: 'empty' }), { params: Chunk, body: form('chunk') }),
  complete: route('All chunks are there', CloudFile, {
    params: Task, body: json(Type.Object({ encrypt_password: Type.Optional(Type.String()) }))
  }),
  tasks: route('Own tasks', Type.Array(Progress), {
    querystring: Type.Partial(Type.Object({
      status: Type.String(), sortBy: Type.String(), sortDescending: Type.String(), offset: Type.String(), limit: Type.String()
    }))
  }),
  recent: route('Own tasks that changed last', Type.Array(Type.Object({ task_id: Type.String() }, MORE)), {
    querystring: Type.Object({ limit: Limit })
  }),
  progress: route('How far a task is', Progress, { params: Task }),
  resume: route('What a client needs to go on with a task', Progress, { params: Task }),
  cancel: route('Give up a task', Message, { params: Task }),
  stats: route('Numbers of own tasks', Type.Object({ total_tasks: Type.Integer() }, MORE)),
  details: route('A task in full', Type.Object({ task: Type.Object({}, MORE) }, MORE), { params: Task }),
  cleanup: route('Remove own failed, cancelled and expired tasks', Message),
  download: route('A finished file', Type.Unknown({ description: 'the bytes' }), { params: Type.Object({ fileId: Type.String() }) }),
  direct: route('A small file in one request', CloudFile, { body: form('file') })
} satisfies Record<string, RouteSchema>
