// A server of the built package that speaks Resumable Uploads for HTTP, in a process of its own, for tests that kill it:
// node resumable-server.mjs DIRECTORY [PORT]. What its own route gets is in DIRECTORY/handled, by its SHA-256.
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify from 'fastify'
import chunkedUpload, { resumableHttp } from 'fastify-chunked-upload'

const [, , directory, port = '0'] = process.argv
if (directory === undefined) throw new Error('usage: resumable-server.mjs DIRECTORY [PORT]')

const app = Fastify({ logger: { level: 'warn' } })
await app.register(chunkedUpload, { prefix: '/uploads', directory, protocols: [resumableHttp({ progress: { bytes: 64 * 1024 } })] })
app.addContentTypeParser('image/heic', { parseAs: 'buffer', bodyLimit: 2 ** 30 }, (_request, body, done) => { done(null, body) })
app.post('/photos', { config: { resumable: true }, bodyLimit: 2 ** 30 }, async request => {
  const sha256 = createHash('sha256').update(request.body).digest('hex')
  await mkdir(join(directory, 'handled'), { recursive: true })
  await writeFile(join(directory, 'handled', sha256), '')
  return { sha256 }
})
await app.listen({ port: Number(port), host: '127.0.0.1' })
console.log(app.server.address().port)
