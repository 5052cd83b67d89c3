import cors from '@fastify/cors'
import type { FastifyInstance, FastifyReply, InjectOptions } from 'fastify'
import t from 'tap'
import { chunkedUpload } from '../../src/plugin.js'
import { allowedHeaders, allowedMethods, exposedHeaders } from '../../src/protocols/cors.js'
import type { HostRouteOptions, RouteName } from '../../src/protocols/contract.js'
import { contentRange } from '../../src/protocols/content-range/index.js'
import { until } from '../support/engine.js'
import { faults, hostOf, inMemory, plainHost } from '../support/host.js'
import { RawHttp } from '../support/raw-http.js'
import { tiny } from '../support/tiny-protocol.js'

const octets = 'application/octet-stream'
const origin = 'https://app.example'

t.test('a host with @fastify/cors and the exported lists', async t => {
  const { app } = await hostOf(t, async app => {
    await app.register(cors, {
      origin,
      exposedHeaders: [...exposedHeaders],
      allowedHeaders: [...allowedHeaders],
      methods: [...allowedMethods],
      strictPreflight: false,
      preflightContinue: true
    })
    await app.register(chunkedUpload, inMemory())
  })

  t.test('answers preflights for each method and header that a client uses', async t => {
    for (const method of allowedMethods) {
      const reply = await app.inject({
        method: 'OPTIONS',
        url: '/u/any',
        headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-range' }
      })
      t.equal(reply.statusCode, 204)
      t.match(reply.headers['access-control-allow-methods'], method)
      t.match(reply.headers['access-control-allow-headers'], 'Content-Range')
    }
  })

  t.test('has its headers on every reply', async t => {
    for (const [method, url, status] of [
      ['POST', '/u', 200], ['GET', '/u/none', 404], ['PUT', '/u/refuse', 418], ['PUT', '/u', 405], ['PUT', '/u/refuse?read=x', 400],
      ['GET', '/elsewhere', 404]
    ] as const) {
      const payload = method === 'GET' ? {} : { payload: 'abc' }
      const reply = await app.inject({ method, url, headers: { origin, 'content-type': octets }, ...payload })
      t.equal(reply.statusCode, status)
      t.equal(reply.headers['access-control-allow-origin'], origin)
      t.match(reply.headers['access-control-expose-headers'], 'Upload-Offset')
    }
  })

  t.test('lets OPTIONS that are no preflights through', async t => {
    const reply = await app.inject({ method: 'OPTIONS', url: '/u' })
    t.equal(reply.statusCode, 204)
    t.equal(reply.headers.allow, 'POST, GET, OPTIONS')
  })
})

t.test('the exported lists have no header twice', async t => {
  for (const list of [exposedHeaders, allowedHeaders, allowedMethods]) {
    t.equal(new Set(list.map(name => name.toLowerCase())).size, list.length)
  }
  t.ok(allowedHeaders.includes('X-Request-ID'), 'tus-js-client sends it with addRequestId')
})

t.test('a host with an error handler of its own gets what the contract does not word, and only that', async t => {
  const handled: string[] = []
  const { app } = await hostOf(t, async app => {
    app.setErrorHandler((error, _request, reply) => {
      handled.push(error instanceof Error && 'code' in error ? String(error.code) : 'none')
      reply.code(499).send({ own: true })
    })
    await app.register(chunkedUpload, inMemory({ protocols: [tiny(), contentRange({ prefix: '/c' })] }))
  })
  t.strictSame((await app.inject('/u/none')).json(), { tiny: 'nothing here' })
  t.equal((await app.inject('/u/c/none')).statusCode, 404)
  t.equal((await app.inject({ method: 'PUT', url: '/u/c/', headers: { 'content-range': 'bytes 5-1/9' }, payload: 'x' })).statusCode, 400)
  t.equal((await app.inject({ method: 'PUT', url: '/u' })).statusCode, 405)
  t.strictSame(handled, [])
  t.strictSame((await app.inject({ method: 'PUT', url: '/u/refuse' })).json(), { own: true })
  t.strictSame((await app.inject({ method: 'PUT', url: '/u/refuse?status=x' })).json(), { own: true })
  t.strictSame(handled, ['REFUSED', 'FST_ERR_VALIDATION'])
})

t.test('an error handler that fails itself leaves the connection usable', async t => {
  const { listen } = await hostOf(t, async app => {
    app.setErrorHandler(() => { throw new Error('worse') })
    await app.register(chunkedUpload, inMemory())
  })
  const http = await RawHttp.connect((await listen()).port)
  t.teardown(() => { http.socket.destroy() })
  http.request('PUT', '/u/refuse?read=some', { 'content-type': octets, 'content-length': 200_000 }, Buffer.alloc(200_000))
  t.ok((await http.reply()).status >= 400)
  t.equal((await http.request('GET', '/u').reply()).status, 200)
})

