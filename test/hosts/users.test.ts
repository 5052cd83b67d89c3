import { createRequire } from 'node:module'
import Fastify, { type FastifyInstance, type FastifyPluginCallback } from 'fastify'
import t, { type Test } from 'tap'
import {
  chunkTasks, chunkedUpload, type ChunkedUploadOptions, contentRange, formAppend, rawAppend, resumableHttp, tus
} from '../../src/index.js'
import { type Answer, chunkForm, field, form, json, startServer, type TestServer } from '../support/server.js'

// Without its types, which would give `request.user` one of its own in all tests.
const jwt: FastifyPluginCallback<{ readonly secret: string }> = createRequire(import.meta.url)('@fastify/jwt')

interface JwtApp {
  readonly jwt: { sign (payload: object): string }
}

interface JwtRequest {
  jwtVerify (): Promise<unknown>
}

const protocols = [
  contentRange({ prefix: '/ranges' }), tus({ prefix: '/tus' }), resumableHttp({ prefix: '/resumable' }), formAppend({ prefix: '/forms' }),
  chunkTasks({ prefix: '/tasks' }), rawAppend({ prefix: '/raw' })
]

interface Writer {
  readonly protocol: string
  /** Makes an upload that lacks bytes, and gives what names it. */
  readonly begin: (send: Send) => Promise<string>
  /** Sends bytes to it. */
  readonly write: (send: Send, name: string) => Promise<Answer>
  /** Reads, completes and removes it, as far as the protocol has routes for that. */
  readonly others: ReadonlyArray<(send: Send, name: string) => Promise<Answer>>
}

type Send = TestServer['send']

const tusHeaders = { 'tus-resumable': '1.0.0' }
const partial = { 'content-type': 'application/partial-upload', 'upload-complete': '?0', 'upload-draft-interop-version': '6' }

const writers: readonly Writer[] = [
  {
    protocol: 'contentRange',
    begin: async send => field(await send('PUT', '/uploads/ranges/', chunkForm('alice', 'bytes 0-4/10')), 'id'),
    write: async (send, id) => await send('PUT', `/uploads/ranges/${id}`, chunkForm('bobby', 'bytes 5-9/10')),
    others: [
      async (send, id) => await send('GET', `/uploads/ranges/${id}`),
      async (send, id) => await send('GET', `/uploads/ranges/${id}/file`),
      async (send, id) => await send('POST', `/uploads/ranges/${id}`, json({ md5: 'e'.repeat(32) })),
      async (send, id) => await send('DELETE', `/uploads/ranges/${id}`)
    ]
  },
  {
    protocol: 'tus',
    begin: async send => locationIn(await send('POST', '/uploads/tus/', { headers: { ...tusHeaders, 'upload-length': '10' } })),
    write: async (send, path) => await send('PATCH', path, {
      headers: { ...tusHeaders, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }, body: 'bobby'
    }),
    others: [
      async (send, path) => await send('HEAD', path, { headers: tusHeaders }),
      async (send, path) => await send('GET', path),
      async (send, path) => await send('DELETE', path, { headers: tusHeaders })
    ]
  },
  {
    protocol: 'resumableHttp',
    begin: async send => locationIn(await send('POST', '/uploads/resumable/', { headers: partial, body: 'alice' })),
    write: async (send, path) => await send('PATCH', path, { headers: { ...partial, 'upload-offset': '5' }, body: 'bobby' }),
    others: [
      async (send, path) => await send('HEAD', path, { headers: { 'upload-draft-interop-version': '6' } }),
      async (send, path) => await send('GET', path, { headers: { 'upload-draft-interop-version': '6' } }),
      async (send, path) => await send('DELETE', path, { headers: { 'upload-draft-interop-version': '6' } })
    ]
  },
  {
    protocol: 'formAppend',
    begin: async send => field(await send('POST', '/uploads/forms/upload/', form([
      { name: 'file', filename: 'a', content: 'alice' }
    ])), 'upload_id'),
    write: async (send, id) => await send('POST', '/uploads/forms/upload/', form([
      { name: 'upload_id', content: id }, { name: 'file', filename: 'a', content: 'bobby' }
    ])),
    others: [
      async (send, id) => await send('GET', `/uploads/forms/videos/${id}`),
      async (send, id) => await send('POST', '/uploads/forms/upload/complete/', json({ upload_id: id, filename: 'a' }))
    ]
  },
  {
    protocol: 'chunkTasks',
    begin: async send => field(await send('POST', '/uploads/tasks/create', json({
      hash: '', file_name: 'a', file_size: 10, content_type: 'text/plain'
    })), 'task_id'),
    write: async (send, task) => await send('POST', `/uploads/tasks/chunk/${task}/0`, form([
      { name: 'chunk', filename: 'blob', content: 'bobbybobby' }
    ])),
    others: [
      async (send, task) => await send('GET', `/uploads/tasks/tasks/${task}/details`),
      async (send, task) => await send('GET', `/uploads/tasks/progress/${task}`),
      async (send, task) => await send('GET', `/uploads/tasks/resume/${task}`),
      async (send, task) => await send('POST', `/uploads/tasks/complete/${task}`),
      async (send, task) => await send('DELETE', `/uploads/tasks/task/${task}`)
    ]
  },
  {
    protocol: 'rawAppend',
    begin: async send => field(await send('POST', '/uploads/raw/create_video/'), 'video_id'),
    write: async (send, id) => await send('POST', `/uploads/raw/append_video/${id}/`, {
      headers: { 'content-type': 'application/octet-stream' }, body: 'bobby'
    }),
    others: [async (send, id) => await send('GET', `/uploads/raw/get_video/${id}`)]
  }
]

