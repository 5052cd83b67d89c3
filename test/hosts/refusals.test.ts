import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import {
  chunkTasks, contentRange, formAppend, memoryMetadata, memoryStorage, rawAppend, resumableHttp, tus
} from '../../src/index.js'
import { chunkedUpload } from '../../src/plugin.js'
import { hostOf } from '../support/host.js'

const protocols = [
  contentRange({ prefix: '/content-range' }), formAppend({ prefix: '/form' }), chunkTasks({ prefix: '/tasks' }),
  rawAppend({ prefix: '/raw' }), tus({ prefix: '/tus' }), resumableHttp({ prefix: '/resumable' })
]
const ROUTES = [
  ['PUT', '/u/content-range/'], ['GET', '/u/content-range/'], ['POST', '/u/form/upload/'], ['GET', '/u/form/videos/'],
  ['POST', '/u/tasks/create'], ['GET', '/u/tasks/tasks'], ['DELETE', '/u/tasks/task/x'], ['GET', '/u/tasks/file/x'],
  ['POST', '/u/raw/create_video/'], ['GET', '/u/raw/get_video/1/'], ['POST', '/u/tus/'], ['POST', '/u/resumable/']
] as const

/** What no schema foresees. */
const ODD = {
  error: { code: 1, message: 'no' }, message: ['no'], statusCode: 'four', code: 12, status: 'bad', detail: { a: 1 }, more: null
}

type Refuse = (reply: FastifyReply) => unknown
const thrown = (more: object): Refuse => () => { throw Object.assign(new Error('not today'), { statusCode: 403 }, more) }
const refusals: ReadonlyArray<readonly [title: string, refuse: Refuse]> = [
  ['an error', thrown({})],
  ['an error with a code', thrown({ code: 'E_NO' })],
  ['an error whose code is a number', thrown({ code: 42 })],
  ['an error with members that contracts have too', thrown({ detail: { a: 1 }, errors: [1], status: 'x', meta: 4 })],
  ['an error of the server', thrown({ statusCode: 503 })],
  ['JSON of its own', reply => reply.code(403).send(ODD)],
  ['JSON of its own, as trouble of the server', reply => reply.code(503).send(ODD)],
  ['a text', reply => reply.code(403).send('no')]
]

for (const host of ['a host', 'a host with an error handler']) {
  for (const [title, refuse] of refusals) {
    t.test(`invariant 13: ${title} from a hook of ${host} reaches the client as it does elsewhere`, async t => {
      const { app } = await hostOf(t, async app => {
        if (host !== 'a host') app.setErrorHandler(async (_error, _request, reply) => await reply.code(409).send(ODD))
        app.addHook('preHandler', async (_request: FastifyRequest, reply) => refuse(reply))
        for (const method of ['PUT', 'GET', 'POST', 'DELETE'] as const) app.route({ method, url: '/own', handler: async () => 'own' })
        await app.register(chunkedUpload, {
          prefix: '/u', storage: memoryStorage(), metadata: memoryMetadata(), downloads: true, protocols
        })
      })
      for (const [method, url] of ROUTES) {
        const [own, ours] = [await app.inject({ method, url: '/own' }), await app.inject({ method, url })]
        t.equal(ours.statusCode, own.statusCode, url)
        t.equal(ours.headers['content-type'], own.headers['content-type'], url)
        t.equal(ours.body, own.body, `${method} ${url}`)
      }
    })
  }
}
