import { closeSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { chunkedUpload } from '../../src/plugin.js'
import { runSync } from './child.js'

// Runs in a mount namespace of its own. argv: directory.
const [, , directory = ''] = process.argv
runSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory])

async function server (): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(chunkedUpload, { directory })
  return app
}

async function upload (app: FastifyInstance): Promise<{ readonly statusCode: number, readonly id: string }> {
  const headers = { 'content-range': 'bytes 0-499999/500000', 'content-type': 'application/octet-stream' }
  const reply = await app.inject({ method: 'PUT', url: '/', headers, payload: Buffer.alloc(500_000) })
  return { statusCode: reply.statusCode, id: reply.json().id }
}

const before = await server()
const { id } = await upload(before)
await before.close()
const filler = openSync(path.join(directory, 'filler'), 'w')
try {
  for (;;) writeSync(filler, Buffer.alloc(4096))
} catch {
  closeSync(filler)
}

const app = await server()
const full = (await upload(app)).statusCode
const removed = (await app.inject({ method: 'DELETE', url: `/${id}` })).statusCode
const again = (await upload(app)).statusCode
await app.close()
console.log(JSON.stringify({ full, removed, again }))
