/**
 * `npm start`: a page that uploads files of any size in chunks, and goes on after a lost connection, a reload or a crash of
 * the server, in whatever protocol you choose. Settings come from the environment: PORT (3000), HOST (127.0.0.1), DATA_DIR (./data).
 */
import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import chunkedUpload, {
  chunkTasks, contentRange, formAppend, offsetOf, rawAppend, resumableHttp, taskIdOf, tus, type Upload
} from 'fastify-chunked-upload'

const port = Number(process.env.PORT ?? 3000)
const host = process.env.HOST ?? '127.0.0.1'
const dataDir = resolve(process.env.DATA_DIR ?? 'data')
await mkdir(dataDir, { recursive: true })

const app = Fastify({ logger: { level: process.env.LOG_LEVEL ?? 'warn' } })

// ── What every answer says to browsers ──────────────────────────────────────────────────────────────────────────────
const policy = (more: string): string =>
  `default-src 'none'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; ${more}`
// wasm-unsafe-eval: the page computes its checksum with WebAssembly.
const ownPages = policy("script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'")
// Uppy shows thumbnails of what it uploads, and brings styles of its own.
const uppyPage = policy("script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:")

app.addHook('onRequest', async (request, reply) => {
  reply.headers({
    'content-security-policy': request.url === '/uppy.html' ? uppyPage : ownPages,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin'
  })
})

// ── The uploads ─────────────────────────────────────────────────────────────────────────────────────────────────────
// A host app needs one protocol: `register(chunkedUpload, { prefix: '/uploads' })` has the first of these. Here are all of them,
// each where its original has it.
await app.register(chunkedUpload, {
  directory: dataDir,
  downloads: true,
  protocols: [
    contentRange({ prefix: 'uploads' }),
    tus({ prefix: 'tus' }),
    resumableHttp({ prefix: 'resumable', removeFinished: true }),
    // Here all clients may see all files, so that none has to send what is there already.
    chunkTasks({ prefix: 'api/files/upload', dedupe: 'all' }),
    formAppend({ prefix: 'api', maxBytes: null, expirationDelta: 24 * 3600 * 1000 }),
    rawAppend()
  ]
})

// ── The finished files: list and delete ─────────────────────────────────────────────────────────────────────────────
/** Where each protocol serves a file. */
const fileUrls: Readonly<Record<string, (upload: Upload) => string>> = {
  contentRange: ({ id }) => `/uploads/${id}/file`,
  tus: ({ id }) => `/tus/${id}`,
  resumableHttp: ({ id }) => `/resumable/${id}`,
  chunkTasks: ({ id }) => `/api/files/upload/file/${taskIdOf(id)}`,
  formAppend: ({ id }) => `/api/videos/${id}/`,
  rawAppend: ({ serial }) => `/get_video/${serial}/`
}

// Anonymous uploads have no user, so no protocol lists them. Here all clients may see all that is finished.
app.get('/files', async (_request, reply) => {
  const files = []
  for await (const upload of app.chunkedUpload.list()) {
    const { id, protocol, checksum, serial, updatedAt } = upload
    const isVideo = protocol === 'rawAppend' && offsetOf(upload) > 0 // is never finished, and can be seen all the time
    if (upload.status !== 'complete' && !isVideo) continue
    files.push({
      id,
      protocol,
      filename: isVideo ? `video_${serial}.mp4` : upload.filename,
      size: upload.size ?? offsetOf(upload),
      time: updatedAt,
      checksum,
      href: fileUrls[protocol]?.(upload)
    })
  }
  return reply.header('cache-control', 'no-store').send(files.sort((one, other) => other.time - one.time))
})

app.delete<{ Params: { id: string } }>('/files/:id', async (request, reply) => {
  await app.chunkedUpload.remove(request.params.id)
  return reply.code(204).send()
})

// ── The pages ───────────────────────────────────────────────────────────────────────────────────────────────────────
const folders = {
  '/': new URL('./public/', import.meta.url),
  '/hash-wasm/': new URL('./', import.meta.resolve('hash-wasm')),
  '/uppy/': new URL('../dist/', import.meta.resolve('uppy'))
}
for (const [prefix, folder] of Object.entries(folders)) {
  await app.register(fastifyStatic, { root: fileURLToPath(folder), prefix, decorateReply: false })
}

// ── Start, and stop without losing what has arrived ─────────────────────────────────────────────────────────────────
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close())
const url = await app.listen({ port, host })
console.log(`Drop files on ${url} – they are kept in ${dataDir}`)
