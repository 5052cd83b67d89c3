import { fileURLToPath } from 'node:url'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import t from 'tap'
import { chunkedUpload, memoryStorage, type Protocol, resumableHttp, tus } from '../../../src/index.js'
import { protocolSuite, type ProtocolUnderTest } from '../../../src/testing/index.js'
import { run as runProgram } from '../../support/child.js'
import { nodeCommand } from '../../support/program.js'

type Contract = Omit<ProtocolUnderTest, 'origin' | 'headers' | 'dispose' | 'openApi'>

const UNKNOWN = 'f'.repeat(32)
const version = { 'tus-resumable': '1.0.0' }
const idOf = (location: unknown): string => String(location).replace(/^.*\//, '')

const tusContract: Contract = {
  unknown: UNKNOWN,
  create: async send => {
    return idOf((await send({ method: 'POST', path: '/u', headers: { ...version, 'upload-length': '10' } })).headers.location)
  },
  requests: id => [
    { method: 'HEAD', path: `/u/${id}`, headers: version },
    {
      method: 'PATCH',
      path: `/u/${id}`,
      headers: { ...version, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
      body: 'hello'
    },
    { method: 'GET', path: `/u/${id}` },
    { method: 'POST', path: '/u', headers: { ...version, 'upload-concat': `final;/u/${id}` } },
    { method: 'DELETE', path: `/u/${id}`, headers: version }
  ],
  refused: [
    { method: 'POST', path: '/u', headers: { 'upload-length': '10' } },
    { method: 'POST', path: '/u', headers: { ...version, 'content-type': 'text/plain' }, body: 'x'.repeat(100_000) },
    { method: 'PATCH', path: `/u/${UNKNOWN}`, headers: { ...version, 'upload-offset': 'x' }, body: 'x'.repeat(100_000) }
  ],
  notAllowed: [
    { method: 'PUT', path: '/u', headers: version, body: 'x'.repeat(100_000) },
    { method: 'POST', path: `/u/${UNKNOWN}`, headers: version, body: 'x' }
  ]
}

const append = { 'upload-offset': '0', 'upload-complete': '?0', 'content-type': 'application/partial-upload' }
const resumableContract: Contract = {
  unknown: UNKNOWN,
  create: async send => {
    return idOf((await send({ method: 'POST', path: '/u', headers: { 'upload-complete': '?0' } })).headers.location)
  },
  requests: id => [
    { method: 'HEAD', path: `/u/${id}` },
    { method: 'GET', path: `/u/${id}`, headers: { 'upload-draft-interop-version': '6' } },
    { method: 'PATCH', path: `/u/${id}`, headers: append, body: 'hello' },
    { method: 'DELETE', path: `/u/${id}` }
  ],
  refused: [
    { method: 'POST', path: '/u', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: 'x'.repeat(100_000) },
    { method: 'PATCH', path: `/u/${UNKNOWN}`, headers: { ...append, 'content-type': 'text/plain' }, body: 'x'.repeat(100_000) }
  ],
  notAllowed: [{ method: 'DELETE', path: '/u' }, { method: 'PUT', path: `/u/${UNKNOWN}`, body: 'x'.repeat(100_000) }]
}

const subjects: ReadonlyArray<readonly [make: () => Protocol, contract: Contract]> = [
  [() => tus(), tusContract], [() => resumableHttp(), resumableContract]
]

for (const [make, contract] of subjects) {
  protocolSuite((name, run) => { t.test(`${make().name}: ${name}`, run) }, async host => {
    const protocol = make()
    const app = Fastify()
    app.setErrorHandler(host.errorHandler)
    await app.register(swagger, { openapi: { openapi: '3.0.3', info: { title: 'uploads', version: '1' } } })
    await app.register(chunkedUpload, {
      prefix: '/u', storage: memoryStorage(), protocols: [protocol], user: host.user, downloads: true
    })
    return {
      ...contract,
      origin: await app.listen({ port: 0, host: '127.0.0.1' }),
      headers: protocol.headers ?? { expose: [], allow: [] },
      openApi: async () => app.swagger(),
      dispose: async () => { await app.close() }
    }
  })
}

t.test('the example of a protocol passes as its author would test it', async t => {
  const loader = `--import=${new URL('../../../scripts/run-typescript.mjs', import.meta.url).href}`
  const [command, ...args] = nodeCommand(fileURLToPath(new URL('../../support/own-protocol-suite.ts', import.meta.url)), [], { loader })
  const { stdout } = await runProgram(command, args)
  t.match(stdout, /6 tests ran/)
})
