/**
 * `npm start`: a page that uploads files of any size in chunks, and goes on after a lost connection, a reload or a crash of
 * the server. Settings come from the environment: PORT (3000), HOST (127.0.0.1), DATA_DIR (./data).
 */
import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import chunkedUpload from 'fastify-chunked-upload'
import type { CompleteUpload } from 'fastify-chunked-upload'

const port = Number(process.env.PORT ?? 3000)
const host = process.env.HOST ?? '127.0.0.1'
const dataDir = resolve(process.env.DATA_DIR ?? 'data')
await mkdir(dataDir, { recursive: true })

const app = Fastify({ logger: { level: process.env.LOG_LEVEL ?? 'warn' } })

// ── The uploads: this is all that a host app needs ──────────────────────────────────────────────────────────────────
await app.register(chunkedUpload, { prefix: '/uploads', directory: dataDir })

// ── The finished files: list, download, delete ──────────────────────────────────────────────────────────────────────
// Anonymous uploads are nobody's, so GET /uploads/ never lists them. Here everybody may see all that is finished.
await app.register(fastifyStatic, { root: dataDir, serve: false })

async function finished (id: string): Promise<CompleteUpload | undefined> {
  const upload = await app.chunkedUpload.get(id)
  return upload?.status === 'complete' ? upload : undefined
}

app.get('/files', async (_request, reply) => {
  const files = []
  for await (const upload of app.chunkedUpload.list({ status: 'complete' })) {
    if (upload.status !== 'complete') continue
    const { id, filename, size, completedAt, checksum } = upload
    files.push({ id, filename, size, completedAt, checksum })
  }
  reply.header('cache-control', 'no-store')
  return files.sort((a, b) => b.completedAt - a.completedAt)
})

app.get<{ Params: { id: string } }>('/files/:id', async (request, reply) => {
  const upload = await finished(request.params.id)
  if (upload === undefined) return reply.code(404).send({ message: 'No such file' })
  // Always as an attachment: what strangers upload must not run as a page of this site. Ranges and ETag come with it.
  return reply.download(upload.location, upload.filename)
})

app.delete<{ Params: { id: string } }>('/files/:id', async (request, reply) => {
  const upload = await finished(request.params.id)
  if (upload === undefined) return reply.code(404).send({ message: 'No such file' })
  await app.chunkedUpload.remove(upload.id)
  return reply.code(204).send()
})

// ── The page ────────────────────────────────────────────────────────────────────────────────────────────────────────
app.addHook('onRequest', async (_request, reply) => {
  reply.headers({
    // wasm-unsafe-eval: the page computes its checksum with WebAssembly.
    'content-security-policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; " +
      "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin'
  })
})
const publicDir = new URL('./public/', import.meta.url)
const hashWasm = new URL('./', import.meta.resolve('hash-wasm'))
await app.register(fastifyStatic, { root: fileURLToPath(publicDir), decorateReply: false })
await app.register(fastifyStatic, { root: fileURLToPath(hashWasm), prefix: '/hash-wasm/', decorateReply: false })

// ── Start, and stop without losing what has arrived ─────────────────────────────────────────────────────────────────
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close())
const url = await app.listen({ port, host })
console.log(`Drop files on ${url} – they are kept in ${dataDir}`)
