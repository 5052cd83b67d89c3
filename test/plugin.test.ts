import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t from 'tap'
import type { HostUploads } from '../src/host-uploads.js'
import type { ChunkedUploadOptions } from '../src/options.js'
import { memoryLocks } from '../src/locks/memory.js'
import { memoryMetadata } from '../src/metadata/memory.js'
import { chunkedUpload } from '../src/plugin.js'
import { contentRange } from '../src/protocols/content-range/index.js'
import { diskStorage } from '../src/storage/disk/index.js'
import { encryptedStorage } from '../src/storage/encrypted/index.js'
import { memoryStorage } from '../src/storage/memory.js'
import { run } from './support/child.js'
import { childEnv } from './support/child-env.js'
import { connectHttp2, once } from './support/deadline.js'
import { changedMetadata, changedStorage, until } from './support/engine.js'
import { faults, hostOf, inMemory, plainHost } from './support/host.js'
import { tiny } from './support/tiny-protocol.js'

t.test('a registration', async t => {
  const prefixes: ReadonlyArray<readonly [title: string, options: Partial<ChunkedUploadOptions> & { prefix?: string }, url: string]> = [
    ['without a prefix', { prefix: '' }, '/'],
    ['with a prefix', { prefix: '/u' }, '/u/'],
    ['with a prefix that ends with a slash', { prefix: '/u/' }, '/u/'],
    ['with a prefix without a slash before it', { prefix: 'u' }, '/u/'],
    ['with a prefix of two steps', { prefix: '/u/v' }, '/u/v/'],
    ['with a parameter in the prefix', { prefix: '/:tenant/u' }, '/acme/u/'],
    ['with a prefix of the protocol besides', { prefix: '/u', protocols: [tiny({ prefix: '/t' })] }, '/u/t/'],
    ['with a prefix of the protocol alone', { prefix: '', protocols: [tiny({ prefix: 't/' })] }, '/t/']
  ]
  for (const [title, options, url] of prefixes) {
    t.test(`${title} answers at ${url}, with and without the final slash`, async t => {
      const { app } = await hostOf(t, app => app.register(chunkedUpload, inMemory(options)))
      t.equal((await app.inject({ method: 'POST', url })).statusCode, 200)
      if (url !== '/') t.equal((await app.inject({ method: 'POST', url: url.slice(0, -1) })).statusCode, 200)
      const { id } = (await app.inject({ method: 'POST', url })).json()
      t.equal((await app.inject(`${url}${id}`)).statusCode, 200)
      t.equal((await app.inject(`${url}${id}/`)).statusCode, 200)
      t.equal((await app.inject('/elsewhere/there/is/nothing')).statusCode, 404)
    })
  }

  t.test('inside a plugin with a prefix lies below both', async t => {
    const { app } = await hostOf(t, app => app.register(async app => {
      await app.register(chunkedUpload, inMemory({}))
      t.ok(app.chunkedUpload)
    }, { prefix: '/api' }))
    t.equal((await app.inject({ method: 'POST', url: '/api/u' })).statusCode, 200)
    t.equal((await app.inject({ method: 'POST', url: '/u' })).statusCode, 404)
    t.notOk(app.hasDecorator('chunkedUpload'), 'and is not seen outside')
  })

  t.test('lets the host take slashes as they come', async t => {
    for (const routerOptions of [{ ignoreTrailingSlash: true }, { ignoreDuplicateSlashes: true, caseSensitive: false }]) {
      const { app } = await plainHost(t, {}, { routerOptions })
      for (const url of ['/u', '/u/']) t.equal((await app.inject({ method: 'POST', url })).statusCode, 200)
    }
  })

  t.test('serves several protocols, each below its own prefix', async t => {
    const { app } = await plainHost(t, { protocols: [tiny({ name: 'a', prefix: '/a' }), tiny({ name: 'b', prefix: '/b' })] })
    const { id } = (await app.inject({ method: 'POST', url: '/u/a' })).json()
    t.equal((await app.inject(`/u/a/${id}`)).statusCode, 200)
    t.equal((await app.inject(`/u/b/${id}`)).statusCode, 404, 'and what one made is unknown to the other')
  })

  t.test('may be made several times in one scope, with names', async t => {
    const { app } = await hostOf(t, async app => {
      await app.register(chunkedUpload, inMemory())
      await app.register(chunkedUpload, { ...inMemory({ name: 'avatars' }), prefix: '/avatars' })
    })
    const { id } = (await app.inject({ method: 'POST', url: '/avatars' })).json()
    t.equal((await app.inject(`/u/${id}`)).statusCode, 404)
    const avatars: HostUploads = Reflect.get(app, 'avatars')
    t.equal((await avatars.get(id))?.id, id)
    t.equal(await app.chunkedUpload.get(id), undefined)
  })

  t.test('is refused when its name is taken in the scope', async t => {
    for (const name of [undefined, 'server', 'get', 'log', 'register', 'toString', '__proto__', 'then', 'constructor']) {
      const app = Fastify()
      t.teardown(() => app.close())
      if (name === undefined) await app.register(chunkedUpload, inMemory())
      await t.rejects(
        (async () => { await app.register(chunkedUpload, { ...inMemory(name === undefined ? {} : { name }), prefix: '/v' }) })(),
        { code: 'FST_CHUNKED_UPLOAD_NAME_TAKEN', message: `"${name ?? 'chunkedUpload'}"` }
      )
    }
  })

  t.test('may shadow the one of a surrounding scope', async t => {
    const { app } = await hostOf(t, async app => {
      await app.register(chunkedUpload, inMemory())
      await app.register(async app => { await app.register(chunkedUpload, inMemory()) }, { prefix: '/inner' })
    })
    const { id } = (await app.inject({ method: 'POST', url: '/inner/u' })).json()
    t.equal(await app.chunkedUpload.get(id), undefined)
  })

  t.test('with an option that cannot be used says which, before anything is made', async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects((async () => { await app.register(chunkedUpload, inMemory({ maxBytes: -1 })) })(), {
      code: 'FST_CHUNKED_UPLOAD_INVALID_OPTION', message: '"maxBytes"'
    })
    t.notOk(app.hasDecorator('chunkedUpload'))
  })

  t.test('gives its routes the log level it was given', async t => {
    const { app, log } = await hostOf(t, app => app.register(chunkedUpload, { ...inMemory(), logLevel: 'error' }))
    await app.inject('/u')
    t.strictSame(log, [])
  })
})

