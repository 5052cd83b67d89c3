// A server of the built package in a process of its own, for tests that kill it: node plain-server.mjs DIRECTORY [PORT] [OPTIONS as JSON]
import Fastify from 'fastify'
import chunkedUpload from 'fastify-chunked-upload'

const [, , directory, port = '0', options = '{}'] = process.argv
if (directory === undefined) throw new Error('usage: plain-server.mjs DIRECTORY [PORT] [OPTIONS]')

const app = Fastify({ logger: { level: 'warn' } })
await app.register(chunkedUpload, { prefix: '/uploads', directory, ...JSON.parse(options) })
await app.listen({ port: Number(port), host: '127.0.0.1' })
console.log(app.server.address().port)
