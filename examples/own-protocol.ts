// A protocol of one's own, with a server that speaks it: PUT /files/NAME, in as many pieces as the client likes, and HEAD to go on after
// an interruption. docs/protocols.md explains it. Run it: npx tsx examples/own-protocol.ts
import Fastify, { type FastifyReply } from 'fastify'
import { chunkedUpload } from 'fastify-chunked-upload'
import {
  type Context, type ContentRange, type Declare, type Mount, type Protocol, type Upload, Refusal, assertThere, bodyOf, contentLength,
  defineProtocol, errors, offsetOf, parseContentRange, sendUpload, service, when
} from 'fastify-chunked-upload/protocol'

export interface NamedPutOptions {
  /** Names the mount. @default 'namedPut' */
  readonly name?: string
  /** Path below the plugin's prefix. @default '' */
  readonly prefix?: string
}

export function namedPut ({ name = 'namedPut', prefix }: NamedPutOptions = {}): Protocol {
  return defineProtocol({
    name,
    prefix,
    headers: { expose: ['Upload-Offset', 'Upload-Length'], allow: ['Content-Range'] },
    // A name is one's own: without a user, all clients would share the names.
    settings: { requireUser: true },
    serve
  })
}

function serve (mount: Mount): Declare {
  const params = { type: 'object', properties: { name: { type: 'string', description: 'Name of the file' } } }
  return service({
    mount,
    speaks: 'contentRange',
    routes: [
      { name: 'put', method: 'PUT', url: '/:name', schema: { summary: 'Send a file, or a part of it', params }, verb: put },
      { name: 'offset', method: 'HEAD', url: '/:name', schema: { summary: 'Ask where to go on', params }, verb: offset },
      { name: 'remove', method: 'DELETE', url: '/:name', schema: { summary: 'Remove a file', params }, verb: remove },
      mount.settings.downloads !== false &&
        { name: 'download', method: 'GET', url: '/:name', schema: { summary: 'Download a file', params }, verb: download }
    ],
    errors: {
      rows: [when(errors.OffsetMismatch, ({ expected }) => ({ headers: { 'upload-offset': String(expected) } }))],
      body: ({ message }) => ({ body: { error: message } })
    },
    methodNotAllowed: ({ request }) => { throw new Refusal(405, `${request.method} is not possible here`) }
  })
}

async function put (context: Context): Promise<FastifyReply> {
  const { mount: { engine, settings }, request, reply } = context
  const { start, length, total } = rangeOf(context)
  const caller = await context.caller()
  const { id } = await engine.createOnce(caller, {
    filename: context.param('name'),
    contentType: request.headers['content-type'] ?? null,
    metadata: {},
    protocolState: {},
    size: total,
    chunkSize: null,
    checksum: settings.checksum === false ? null : { algorithm: settings.checksum, value: null },
    expiresIn: settings.expirationDelta,
    serial: false
  }, sameness(context))
  const { upload, completed } = await engine.write(caller, id, {
    // Without bytes it asks to finish: all of them came, and the completion was lost in a crash or refused by the host.
    start: start ?? 'end',
    length,
    body: bodyOf(request),
    // A request that hangs on a dead connection lets this one in, and what came by it stays.
    claim: 'stop',
    complete: { when: 'full' },
    ...total !== null && { size: total }
  })
  // What the host's onComplete wants to be answered goes first.
  const { statusCode = upload.status === 'complete' ? 201 : 202, headers = {}, body } = completed?.reply ?? {}
  return tell(reply, upload).code(statusCode).headers(headers).send(body)
}

async function offset (context: Context): Promise<FastifyReply> {
  const { mount: { engine }, reply } = context
  const { id } = await uploadOf(context)
  const upload = await engine.stopWriters(await context.caller(), id)
  assertThere(upload)
  return tell(reply.header('cache-control', 'no-store'), upload).code(upload.status === 'complete' ? 200 : 202).send()
}

async function remove (context: Context): Promise<FastifyReply> {
  const { id } = await uploadOf(context)
  await context.mount.engine.remove(await context.caller(), id)
  return context.reply.code(204).send()
}

async function download (context: Context): Promise<FastifyReply> {
  const upload = await uploadOf(context)
  if (upload.status !== 'complete') throw new Refusal(409, 'The file is not complete: send the rest of it')
  return await sendUpload(context, context.mount.engine, upload)
}

/** The upload of this name and user. */
async function uploadOf (context: Context): Promise<Upload> {
  const upload = await context.mount.engine.findOnce(await context.caller(), sameness(context))
  if (upload === undefined) throw new errors.UploadNotFound()
  return upload
}

/** What makes a request one for the same file: the engine adds the mount and the user. */
const sameness = (context: Context) => ({ key: context.param('name'), sources: [] })

/** The part that the body is; without Content-Range it is the whole file. */
function rangeOf ({ request }: Context): ContentRange {
  const header = request.headers['content-range']
  const length = contentLength(request)
  if (header === undefined && length === undefined) throw new Refusal(411, 'Send a Content-Length, or a Content-Range')
  const range = header === undefined ? { start: 0, length: length ?? 0, total: length ?? 0 } : parseContentRange(header)
  if (range === undefined) throw new Refusal(400, 'Content-Range must be as in "bytes 0-9/20", or "bytes */20" to finish')
  return range
}

function tell (reply: FastifyReply, upload: Upload): FastifyReply {
  if (upload.size !== null) reply.header('upload-length', String(upload.size))
  return reply.header('upload-offset', String(upload.status === 'complete' ? upload.size : offsetOf(upload)))
}

if (process.argv[1] === import.meta.filename) {
  const app = Fastify()
  await app.register(chunkedUpload, {
    prefix: '/files',
    directory: process.env.DATA_DIR ?? 'data',
    protocols: [namedPut()],
    downloads: true,
    // In place of your authentication.
    user: request => request.headers.authorization ?? null
  })
  console.log(`PUT files to ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}/files/NAME`)
}