t.test('defaults: anonymous, restricted, no limits, one day, md5', async t => {
  let seen: unknown
  const peek = { name: 'peek', prefix: '', register (_scope: unknown, uploads: { settings: unknown }) { seen = uploads.settings } }
  await hostOf(t, app => app.register(chunkedUpload, inMemory({ protocols: [peek] })))
  t.match(seen, {
    expirationDelta: 86_400_000,
    checksum: 'md5',
    fieldNames: ['file', 'my_file'],
    userRestricted: true,
    requireUser: false,
    downloads: false
  })
})

t.test('the user of a request', async t => {
  const app = async (t: Parameters<typeof hostOf>[0], options: ChunkedUploadOptions, user: unknown) => {
    const host = await hostOf(t, async app => {
      app.decorateRequest('user', null)
      app.addHook('onRequest', async request => { Reflect.set(request, 'user', user) })
      await app.register(chunkedUpload, inMemory(options))
    })
    return host.app
  }
  const cases: ReadonlyArray<readonly [title: string, user: unknown, id: unknown]> = [
    ['is the id of what an authentication plugin left on it', { id: 7 }, 7],
    ['may have a text for an id', { id: 'ann' }, 'ann'],
    ['may have a bigint for an id', { id: 7n }, '7'],
    ['is its subject where it has no id', { sub: 'ann' }, 'ann'],
    ['is its subject where its id is null', { id: null, sub: 'ann' }, 'ann'],
    ['may be the id itself', 'ann', 'ann'],
    ['is anonymous when there is none', null, null]
  ]
  for (const [title, user, wanted] of cases) {
    t.test(title, async t => {
      const host = await app(t, {}, user)
      t.equal((await host.inject({ method: 'POST', url: '/u' })).json().user, wanted)
    })
  }

  t.test('is what the option says', async t => {
    const host = await app(t, { user: async (request: FastifyRequest) => request.headers['x-user']?.toString() }, { id: 7 })
    t.equal((await host.inject({ method: 'POST', url: '/u', headers: { 'x-user': 'bob' } })).json().user, 'bob')
    t.equal((await host.inject({ method: 'POST', url: '/u' })).json().user, null)
  })

  t.test('that is there but no id never passes for an anonymous one', async t => {
    for (const user of [{ id: { $oid: 'x' } }, { id: NaN }, { id: true }, { id: '' }, { sub: '' }, '', true, []]) {
      const host = await app(t, {}, user)
      const reply = await host.inject({ method: 'POST', url: '/u' })
      t.equal(reply.statusCode, 500)
      t.match(reply.json().message, 'option "user" must return')
    }
  })
})

