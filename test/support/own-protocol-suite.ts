// The suite for protocols on the example, with the package's own names and without a test runner: ends with 1 where a test fails.
import Fastify from 'fastify'
import { chunkedUpload, memoryStorage } from 'fastify-chunked-upload'
import { protocolSuite, type ProtocolUnderTest } from 'fastify-chunked-upload/testing'
import { namedPut } from '../../examples/own-protocol.js'

const contract: Omit<ProtocolUnderTest, 'origin' | 'headers' | 'dispose' | 'openApi'> = {
  unknown: 'nothing.bin',
  create: async send => {
    await send({ method: 'PUT', path: '/u/film.bin', headers: { 'content-range': 'bytes 0-4/10' }, body: 'hello' })
    return 'film.bin'
  },
  requests: id => [
    { method: 'HEAD', path: `/u/${id}` },
    { method: 'GET', path: `/u/${id}` },
    { method: 'DELETE', path: `/u/${id}` }
  ],
  refused: [{ method: 'PUT', path: '/u/film.bin', headers: { 'content-range': 'bytes 9-1/10' }, body: 'x'.repeat(100_000) }],
  notAllowed: [{ method: 'PATCH', path: '/u/film.bin', body: 'x'.repeat(100_000) }]
}

const tests: Array<readonly [name: string, run: () => Promise<void>]> = []
protocolSuite((name, run) => { tests.push([name, run]) }, async host => {
  const protocol = namedPut()
  const app = Fastify()
  app.setErrorHandler(host.errorHandler)
  await app.register(chunkedUpload, { prefix: '/u', storage: memoryStorage(), protocols: [protocol], user: host.user, downloads: true })
  return {
    ...contract,
    origin: await app.listen({ port: 0, host: '127.0.0.1' }),
    headers: protocol.headers ?? { expose: [], allow: [] },
    dispose: async () => { await app.close() }
  }
})

for (const [name, run] of tests) {
  await run().catch((error: unknown) => {
    process.exitCode = 1
    process.stderr.write(`${name}: ${String(error)}\n`)
  })
}
process.stdout.write(`${tests.length} tests ran\n`)
