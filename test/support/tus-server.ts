// A server that speaks tus, in a process of its own, for tests that kill it: tus-server.ts DIRECTORY PORT
import Fastify from 'fastify'
import { chunkedUpload, tus } from '../../src/index.js'

const [, , directory = '.', port = '0'] = process.argv
const app = Fastify({ logger: { level: 'warn', stream: process.stderr } })
await app.register(chunkedUpload, { prefix: '/files', directory, protocols: [tus()], downloads: true })
process.stdout.write(`${await app.listen({ port: Number(port), host: '127.0.0.1' })}\n`)