t.test('hooks', async t => {
  t.test('may change what is stored, with the request at hand', async t => {
    const { app } = await plainHost(t, {
      onCreate: (draft, { request, reply }) => {
        reply.header('x-made', 'yes')
        return { ...draft, filename: String(request.headers['x-name']) }
      }
    })
    const reply = await app.inject({ method: 'POST', url: '/u', headers: { 'x-name': 'other.bin' } })
    t.equal(reply.json().filename, 'other.bin')
    t.equal(reply.headers['x-made'], 'yes')
  })

  t.test('may refuse, in the host\'s words', async t => {
    const { app } = await plainHost(t, { onCreate: () => { throw Object.assign(new Error('not today'), { statusCode: 403 }) } })
    const reply = await app.inject({ method: 'POST', url: '/u' })
    t.equal(reply.statusCode, 403)
    t.equal(reply.json().message, 'not today')
  })

  t.test('of completion and removal get the upload and the request', async t => {
    const told: unknown[] = []
    const { app } = await plainHost(t, {
      onComplete: (upload, { request }) => { told.push(['complete', upload.id, request.method]) },
      onRemove: async (upload, { request }) => { told.push(['remove', upload.id, request.method]) }
    })
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    await app.inject({ method: 'PATCH', url: `/u/${id}?complete`, payload: Buffer.from('abc'), headers: { 'content-type': 'a/b' } })
    t.equal((await app.inject({ method: 'DELETE', url: `/u/${id}` })).statusCode, 204)
    t.strictSame(told, [['complete', id, 'PATCH'], ['remove', id, 'DELETE']])
  })

  const types: ReadonlyArray<readonly [allowed: NonNullable<ChunkedUploadOptions['allowedTypes']>, type: string, status: number]> = [
    [['image/*'], 'image/png', 200],
    [['image/*'], 'IMAGE/PNG; q=1', 200],
    [['image/*'], 'imagex/png', 415],
    [['text/plain', 'a/b'], 'a/b', 200],
    [['text/plain', 'a/b'], 'a/bc', 415],
    [['*/*'], 'a/b', 200],
    [[], 'a/b', 415],
    [async type => type === 'a/b', 'a/b', 200],
    [async type => type === 'a/b', 'a/c', 415]
  ]
  for (const [allowedTypes, type, status] of types) {
    t.test(`allowedTypes ${String(allowedTypes)} answers ${status} to ${type}`, async t => {
      const { app } = await plainHost(t, { allowedTypes })
      t.equal((await app.inject({ method: 'POST', url: '/u', headers: { 'content-type': type } })).statusCode, status)
    })
  }

  t.test('maxBytes may depend on the request', async t => {
    const { app } = await plainHost(t, { maxBytes: async request => request.headers['x-vip'] === undefined ? 2 : null })
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    const append = { method: 'PATCH', url: `/u/${id}`, payload: Buffer.from('abc') } as const
    t.equal((await app.inject({ ...append, headers: { 'content-type': 'a/b' } })).statusCode, 413)
    t.equal((await app.inject({ ...append, headers: { 'content-type': 'a/b', 'x-vip': '1' } })).statusCode, 200)
  })

  t.test('what maxBytes returns never lifts the limit by mistake', async t => {
    for (const [limit, status] of [[NaN, 500], ['100', 500], [-1, 500], [2.5, 413], [undefined, 200], [Infinity, 200]] as const) {
      const maxBytes = (): number => JSON.parse('{}').limit ?? limit
      const { app } = await plainHost(t, { maxBytes })
      const headers = { 'content-type': 'a/b' }
      const made = await app.inject({ method: 'POST', url: '/u' })
      const reply = made.statusCode === 500
        ? made
        : await app.inject({ method: 'PATCH', url: `/u/${String(made.json().id)}`, payload: Buffer.from('abc'), headers })
      t.equal(reply.statusCode, status, String(limit))
    }
  })
})

