// A server that speaks chunkTasks in a process of its own, for tests that kill it or run two on one directory, which is its argument.
import Fastify from 'fastify'
import { chunkTasks, chunkedUpload } from '../../src/index.js'
import { fileLocks } from '../../src/locks/file.js'
import { usersByHeader } from './server.js'

const [, , directory = ''] = process.argv
const app = Fastify({ logger: { level: 'error' } })
usersByHeader(app)
await app.register(chunkedUpload, {
  prefix: '/uploads', directory, locks: fileLocks({ directory: `${directory}/locks` }), protocols: [chunkTasks()]
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.(Number(new URL(url).port))
