import { runInNewContext } from 'node:vm'
import t from 'tap'
import { StorageTrouble, UploadBusy } from '../../../src/errors.js'
import { declareRoutes, type RouteSetting } from '../../../src/http/routing/routes.js'
import { chunkedUpload } from '../../../src/plugin.js'
import type { Protocol } from '../../../src/protocols/contract.js'
import { type Host, hostOf as hostWith, inMemory, plainHost } from '../../support/host.js'

interface Fault {
  readonly thrown: unknown
}

/** A protocol of three routes; the second one throws what the test says. */
function protocolOf (setting: RouteSetting, { thrown }: Fault): Protocol {
  return {
    name: 'two',
    prefix: '',
    register (scope) {
      declareRoutes(scope, [
        { name: 'collection', method: ['GET', 'HEAD'], url: '/', handler: async () => ({ all: [] }) },
        { name: 'fault', method: 'PUT', url: '/fault/', handler: async () => { throw thrown } },
        { name: 'exact', method: 'PUT', url: '/exact', handler: async () => ({}) }
      ], setting)
    }
  }
}

async function hostOf (
  t: Parameters<typeof plainHost>[0], setting: RouteSetting = {}, fault: Fault = { thrown: new Error('unexpected') }
): Promise<Host> {
  return await plainHost(t, { protocols: [protocolOf(setting, fault)] })
}

t.test('a method that a URL does not have gets 405 and hears which it has', async t => {
  const { app } = await hostOf(t)
  for (const url of ['/u/', '/u']) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      const reply = await app.inject({ method, url })
      t.equal(reply.statusCode, 405)
      t.equal(reply.headers.allow, 'GET, HEAD, OPTIONS')
      t.strictSame(reply.json(), { detail: `Method "${method}" not allowed.` })
    }
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 200)
    const options = await app.inject({ method: 'OPTIONS', url })
    t.equal(options.statusCode, 204)
    t.equal(options.headers.allow, 'GET, HEAD, OPTIONS')
  }
})

t.test('a protocol may word the 405 and order the Allow header itself', async t => {
  const { app } = await hostOf(t, {
    methodNotAllowed: (request, reply) => reply.type('text/plain').send(`no ${request.method}`),
    allow: url => url === '/' ? 'HEAD, GET' : undefined
  })
  const reply = await app.inject({ method: 'PATCH', url: '/u' })
  t.equal(reply.body, 'no PATCH')
  t.equal(reply.headers.allow, 'HEAD, GET')
  t.equal((await app.inject({ method: 'GET', url: '/u/fault' })).headers.allow, 'PUT, OPTIONS')
})

t.test('a URL that is declared without a final slash has none', async t => {
  const { app } = await hostOf(t)
  t.equal((await app.inject({ method: 'PUT', url: '/u/exact' })).statusCode, 200)
  t.equal((await app.inject({ method: 'PUT', url: '/u/exact/' })).statusCode, 404)
})

t.test('a worded error keeps its headers, and is in the log as it deserves', async t => {
  const word: RouteSetting = {
    wordError: error => ({ statusCode: 503, headers: { 'retry-after': '7' }, body: { worded: error.code ?? error.message } })
  }
  const cases = [
    [new StorageTrouble({ cause: new Error('the disk is away') }), 'FST_CHUNKED_UPLOAD_STORAGE', 50],
    [new UploadBusy(), 'FST_CHUNKED_UPLOAD_BUSY', 30]
  ] as const
  for (const [fault, code, level] of cases) {
    const { app, log } = await hostOf(t, word, { thrown: fault })
    const reply = await app.inject({ method: 'PUT', url: '/u/fault' })
    t.equal(reply.statusCode, 503)
    t.equal(reply.headers['retry-after'], '7')
    t.strictSame(reply.json(), { worded: code })
    t.match(log.find(({ err }) => err !== undefined), { level, err: { code } })
  }
})

t.test('what is thrown and is no error is a fault of the server all the same', async t => {
  for (const thrown of ['a text', undefined, { statusCode: 200 }]) {
    const { app } = await hostOf(t, { wordError: () => ({ statusCode: 400, body: {} }) }, { thrown })
    t.equal((await app.inject({ method: 'PUT', url: '/u/fault' })).statusCode, 500)
  }
})

t.test('a plain object that the host throws, as rate limits do, is answered as the host would answer it elsewhere', async t => {
  const thrown = { statusCode: 429, error: 'Too Many Requests', message: 'later' }
  const { app } = await hostOf(t, { wordError: () => ({ statusCode: 400, body: {} }) }, { thrown })
  app.get('/own', async () => { throw thrown })
  const [own, ours] = [await app.inject('/own'), await app.inject({ method: 'PUT', url: '/u/fault' })]
  t.equal(ours.statusCode, 429)
  t.strictSame(ours.json(), own.json())

  const handled: unknown[] = []
  const { app: other } = await hostWith(t, async app => {
    app.setErrorHandler((error, _request, reply) => {
      handled.push(error)
      return reply.code(418).send({ own: true })
    })
    await app.register(chunkedUpload, inMemory({ protocols: [protocolOf({}, { thrown })] }))
  })
  t.equal((await other.inject({ method: 'PUT', url: '/u/fault' })).statusCode, 418)
  t.strictSame(handled, [thrown])
})

t.test('an error of another realm is one', async t => {
  const thrown: unknown = runInNewContext('new Error("far")')
  const { app } = await hostOf(t, { wordError: error => ({ statusCode: 400, body: error.message }) }, { thrown })
  const reply = await app.inject({ method: 'PUT', url: '/u/fault' })
  t.equal(reply.statusCode, 400)
  t.equal(reply.body, 'far')
})