t.test('the sweeper', async t => {
  t.test('removes expired uploads by itself and tells the host', async t => {
    const told: string[] = []
    const { app, log } = await plainHost(t, {
      sweepInterval: 5,
      expirationDelta: 1,
      onExpire: upload => {
        told.push(upload.id)
        throw new Error('a listener that fails')
      }
    })
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    await until(() => told.length > 0)
    t.strictSame(told, [id])
    t.equal(await app.chunkedUpload.get(id), undefined)
    await until(() => log.some(({ msg }) => msg === 'onExpire failed'))
  })

  t.test('logs what goes wrong and tries again', async t => {
    const storage = memoryStorage()
    const metadata = memoryMetadata()
    const failures = { storage: 2, metadata: 1 }
    const { app, log } = await plainHost(t, {
      sweepInterval: 5,
      expirationDelta: 1,
      storage: changedStorage(storage, {
        remove: async upload => {
          if (failures.storage-- > 0) throw new Error('storage is away')
          await storage.remove(upload)
        }
      }),
      metadata: changedMetadata(metadata, {
        list: async query => {
          if (query.expiredBefore !== undefined && failures.metadata-- > 0) throw new Error('metadata is away')
          return await metadata.list(query)
        }
      })
    })
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    await until(async () => await app.chunkedUpload.get(id) === undefined)
    t.ok(log.some(({ msg }) => msg === 'expired uploads could not be removed'))
    t.ok(log.some(({ msg }) => msg === 'an expired upload could not be removed'))
  })

  t.test('can be switched off', async t => {
    const { app } = await plainHost(t, { sweepInterval: false, expirationDelta: 1 })
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    const expiresAt = (await app.chunkedUpload.get(id))?.expiresAt ?? Infinity
    await until(() => Date.now() > expiresAt)
    t.ok(await app.chunkedUpload.get(id))
    t.strictSame(await app.chunkedUpload.deleteExpired(), { files: 1, records: 1 })
  })
})

t.test('adapters that the host passed in are the host\'s to close', async t => {
  const closed: string[] = []
  const closing = (name: string) => ({ close: async () => { closed.push(name) } })
  const { app } = await plainHost(t, {
    storage: { ...memoryStorage(), ...closing('storage') },
    metadata: { ...memoryMetadata(), ...closing('metadata') },
    locks: { ...memoryLocks(), ...closing('locks') }
  })
  await app.ready()
  await app.close()
  t.strictSame(closed, [])
})

t.test('a process that only registers the plugin ends by itself', async t => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const script = `
    import Fastify from 'fastify'
    import { chunkedUpload } from './src/plugin.ts'
    const app = Fastify()
    await app.register(chunkedUpload, { directory: ${JSON.stringify(t.testdir())} })
    await app.ready()
    const headers = { 'content-range': 'bytes 0-2/9', 'content-type': 'application/octet-stream' }
    const reply = await app.inject({ method: 'PUT', url: '/', headers, payload: Buffer.from('abc') })
    console.log('ready', reply.statusCode)
  `
  const arguments_ = ['--import=./scripts/run-typescript.mjs', '--input-type=module', '-e', script]
  const { stdout } = await run(process.execPath, arguments_, {
    cwd: root, timeout: 60_000, env: childEnv
  })
  t.match(stdout, /^ready 20[01]\n$/)
})