function locationIn ({ headers: { location }, status, text }: Answer): string {
  if (location === undefined) throw new Error(`no location: ${status} ${text}`)
  return location.replace(/^https?:\/\/[^/]+/, '')
}

t.test('@fastify/jwt: the subject of a token is the user, over every protocol', async t => {
  const server = await startServer(t, { protocols, downloads: true }, {
    before: async app => {
      await app.register(jwt, { secret: 'a secret of tests' })
      app.addHook('onRequest', async (request: unknown) => { await (request as JwtRequest).jwtVerify() })
    }
  })
  const { jwt: tokens } = server.app as unknown as JwtApp
  const as = (sub: string): Send => {
    const authorization = `Bearer ${tokens.sign({ sub })}`
    return async (method, path, { headers, body } = {}) => await server.send(method, path, {
      headers: { ...headers, authorization }, ...body !== undefined && { body }
    })
  }
  for (const { protocol, begin, write, others } of writers) {
    await t.test(protocol, async t => {
      const name = await begin(as('alice'))
      t.equal((await write(as('bob'), name)).status, 404, 'Bob finds no upload of Alice')
      for (const [at, other] of others.entries()) {
        t.equal((await other(as('bob'), name)).status, 404, `nor does his other request ${at}`)
      }
      t.ok((await write(as('alice'), name)).status < 300, 'Alice does')
      for (const [at, other] of others.entries()) {
        t.not((await other(as('alice'), name)).status, 405, `Alice's request ${at} has a route`)
        t.equal((await other(as('bob'), name)).status, 404, `Bob's request ${at} finds nothing afterwards, too`)
      }
    })
  }
  for await (const { user } of server.app.chunkedUpload.list()) t.equal(user, 'alice')
})

t.test('a user whose id cannot be known is refused in the words of each protocol, and the log says once what to set', async t => {
  const cases: ReadonlyArray<readonly [title: string, options: ChunkedUploadOptions, user: object, words: RegExp]> = [
    ['request.user has neither id nor sub', {}, { name: 'alice' }, /neither `id` nor `sub`\. Set `user`/],
    ['user gives an empty text', { user: () => '' }, { id: 7 }, /option "user" must return a string that is not empty/]
  ]
  for (const [title, options, user, words] of cases) {
    await t.test(title, async t => {
      const { app, log } = await hostOf(t, { protocols, ...options }, user)
      const requests = [
        ['PUT', '/ranges/', 'detail'], ['POST', '/forms/upload/', 'error'], ['POST', '/tasks/create', 'message'],
        ['POST', '/raw/create_video/', 'error'], ['POST', '/resumable/', 'title']
      ] as const
      for (const [method, url, member] of requests) {
        const { headers, body } = url.startsWith('/forms')
          ? form([{ name: 'file', filename: 'a', content: 'a' }])
          : json({ hash: '', file_name: 'a', file_size: 1, content_type: 'a/b' })
        const reply = await app.inject({ method, url, headers: { 'content-type': String(headers['content-type']) }, payload: body })
        t.equal(reply.statusCode, 500, url)
        t.match(reply.json()[member], words, reply.payload)
      }
      const reply = await app.inject({ method: 'POST', url: '/tus/', headers: { ...tusHeaders, 'upload-length': '1' } })
      t.equal(reply.statusCode, 500)
      t.match(reply.payload, words)
      t.equal(log.filter(line => line.includes('requests are refused: their user cannot be determined')).length, 1)
      for await (const upload of app.chunkedUpload.list()) t.fail(`there is ${upload.id}`)
    })
  }
})

async function hostOf (
  t: Test, options: ChunkedUploadOptions, user: object
): Promise<{ readonly app: FastifyInstance, readonly log: readonly string[] }> {
  const log: string[] = []
  const app = Fastify({ logger: { level: 'error', stream: { write: (line: string) => { log.push(line) } } } })
  t.teardown(() => app.close())
  app.decorateRequest('user', null)
  app.addHook('onRequest', async request => { Object.assign(request, { user }) })
  await app.register(chunkedUpload, { directory: t.testdir(), ...options })
  return { app, log }
}
