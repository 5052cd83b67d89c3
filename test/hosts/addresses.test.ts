import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { contentRange, formAppend, memoryStorage, resumableHttp, tus } from '../../src/index.js'
import { AddressWalk, everyProtocol } from '../support/address-walk.js'
import { request } from '../support/deadline.js'
import { nginxBefore } from '../support/nginx.js'
import { RawHttp } from '../support/raw-http.js'
import { type PluginOptions, type TestServer, startServer } from '../support/server.js'

interface Setting {
  /** Path of the registration as clients see it. */
  readonly path: string
  /** Public host, where it is another one than the server's. */
  readonly host?: string
  readonly options?: PluginOptions
  readonly server?: FastifyServerOptions
  /** What stands before the server; gives its origin, undefined where it cannot be had. */
  readonly before?: (t: Test, port: number) => Promise<string | undefined>
}

const files = 'https://files.example'
const without = (prefix: string, by = '') => ({ url = '/' }: { url?: string | undefined }): string => {
  return url.startsWith(prefix) ? by + url.slice(prefix.length) : url
}

const settings: Readonly<Record<string, Setting>> = {
  'nothing before the server': { path: '/uploads' },
  'rewriteUrl that takes a prefix away': { path: '/api/uploads', server: { rewriteUrl: without('/api') } },
  'rewriteUrl with another path': { path: '/v1/my/files', server: { rewriteUrl: without('/v1/my/files', '/uploads') } },
  'a prefix with a parameter': { path: '/acme/up', options: { prefix: '/:tenant/up' } },
  'a proxy that takes a prefix away': {
    path: '/api/uploads', host: files, options: { baseUrl: `${files}/api/uploads/` }, before: strippingProxy
  },
  'such a proxy before rewriteUrl': {
    path: '/api/x',
    host: files,
    options: { baseUrl: `${files}/api/x` },
    server: { rewriteUrl: without('/x', '/uploads') },
    before: strippingProxy
  },
  'such a proxy, and a prefix with a parameter': {
    path: '/api/acme/up', host: files, options: { prefix: '/:tenant/up', baseUrl: `${files}/api/:tenant/up` }, before: strippingProxy
  },
  'nginx that takes a prefix away': {
    path: '/api/uploads',
    host: files,
    options: { baseUrl: `${files}/api/uploads` },
    before: async (t, port) => await nginxBefore(t, port, ['rewrite ^/api/(.*)$ /$1 break;', 'proxy_http_version 1.0;'])
  }
}

for (const [says, setting] of Object.entries(settings)) {
  for (const relativeLocation of [true, false]) {
    t.test(`${says}: clients can call every address, ${relativeLocation ? 'paths' : 'absolute'} in Location`, async t => {
      const server = await serve(t, setting, relativeLocation)
      const entry = setting.before === undefined ? server.url : await setting.before(t, server.port)
      if (entry === undefined) return
      const walk = new AddressWalk((setting.host ?? entry) + setting.path, entry)
      await walk.contentRange()
      const final = await walk.tus()
      await walk.resumable()
      // The host's own routes are below what the proxy or rewriteUrl takes away, too.
      if (setting.path === '/api/uploads') await walk.resumable('/api/photos')
      await walk.formAppend()
      await walk.chunkTasks()
      await walk.rawAppend()
      t.equal((await walk.call('GET', final)).text, '0123456789')
      const told = await walk.callTold()
      for (const mount of ['range', 'tus', 'resumable', 'form']) {
        t.ok(told.some(address => address.includes(`${setting.path}/${mount}/`)), mount)
      }
    })
  }
}

async function serve (t: Test, { options, server }: Setting, relativeLocation: boolean): Promise<TestServer> {
  return await startServer(t, {
    storage: memoryStorage(), downloads: true, protocols: everyProtocol(relativeLocation), ...options
  }, {
    ...server !== undefined && { server },
    after: app => { app.post('/photos', { config: { resumable: true } }, async () => 'thanks') }
  })
}

/** A proxy that takes `/api` away and says nothing of it. */
async function strippingProxy (t: Test, port: number): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    const { method, url = '', headers } = incoming
    const forwarded = request({ host: '127.0.0.1', port, method, path: url.replace(/^\/api/, ''), headers }, reply => {
      reply.pipe(outgoing.writeHead(reply.statusCode ?? 502, reply.headers))
    })
    forwarded.on('error', () => { outgoing.destroy() })
    incoming.pipe(forwarded)
  })
  await new Promise<void>(resolve => { proxy.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

t.test('the baseUrl of a protocol goes before that of the plugin', async t => {
  const baseUrl = `${files}/own`
  for (const [protocol, walkIt] of [
    [contentRange({ prefix: '/range', baseUrl }), async (walk: AddressWalk) => { await walk.contentRange() }],
    [tus({ prefix: '/tus', baseUrl }), async (walk: AddressWalk) => { await walk.tus() }],
    [resumableHttp({ prefix: '/resumable', baseUrl }), async (walk: AddressWalk) => { await walk.resumable() }],
    [formAppend({ prefix: '/form', baseUrl }), async (walk: AddressWalk) => { await walk.formAppend() }]
  ] as const) {
    const server = await startServer(t, {
      storage: memoryStorage(), downloads: true, prefix: '/up', baseUrl: `${files}/wrong`, protocols: [protocol]
    }, { server: { rewriteUrl: without('/own', `/up${protocol.prefix}`) } })
    const walk = new AddressWalk(`${files}/up`, server.url)
    await walkIt(walk)
    const told = await walk.callTold()
    t.ok(told.length > 0)
    t.strictSame(told.filter(address => !new URL(address, files).href.startsWith(`${baseUrl}/`)), [], protocol.name)
  }
})

t.test('a Host that is none makes no address: the path alone is told', async t => {
  const server = await startServer(t, {
    storage: memoryStorage(), downloads: true, protocols: everyProtocol(false)
  })
  const body = '0123456789'
  const requests = [
    ['PUT /uploads/range/', 'Content-Range: bytes 0-9/10\r\nContent-Type: text/x', /"url":"(.*?)"/],
    ['POST /uploads/resumable/', 'Content-Type: text/x', /location: (.*?)\r/i],
    ['POST /uploads/tus/', 'Tus-Resumable: 1.0.0\r\nUpload-Length: 10\r\nContent-Type: application/offset+octet-stream', /location: (.*?)\r/i],
    ['GET /uploads/form/videos/', '', /"file":"(.*?)"/]
  ] as const
  const walk = new AddressWalk(`${server.url}/uploads`, server.url)
  await walk.formAppend()
  for (const host of ['a.example/x?<b>', 'a.example#', 'user@a.example', 'a b', '', undefined]) {
    for (const [line, fields, told] of requests) {
      const head = [`${line} HTTP/1.${host === undefined ? 0 : 1}`, 'Connection: close']
      if (host !== undefined) head.push(`Host: ${host}`)
      if (fields !== '') head.push(fields, `Content-Length: ${body.length}`)
      const connection = await RawHttp.connect(server.port)
      connection.send(`${head.join('\r\n')}\r\n\r\n${fields === '' ? '' : body}`)
      await connection.closed
      const address = told.exec(connection.received)?.[1]
      t.match(address, /^\/uploads\/[\w/-]+$/, `${line}, Host: ${String(host)}`)
    }
  }
})
