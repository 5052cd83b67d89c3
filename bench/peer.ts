/**
 * One server of the benchmark in a process of its own: `node --import tsx bench/peer.ts <kind> <directory>`. It tells its port, and on
 * request what it has used so far, over the IPC channel.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fastifyMultipart from '@fastify/multipart'
import { FileStore } from '@tus/file-store'
import { Server as TusServer } from '@tus/server'
import Fastify, { type FastifyInstance } from 'fastify'
import chunkedUpload, { chunkTasks, contentRange, diskStorage, fileMetadata, tus } from 'fastify-chunked-upload'

export type PeerKind = keyof typeof kinds

const [, , kind = '', directory = ''] = process.argv

/** Fastify's plain way: a pass-through parser, and the body piped to a file. */
function plainRoute (app: FastifyInstance, inline: () => Transform[] = () => []): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })
  app.put<{ Params: { name: string }, Body: Readable }>('/:name', async (request, reply) => {
    const start = Number(/^bytes (\d+)-/.exec(request.headers['content-range'] ?? '')?.[1] ?? 0)
    const file = createWriteStream(join(directory, request.params.name), { flags: start === 0 ? 'w' : 'r+', start })
    await pipeline([request.body, ...inline(), file])
    return reply.send({ offset: start + file.bytesWritten })
  })
}

const kinds = {
  'plain raw': (app: FastifyInstance) => { plainRoute(app) },
  'plain md5': (app: FastifyInstance) => {
    plainRoute(app, () => {
      const hash = createHash('md5')
      return [new Transform({
        transform (data: Buffer, _encoding, done) {
          hash.update(data)
          done(null, data)
        },
        flush (done) {
          hash.digest('hex')
          done()
        }
      })]
    })
  },
  'plain multipart': async (app: FastifyInstance) => {
    await app.register(fastifyMultipart, { limits: { fileSize: Infinity } })
    app.put<{ Params: { name: string } }>('/:name', async (request, reply) => {
      const part = await request.file()
      if (part === undefined) return reply.code(400).send()
      await pipeline(part.file, createWriteStream(join(directory, request.params.name)))
      return reply.send({})
    })
  },
  '@tus/server': (app: FastifyInstance) => {
    const server = new TusServer({ path: '/files', datastore: new FileStore({ directory }) })
    app.addContentTypeParser('application/offset+octet-stream', (_request, _payload, done) => { done(null) })
    app.all('/files', async (request, reply) => {
      reply.hijack()
      await server.handle(request.raw, reply.raw)
    })
    app.all('/files/*', async (request, reply) => {
      reply.hijack()
      await server.handle(request.raw, reply.raw)
    })
  },
  'plain chunks': async (app: FastifyInstance) => {
    // What such services usually do: a file for each chunk, merged at the end.
    await app.register(fastifyMultipart, { limits: { fileSize: Infinity } })
    const place = (task: string, index: number | string): string => join(directory, `${task}.${index}`)
    let tasks = 0
    const counts = new Map<string, number>()
    app.post<{ Body: { file_size: number, chunk_size: number } }>('/tasks/create', async request => {
      const task = String(++tasks)
      counts.set(task, Math.ceil(request.body.file_size / request.body.chunk_size))
      return { task_id: task }
    })
    app.post<{ Params: { task: string, index: string } }>('/tasks/chunk/:task/:index', async (request, reply) => {
      const part = await request.file()
      if (part === undefined) return reply.code(400).send()
      await pipeline(part.file, createWriteStream(place(request.params.task, request.params.index)))
      return reply.send()
    })
    app.post<{ Params: { task: string } }>('/tasks/complete/:task', async request => {
      const { task } = request.params
      for (let index = 0; index < (counts.get(task) ?? 0); index++) {
        await pipeline(createReadStream(place(task, index)), createWriteStream(place(task, 'file'), { flags: 'a' }))
        await unlink(place(task, index))
      }
      return {}
    })
  },
  'ours tasks': async (app: FastifyInstance) => {
    await app.register(chunkedUpload, { directory, checksum: false, protocols: [chunkTasks({ prefix: '/tasks' })] })
  },
  'ours raw': async (app: FastifyInstance) => { await app.register(chunkedUpload, { prefix: '/uploads', directory, checksum: false }) },
  'ours trusting': async (app: FastifyInstance) => {
    // A storage without an epoch: nothing is compared after a power cut, and nothing is synced.
    const { epoch: _epoch, sync: _sync, ...storage } = diskStorage({ directory })
    const metadata = fileMetadata({ directory: join(directory, '.chunked_uploads') })
    await app.register(chunkedUpload, { prefix: '/uploads', storage, metadata, checksum: false })
  },
  'ours md5': async (app: FastifyInstance) => { await app.register(chunkedUpload, { prefix: '/uploads', directory }) },
  'ours tus': async (app: FastifyInstance) => {
    await app.register(chunkedUpload, { prefix: '/files', directory, protocols: [tus(), contentRange({ prefix: '/uploads' })] })
  }
}

if (Object.hasOwn(kinds, kind) && process.send !== undefined) {
  const app = Fastify()
  await kinds[kind as PeerKind](app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    const { maxRSS } = process.resourceUsage()
    process.send?.({ cpuSeconds: (user + system) / 1e6, peakMiB: maxRSS / 1024, rssMiB: process.memoryUsage.rss() / 2 ** 20 })
  })
  process.on('disconnect', () => { process.exit() })
  process.send({ port: typeof address === 'object' && address !== null ? address.port : 0 })
}
