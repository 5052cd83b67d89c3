import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { until } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { download, startTus, TYPE, VERSION, watchedStorage } from '../../support/tus.js'

function digest (algorithm: string, bytes: string | Uint8Array): string {
  if (algorithm !== 'crc32') return createHash(algorithm).update(bytes).digest('base64')
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return sum.toString('base64')
}

const checksum = (algorithm: string, bytes: string | Uint8Array): { 'upload-checksum': string } => {
  return { 'upload-checksum': `${algorithm} ${digest(algorithm, bytes)}` }
}

t.test('K1, K4: each algorithm is checked on PATCH and on POST', async t => {
  const server = await startTus(t)
  const { ask, create, patch } = server
  for (const algorithm of ['sha1', 'md5', 'sha256', 'sha512', 'crc32']) {
    const path = await create(6)
    t.equal((await patch(path, 0, 'abc', checksum(algorithm, 'abc'))).status, 204, algorithm)
    t.equal((await patch(path, 3, 'def', checksum(algorithm, 'deF'))).status, 460, algorithm)
    t.equal((await patch(path, 3, 'def', checksum(algorithm, 'def'))).status, 204, algorithm)
    t.equal(await download(server, path), 'abcdef')
    const posted = await ask('POST', '/uploads', { ...TYPE, 'upload-length': 3, ...checksum(algorithm, 'abc') }, 'abc')
    t.match([posted.status, posted.headers['upload-offset']], [201, '3'])
    const wrong = await ask('POST', '/uploads', { ...TYPE, 'upload-length': 3, ...checksum(algorithm, 'abC') }, 'abc')
    t.match([wrong.status, wrong.headers['upload-offset']], [460, '0'])
    t.equal((await patch(String(wrong.headers.location), 0, 'abc')).status, 204, 'the upload is there')
  }
})

