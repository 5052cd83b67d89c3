import swagger from '@fastify/swagger'
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import t from 'tap'
import { z } from 'zod'
import { chunkedUpload } from '../../src/plugin.js'
import { contentRange } from '../../src/protocols/content-range/index.js'
import { resumableHttp } from '../../src/protocols/resumable-http/index.js'
import { tus } from '../../src/protocols/tus/index.js'
import { faults, hostOf, inMemory } from '../support/host.js'
import { tiny } from '../support/tiny-protocol.js'

const octets = 'application/octet-stream'
const both = [contentRange({ prefix: '/chunks' }), tiny()]

const compilers: ReadonlyArray<readonly [title: string, setUp: (app: FastifyInstance) => void]> = [
  ['Zod compilers', app => {
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    app.get('/own/:n', { schema: { params: z.object({ n: z.coerce.number() }) } }, async request => request.params)
  }],
  ['the TypeBox compiler', app => {
    app.setValidatorCompiler(TypeBoxValidatorCompiler)
    app.get('/own/:n', { schema: { params: { type: 'object' } } }, async () => ({ n: 5 }))
  }],
  ['a compiler that refuses everything', app => {
    app.setValidatorCompiler(() => () => ({ error: new Error('no') }))
    app.setSerializerCompiler(() => { throw new Error('no') })
    app.get('/own/:n', async () => ({ n: 5 }))
  }],
  ['a formatter of errors', app => {
    app.setSchemaErrorFormatter(() => new Error('formatted'))
    app.get('/own/:n', async () => ({ n: 5 }))
  }]
]
for (const [title, setUp] of compilers) {
  for (const order of ['before', 'after']) {
    t.test(`a host with ${title}, set ${order} ours, keeps it and serves ours`, async t => {
      const { app, log } = await hostOf(t, async app => {
        if (order === 'before') setUp(app)
        await app.register(chunkedUpload, inMemory({ protocols: both }))
        if (order === 'after') setUp(app)
      })
      t.strictSame((await app.inject('/own/5')).json(), { n: 5 })
      t.equal((await app.inject({ method: 'PUT', url: '/u/refuse?status=409' })).statusCode, 409, 'numbers in queries are coerced')
      t.equal((await app.inject({ method: 'PUT', url: '/u/refuse?status=x' })).statusCode, 400)
      const put = await app.inject({
        method: 'PUT', url: '/u/chunks/', headers: { 'content-type': octets, 'content-range': 'bytes 0-2/6' }, payload: Buffer.from('abc')
      })
      t.match(put.json(), { offset: 3, status: 1 })
      t.match((await app.inject('/u/chunks/')).json(), [])
      t.strictSame(faults(log), [])
    })
  }
}

t.test('the OpenAPI document of the host', async t => {
  const { app } = await hostOf(t, async app => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'host', version: '1' },
        components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } }
      }
    })
    await app.register(chunkedUpload, {
      ...inMemory({
        protocols: both,
        routeOptions: ({ protocol }) => ({ schema: { tags: [protocol], security: [{ bearer: [] }] } })
      })
    })
    app.get('/own', { schema: { summary: 'own' } }, async () => ({}))
  })
  await app.ready()
  const document: unknown = app.swagger()
  const paths = pathsOf(document)

  t.test('has each route once, below the prefix, and none that only answers 405 or OPTIONS', async t => {
    t.strictSame(Object.keys(paths).filter(path => path.startsWith('/u/chunks')).sort(), ['/u/chunks/', '/u/chunks/{id}/'])
    t.ok('/own' in paths)
    for (const methods of Object.values(paths)) {
      for (const method of Object.keys(methods)) t.ok(['get', 'head', 'put', 'post', 'patch', 'delete'].includes(method), method)
    }
  })

  t.test('shows bodies of both kinds, and what the host added', async t => {
    const put = paths['/u/chunks/']?.put
    t.match(put, { tags: ['contentRange'], security: [{ bearer: [] }] })
    t.match(put?.requestBody, {
      content: {
        'multipart/form-data': { schema: { type: 'object', properties: { file: { type: 'string', format: 'binary' } } } },
        [octets]: { schema: { type: 'string', format: 'binary' } }
      }
    })
    t.match(put?.responses, { 200: { content: { 'application/json': { schema: { type: 'object' } } } } })
    t.match(paths['/u/chunks/{id}/']?.put?.parameters, [{ name: 'id', in: 'path', required: true }])
  })

  t.test('is plain JSON in which every reference leads somewhere', async t => {
    const text = JSON.stringify(document)
    t.strictSame(JSON.parse(text), document)
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) t.match(text, `"${name}":{`)
    for (const methods of Object.values(paths)) {
      for (const operation of Object.values(methods)) t.ok(Object.keys(operation.responses ?? {}).length > 0)
    }
  })
})