t.test('a host that asks for a user in a surrounding scope keeps all others out, with bodies of any size', async t => {
  const { listen, log } = await hostOf(t, async app => {
    app.decorateRequest('user', null)
    await app.register(async app => {
      app.addHook('onRequest', async (request, reply) => {
        const id = request.headers['x-user']
        if (id === undefined) return await reply.code(401).send({ own: 'who are you?' })
        Reflect.set(request, 'user', { id })
      })
      await app.register(chunkedUpload, inMemory())
    }, { prefix: '/private' })
  })
  const http = await RawHttp.connect((await listen()).port)
  t.teardown(() => { http.socket.destroy() })
  const body = { 'content-type': octets, 'content-length': 5_000_000 }
  for (let round = 0; round < 2; round++) {
    const refused = await http.request('PATCH', '/private/u/any', body, Buffer.alloc(5_000_000)).reply()
    t.equal(refused.status, 401)
    t.match(refused.body, 'who are you?')
  }
  const made = await http.request('POST', '/private/u', { 'x-user': 'ann' }).reply()
  t.match(JSON.parse(made.body), { user: 'ann' })
  const { id } = JSON.parse(made.body)
  t.equal((await http.request('GET', `/private/u/${id}`, { 'x-user': 'ann' }).reply()).status, 200)
  t.equal((await http.request('GET', `/private/u/${id}`, { 'x-user': 'bob' }).reply()).status, 404, 'invariant 10')
  t.strictSame(faults(log), [])
})

t.test('options of the host for the routes', async t => {
  const ran = async (app: FastifyInstance, request: InjectOptions | string): Promise<unknown> => {
    const reply = await app.inject(request)
    return reply.headers['x-ran']
  }
  const note = (what: string): Pick<HostRouteOptions, 'preHandler'> => ({
    preHandler: async (_request, reply) => { reply.header('x-ran', `${String(reply.getHeader('x-ran') ?? '')}${what}`) }
  })

  t.test('all apply: config, onRequest, preHandler, alone or in lists', async t => {
    const seen: unknown[] = []
    const { app } = await hostOf(t, async app => {
      // As @fastify/rate-limit and its like find their settings.
      app.addHook('onRoute', ({ config = {}, method, url }) => { if ('limit' in config) seen.push(`${String(method)} ${url}`) })
      await app.register(chunkedUpload, inMemory({
        routeOptions: {
          config: Object.fromEntries([['limit', 5]]),
          onRequest: ['a', 'ab'].map(ran => async (_request: unknown, reply: FastifyReply) => { reply.header('x-ran', ran) }),
          preHandler: [async (_request, reply) => { reply.header('x-ran', `${String(reply.getHeader('x-ran'))}c`) }]
        }
      }))
    })
    t.equal(await ran(app, { method: 'POST', url: '/u' }), 'abc')
    t.equal(await ran(app, '/u/none'), 'abc', 'on errors of the contract too')
    for (const route of ['POST /u/', 'POST /u', 'PATCH /u/:id/', 'PATCH /u/:id']) t.ok(seen.includes(route), route)
    t.notOk(seen.some(route => String(route).startsWith('OPTIONS')))
  })

  t.test('may depend on the name of the route', async t => {
    const asked: RouteName[] = []
    const { app } = await plainHost(t, {
      routeOptions: route => {
        asked.push(route)
        return route.name === 'create' ? note('create') : undefined
      }
    })
    t.equal(await ran(app, { method: 'POST', url: '/u' }), 'create')
    t.equal(await ran(app, '/u'), undefined)
    t.match(asked, [{ protocol: 'tiny', name: 'create', method: 'POST', url: '/' }])
    t.strictSame(asked.map(({ name }) => name), ['create', 'list', 'append', 'read', 'remove', 'form', 'parts', 'body', 'refuse'])
  })

  t.test('may refuse before a body is read', async t => {
    const { listen } = await plainHost(t, {
      routeOptions: { preHandler: async () => { throw Object.assign(new Error('slow down'), { statusCode: 429 }) } }
    })
    const http = await RawHttp.connect((await listen()).port)
    t.teardown(() => { http.socket.destroy() })
    for (let round = 0; round < 2; round++) {
      http.request('PUT', '/u/body', { 'content-type': octets, 'content-length': 3_000_000 }, Buffer.alloc(3_000_000))
      t.equal((await http.reply()).status, 429)
    }
  })
})

t.test('a host that gives handlers a time cuts the slow body, and the server goes on', async t => {
  const { app, listen } = await plainHost(t, {}, { handlerTimeout: 2000 })
  const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
  const http = await RawHttp.connect((await listen()).port)
  http.request('PATCH', `/u/${id}`, { 'content-type': octets, 'content-length': 100_000 }, 'x'.repeat(1000))
  t.equal((await http.reply()).status, 503)
  http.reset()
  await until(async () => (await app.inject(`/u/${id}`)).json().offset === 1000)
  t.equal((await app.inject({ method: 'DELETE', url: `/u/${id}` })).statusCode, 204)
})

t.test('a fault in a function of the host is in the log with its cause', async t => {
  const { app, log } = await plainHost(t, { user: () => { throw new Error('directory service is away') } })
  const reply = await app.inject({ method: 'POST', url: '/u' })
  t.equal(reply.statusCode, 500)
  t.ok(log.some(({ err }) => err?.message === 'directory service is away'))
})