t.test('K4: a host can add an algorithm of its own, and take others away', async t => {
  const xor = {
    name: 'xor8',
    length: 1,
    create: () => {
      let sum = 0
      return {
        update: (bytes: Uint8Array) => { for (const byte of bytes) sum ^= byte },
        digest: () => Buffer.of(sum)
      }
    }
  }
  const { ask, create, patch } = await startTus(t, { tus: { checksumAlgorithms: ['sha1', xor] } })
  t.equal((await ask('OPTIONS', '/uploads')).headers['tus-checksum-algorithm'], 'sha1,xor8')
  const path = await create(3)
  t.equal((await patch(path, 0, 'abc', checksum('md5', 'abc'))).status, 400)
  t.equal((await patch(path, 0, 'abc', { 'upload-checksum': `xor8 ${Buffer.of(1).toString('base64')}` })).status, 460)
  t.equal((await patch(path, 0, 'abc', { 'upload-checksum': `xor8 ${Buffer.from('`').toString('base64')}` })).status, 204)
})

t.test('K2, K3: a mismatch is a 460 with the unchanged offset, and nothing of the chunk stays', async t => {
  const server = await startTus(t)
  const { create, patch, offset } = server
  const size = 3 * 1024 * 1024
  const good = Buffer.alloc(size, 'good')
  const path = await create(size + 2)
  await patch(path, 0, 'ab')
  const answer = await patch(path, 2, Buffer.alloc(size, 'evil'), checksum('sha1', good))
  t.match([answer.status, answer.headers['upload-offset']], [460, '2'])
  t.equal(await offset(path), 2)
  t.equal((await patch(path, 2, good, checksum('sha1', good))).status, 204)
  t.ok(await download(server, path) === `ab${good.toString()}`)
})

t.test('K2, K7: unknown algorithms and malformed values are a 400 before a byte is read', async t => {
  const { create, port, offset } = await startTus(t)
  const path = await create(3)
  const values = [
    'sha3 YWJj', 'SHA1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=', 'sha1', 'sha1 YWJjY', 'sha1 YWJj=', 'sha1 YW=j', 'sha1 ====',
    'sha1  qZk+NkcGgWq6PiVxeFDCbJzQ2J0=',
    'qZk+NkcGgWq6PiVxeFDCbJzQ2J0=', 'sha1 !Zk+NkcGgWq6PiVxeFDCbJzQ2J0=',
    'sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=, sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=', 'toString AAAA', ''
  ]
  for (const value of values) {
    const client = await RawHttp.connect(port)
    client.request('PATCH', path, { ...VERSION, ...TYPE, 'upload-offset': 0, 'content-length': 3, 'upload-checksum': value })
    t.equal((await client.reply()).status, 400, value)
    client.reset()
  }
  t.equal(await offset(path), 0)
})

t.test('K7: a well-formed value of the wrong length is a mismatch, in words too', async t => {
  const server = await startTus(t)
  const { ask, create, port, offset } = server
  const path = await create(3)
  for (const value of ['sha1 YWJj', 'sha1 deadbeef', `sha1 ${digest('sha256', 'abc')}`, `md5 ${digest('sha1', 'abc')}`, 'crc32 YQ==']) {
    const client = await RawHttp.connect(port)
    const headers = { ...VERSION, ...TYPE, 'upload-offset': 0, 'content-length': 3, 'upload-checksum': value }
    const { status, reason, headers: told } = await client.request('PATCH', path, headers, 'abc').reply()
    t.same([status, reason, told['upload-offset']], [460, 'Checksum Mismatch', '0'], value)
    client.reset()
  }
  t.equal(await offset(path), 0)
  const posted = await ask('POST', '/uploads', { ...TYPE, 'upload-length': 3, 'upload-checksum': 'sha1 YWJj' }, 'abc')
  t.match([posted.status, posted.headers['upload-offset']], [460, '0'])
})

t.test('K3: a body that is cut is dropped when a checksum was announced, whole when not', async t => {
  const watched = watchedStorage()
  const { create, port, offset } = await startTus(t, { storage: watched.storage })
  for (const [headers, kept] of [[{}, 3], [checksum('sha1', 'abcdef'), 0], [{ trailer: 'Upload-Checksum' }, 0]] as const) {
    const path = await create(6)
    const client = await RawHttp.connect(port)
    client.request('PATCH', path, { ...VERSION, ...TYPE, 'upload-offset': 0, 'transfer-encoding': 'chunked', ...headers }, '3\r\nabc\r\n')
    await until(() => watched.bytes === 3)
    watched.bytes = 0
    client.socket.end()
    await client.closed
    t.equal(await offset(path), kept, JSON.stringify(headers))
  }
})

const chunked = (body: string, trailers: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n${trailers}\r\n`

t.test('K6, K8: the checksum may come as a trailer after the body', async t => {
  const { create, port, offset } = await startTus(t)
  const right = `Upload-Checksum: sha1 ${digest('sha1', 'abc')}\r\n`
  const cases = [
    ['right', { trailer: 'Upload-Checksum' }, right, 204],
    ['of another algorithm', { trailer: 'upload-checksum, x' }, `upload-checksum: crc32 ${digest('crc32', 'abc')}\r\n`, 204],
    ['wrong', { trailer: 'Upload-Checksum' }, `Upload-Checksum: sha1 ${digest('sha1', 'abC')}\r\n`, 460],
    ['malformed', { trailer: 'Upload-Checksum' }, 'Upload-Checksum: sha1 YQ=\r\n', 400],
    ['of a wrong length', { trailer: 'Upload-Checksum' }, 'Upload-Checksum: sha1 YQ==\r\n', 460],
    ['of an unknown algorithm', { trailer: 'Upload-Checksum' }, 'Upload-Checksum: sha3 YQ==\r\n', 400],
    ['announced and not sent', { trailer: 'Upload-Checksum' }, '', 400],
    ['the same as the header', { trailer: 'Upload-Checksum', ...checksum('sha1', 'abc') }, right, 204],
    ['other than the header', { trailer: 'Upload-Checksum', ...checksum('md5', 'abc') }, right, 400],
    ['a wrong header, a right trailer', { trailer: 'Upload-Checksum', ...checksum('sha1', 'abC') }, right, 400],
    ['other trailers do not count', { trailer: 'X-Other' }, 'X-Other: 1\r\n', 204]
  ] as const
  for (const [name, headers, trailers, status] of cases) {
    const path = await create(3)
    const client = await RawHttp.connect(port)
    const sent = { ...VERSION, ...TYPE, 'upload-offset': 0, 'transfer-encoding': 'chunked', ...headers }
    client.request('PATCH', path, sent, chunked('abc', trailers))
    t.equal((await client.reply()).status, status, name)
    t.equal(await offset(path), status === 204 ? 3 : 0, name)
    client.reset()
  }
})

t.test('K9: an empty chunk is checked like any other', async t => {
  const { ask, create, patch } = await startTus(t)
  const path = await create(3)
  t.equal((await patch(path, 0, '', checksum('sha1', ''))).status, 204)
  t.equal((await patch(path, 0, '', checksum('sha1', 'x'))).status, 460)
  await patch(path, 0, 'abc')
  t.equal((await patch(path, 3, '', checksum('sha1', ''))).status, 204, 'complete')
  t.equal((await patch(path, 3, '', checksum('sha1', 'x'))).status, 460, 'complete')
  t.equal((await ask('POST', '/uploads', { ...TYPE, 'upload-length': 0, ...checksum('sha1', 'x') })).status, 460)
  t.equal((await ask('POST', '/uploads', { ...TYPE, 'upload-length': 0, ...checksum('sha1', '') })).status, 201)
})

t.test('a checksum of the whole file is kept by option', async t => {
  const { app, create, patch } = await startTus(t, { tus: { checksum: 'sha256' } })
  const path = await create(3)
  await patch(path, 0, 'abc')
  const upload = await app.chunkedUpload.get(path.split('/').at(-1) ?? '')
  t.same(upload?.checksum, { algorithm: 'sha256', value: createHash('sha256').update('abc').digest('hex') })
})

t.test('options that cannot be used are told when registering', async t => {
  const { tus } = await import('../../../src/index.js')
  const wrong = [
    { checksum: 'crc' }, { checksumAlgorithms: [{ name: 'X Y', length: 1, create: () => ({ update () {}, digest: () => Buffer.of(1) }) }] },
    { baseUrl: '/files' }, { baseUrl: 'ftp://x/' }, { concatenationWait: -1 }
  ]
  for (const options of wrong) t.throws(() => tus(options), { code: 'FST_CHUNKED_UPLOAD_INVALID_OPTION' }, JSON.stringify(options))
})