for (const openapi of ['3.0.3', '3.1.0']) {
  t.test(`OpenAPI ${openapi} shows the headers of tus and resumableHttp, and calls no body required that may be missing`, async t => {
    const { app } = await hostOf(t, async app => {
      await app.register(swagger, { openapi: { openapi, info: { title: 'host', version: '1' } } })
      const few = tus({ name: 'few', prefix: '/few', disable: ['creation-defer-length', 'checksum', 'concatenation'] })
      await app.register(chunkedUpload, inMemory({ protocols: [tus({ prefix: '/tus' }), few, resumableHttp({ prefix: '/rfc' })] }))
    })
    await app.ready()
    const paths = pathsOf(app.swagger())
    const operation = (path: string, method: string): Operation => paths[path]?.[method] ?? {}
    const headers = ({ parameters = [] }: Operation): Record<string, boolean> => Object.fromEntries(parameters.flatMap(parameter => {
      const { in: where, name, required } = Object(parameter)
      return where === 'header' ? [[String(name), required === true]] : []
    }))
    const version = { 'Tus-Resumable': true }
    const interop = { 'Upload-Draft-Interop-Version': false }
    const representation = {
      'Upload-Complete': false, 'Upload-Length': false, 'Content-Digest': false, 'Repr-Digest': false, 'Want-Repr-Digest': false, ...interop
    }
    const cases: ReadonlyArray<readonly [method: string, path: string, headers: Record<string, boolean>]> = [
      ['post', '/u/tus/', {
        ...version,
        'Upload-Length': false,
        'Upload-Defer-Length': false,
        'Upload-Metadata': false,
        'Upload-Concat': false,
        'Upload-Checksum': false
      }],
      ['post', '/u/few/', { ...version, 'Upload-Length': false, 'Upload-Metadata': false }],
      ['head', '/u/tus/{id}', version],
      ['patch', '/u/tus/{id}', { ...version, 'Upload-Offset': true, 'Upload-Length': false, 'Upload-Checksum': false }],
      ['patch', '/u/few/{id}', { ...version, 'Upload-Offset': true }],
      ['delete', '/u/tus/{id}', version],
      ['options', '/u/tus/', {}],
      ['post', '/u/rfc/', { ...representation, 'Content-Disposition': false }],
      ['patch', '/u/rfc/{id}', { 'Upload-Offset': true, ...representation }],
      ['head', '/u/rfc/{id}', interop],
      ['delete', '/u/rfc/{id}', interop],
      ['options', '/u/rfc/', interop]
    ]
    for (const [method, path, expected] of cases) t.same(headers(operation(path, method)), expected, `${method} ${path}`)
    for (const path of ['/u/tus/', '/u/few/', '/u/rfc/']) t.equal(operation(path, 'post').requestBody, undefined, path)
    t.match(operation('/u/tus/{id}', 'patch').requestBody, { content: { 'application/offset+octet-stream': {} } })
    t.match(operation('/u/rfc/{id}', 'patch').requestBody, { content: { 'application/partial-upload': {} } })
  })
}

t.test('headers that no schema would let pass are refused in the words of the protocol, ignored as ever, or kept as they are', async t => {
  const { app } = await hostOf(t, async app => {
    await app.register(chunkedUpload, inMemory({ protocols: [tus({ prefix: '/tus' }), resumableHttp({ prefix: '/rfc' })] }))
  })
  const version = { 'tus-resumable': '1.0.0' }
  const tusCases: ReadonlyArray<readonly [headers: Record<string, string>, statusCode: number, words: RegExp]> = [
    [{ 'upload-length': '3' }, 412, /^VERSION: /],
    [{ ...version, 'upload-length': 'x' }, 400, /^HEADER: Upload-Length/],
    [{ ...version, 'upload-length': '-1' }, 400, /^HEADER: Upload-Length/],
    [{ ...version, 'upload-length': '' }, 400, /^HEADER: Upload-Length/],
    [{ ...version, 'upload-defer-length': '2' }, 400, /^HEADER: Upload-Defer-Length/],
    [{ ...version }, 400, /^HEADER: Upload-Length/],
    [{ ...version, 'upload-length': '007', 'upload-metadata': 'a NQ==', 'x-other': '1' }, 201, /^$/]
  ]
  for (const [headers, statusCode, words] of tusCases) {
    const answer = await app.inject({ method: 'POST', url: '/u/tus/', headers })
    t.equal(answer.statusCode, statusCode, JSON.stringify(headers))
    t.match(answer.body, words, JSON.stringify(headers))
  }
  for (const [headers, statusCode] of [
    [{ 'upload-complete': '?0', 'upload-length': 'x', 'upload-draft-interop-version': '99' }, 201],
    [{ 'upload-complete': '?0', 'upload-length': '-1' }, 400],
    [{ 'upload-complete': 'true' }, 400]
  ] as const) {
    const answer = await app.inject({ method: 'POST', url: '/u/rfc/', headers })
    t.equal(answer.statusCode, statusCode, JSON.stringify(headers))
  }
})

interface Operation {
  readonly tags?: readonly string[]
  readonly requestBody?: unknown
  readonly responses?: Readonly<Record<string, unknown>>
  readonly parameters?: readonly unknown[]
}

function pathsOf (document: unknown): Readonly<Record<string, Readonly<Record<string, Operation>>>> {
  if (typeof document !== 'object' || document === null || !('paths' in document)) throw new Error('no document')
  return document.paths as Record<string, Record<string, Operation>>
}