t.test('an HTTP/2 host serves the same routes', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(chunkedUpload, inMemory())
  t.type(app.chunkedUpload.get, 'function')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const session = connectHttp2(url)
  t.teardown(() => { session.destroy() })
  const ask = async (head: Record<string, string>, body = '') => {
    const stream = session.request(head)
    stream.end(body)
    const [headers] = await once(stream, 'response')
    let text = ''
    for await (const piece of stream) text += piece
    return { status: headers[':status'], body: text }
  }
  const made = await ask({ ':method': 'POST', ':path': '/u' })
  t.equal(made.status, 200)
  const { id } = JSON.parse(made.body)
  const appended = await ask({ ':method': 'PATCH', ':path': `/u/${id}`, 'content-type': 'a/b' }, 'abc')
  t.match(JSON.parse(appended.body), { offset: 3 })
})

t.test('on HTTP/2 a body needs neither length nor type', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(chunkedUpload, { storage: memoryStorage(), protocols: [contentRange()] })
  const session = connectHttp2(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => { session.destroy() })
  const stream = session.request({ ':method': 'PUT', ':path': '/', 'content-range': 'bytes 0-4/10' })
  stream.write('he')
  stream.end('llo')
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 200)
  let text = ''
  for await (const piece of stream) text += piece
  t.match(JSON.parse(text), { offset: 5 })
})

t.test('a storage that outlives the process has its records and locks on disk', async t => {
  const [directory, records] = [t.testdir(), t.testdir({ records: {} })]
  const storage = diskStorage({ directory })
  const open = async (options: object): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(chunkedUpload, options)
    return app
  }
  const headers = { 'content-range': 'bytes 0-2/6', 'content-type': 'a/b' }
  for (const [kept, status] of [[storage, 200], [encryptedStorage(storage), 200], [memoryStorage(), 404]] as const) {
    const options = { storage: kept, ...kept.volatile !== true && { directory: records } }
    const first = await open(options)
    const { id } = (await first.inject({ method: 'PUT', url: '/', headers, payload: Buffer.from('abc') })).json()
    await first.close()
    const second = await open(options)
    t.equal((await second.inject(`/${id}`)).statusCode, status)
    await second.close()
  }
})

t.test('onCreate may give back a part of the draft, and nothing that is none', async t => {
  const answers: unknown[] = [{ filename: 'better.txt' }, undefined, null, {}, 'x', 5]
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(chunkedUpload, { storage: memoryStorage(), onCreate: () => answers.shift() as object })
  const headers = { 'content-range': 'bytes 0-2/6', 'content-type': 'a/b', 'content-disposition': 'attachment; filename=a.txt' }
  const put = async () => await app.inject({ method: 'PUT', url: '/', headers, payload: Buffer.from('abc') })
  t.match((await put()).json(), { filename: 'better.txt', offset: 3 })
  for (let turn = 0; turn < 3; turn++) t.match((await put()).json(), { filename: 'a.txt' })
  for (let turn = 0; turn < 2; turn++) {
    const reply = await put()
    t.equal(reply.statusCode, 500)
    t.match(reply.body, 'onCreate')
  }
})

t.test('a location that can never work is no trouble that passes', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(chunkedUpload, { directory: t.testdir(), checksum: false, location: () => '../../out' })
  const headers = { 'content-range': 'bytes 0-2/3', 'content-type': 'a/b' }
  const { id } = (await app.inject({ method: 'PUT', url: '/', headers, payload: Buffer.from('abc') })).json()
  const reply = await app.inject({ method: 'POST', url: `/${id}` })
  t.equal(reply.statusCode, 500)
  t.notOk('retry-after' in reply.headers)
  t.notMatch(reply.body, '..')
})

t.test('a whole life leaves no fault in the log', async t => {
  const { app, log } = await plainHost(t)
  const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
  t.equal((await app.inject('/u/unknown')).statusCode, 404)
  t.equal((await app.inject(`/u/${'x'.repeat(99)}`)).statusCode, 400)
  t.equal((await app.inject({ method: 'PROPFIND', url: '/u' })).statusCode, 404)
  await app.inject({ method: 'DELETE', url: `/u/${id}` })
  t.strictSame(faults(log), [])
})
