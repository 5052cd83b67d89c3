import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { memoryMetadata, memoryStorage, type Upload } from '../../../src/index.js'
import { fetch } from '../../support/deadline.js'
import { changedStorage, gate, until } from '../../support/engine.js'
import { usersByHeader } from '../../support/server.js'
import { download, startTus, TYPE, type TusServer } from '../../support/tus.js'

const PARTIAL = { 'upload-concat': 'partial' }
const idOf = (path: string): string => path.split('/').at(-1) ?? ''

async function partial (server: TusServer, content: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const path = await server.create(content.length, { ...PARTIAL, ...headers })
  await server.patch(path, 0, content, headers)
  return path
}

const final = (...urls: readonly string[]): { 'upload-concat': string } => ({ 'upload-concat': `final;${urls.join(' ')}` })

t.test('N1, N2, N4: partial uploads become one file in the order given, with repeats and reuse, by absolute and relative URLs', async t => {
  const server = await startTus(t)
  const { ask, url } = server
  const [a, b] = [await partial(server, 'abc'), await partial(server, 'de')]
  const cases = [
    [final(a, b), 'abcde'], [final(b, a, b), 'deabcde'], [final(`${url}${a}`, b), 'abcde'], [final(idOf(a)), 'abc'],
    [final(url.replace('http:', 'https:') + a), 'abc'], [{ 'upload-concat': `final; ${a}  ${b} ` }, 'abcde'], [final(a), 'abc']
  ] as const
  for (const [headers, content] of cases) {
    const { status, headers: { location, 'upload-offset': offset } } = await ask('POST', '/uploads', headers)
    t.match([status, offset], [201, String(content.length)])
    t.equal(await download(server, String(location)), content)
    const { headers: told } = await ask('HEAD', String(location))
    const raw = headers['upload-concat'].trim()
    t.match(told, { 'upload-concat': raw, 'upload-offset': String(content.length), 'upload-length': String(content.length) })
  }
  t.equal((await ask('HEAD', a)).headers['upload-concat'], 'partial')
  t.equal((await ask('POST', '/uploads', { ...final(a, b), 'upload-length': 5 })).status, 400)
  t.equal((await ask('POST', '/uploads', { ...final(a, b), 'upload-defer-length': 1 })).status, 400)
  for (const raw of ['final', 'final;', 'final; ', 'Partial', 'partial;x', '']) {
    t.equal((await ask('POST', '/uploads', { 'upload-concat': raw, 'upload-length': 3 })).status, 400, raw)
  }
})

t.test('N3, W5: a final upload takes no bytes', async t => {
  const server = await startTus(t)
  const { ask, patch } = server
  const [a, open] = [await partial(server, 'abc'), await server.create(2, PARTIAL)]
  t.equal((await ask('POST', '/uploads', { ...final(a), ...TYPE }, 'x')).status, 403)
  t.equal((await ask('POST', '/uploads', { ...final(a), ...TYPE, 'transfer-encoding': 'chunked' }, 'x')).status, 403)
  for (const parts of [[a], [a, open]]) {
    const path = String((await ask('POST', '/uploads', final(...parts))).headers.location)
    for (const offset of [0, 3]) t.equal((await patch(path, offset, 'x')).status, 403)
    t.equal((await patch(path, 3, '')).status, 403)
  }
})

t.test('N5, N13: the metadata of parts stay theirs, and the host is asked and told of the final upload only', async t => {
  const completed: string[] = []
  const { app, ...server } = await startTus(t, {
    onComplete: upload => { completed.push(`hook ${upload.filename}`) }, allowedTypes: ['image/*']
  })
  app.chunkedUpload.events.on('complete', upload => { completed.push(`event ${upload.filename}`) })
  const a = await partial({ app, ...server }, 'abc', { 'upload-metadata': 'filename YQ==' })
  t.same(completed, [])
  t.equal((await server.ask('POST', '/uploads', final(a))).status, 415, 'the type is of the file, not of its parts')
  const { headers } = await server.ask('POST', '/uploads', { ...final(a), 'upload-metadata': 'filename Yg==,filetype aW1hZ2UvcG5n' })
  t.equal((await server.ask('HEAD', String(headers.location))).headers['upload-metadata'], 'filename Yg==,filetype aW1hZ2UvcG5n')
  t.same(completed, ['hook b', 'event b'])
})

t.test('N4, N6, N12: a final upload of unfinished parts completes with the last of them', async t => {
  const completed: string[] = []
  const server = await startTus(t, { onComplete: upload => { completed.push(upload.id) } })
  const { ask, create, patch } = server
  const [a, b, c] = [await create(3, PARTIAL), await partial(server, 'de'), await create(null, PARTIAL)]
  const first = await ask('POST', '/uploads', final(a, b))
  const second = await ask('POST', '/uploads', final(c, a, c))
  t.match([first.status, second.status], [201, 201])
  const [one, two] = [String(first.headers.location), String(second.headers.location)]
  for (const [path, length] of [[one, '5'], [two, undefined]] as const) {
    const { status, headers } = await ask('HEAD', path)
    t.match([status, headers['upload-length']], [200, length])
    t.notOk('upload-offset' in headers)
    t.notOk('upload-defer-length' in headers)
    t.match(headers, { 'upload-concat': /^final;/, 'upload-expires': /GMT/ })
  }
  await patch(a, 0, 'ab')
  await patch(c, 0, 'x')
  t.same(completed, [])
  await patch(a, 2, 'c')
  await until(async () => await server.offset(one) === 5)
  t.equal(await download(server, one), 'abcde')
  t.same(completed, [idOf(one)])
  t.equal((await ask('GET', two)).status, 403)
  await patch(c, 1, '', { 'upload-length': '1' })
  await until(async () => await server.offset(two) === 5)
  t.equal(await download(server, two), 'xabcx')
  t.same(completed, [idOf(one), idOf(two)])
})

t.test('N6: unfinished parts are a 400 where the extension is not announced', async t => {
  const server = await startTus(t, { tus: { disable: ['concatenation-unfinished'] } })
  const [a, b] = [await partial(server, 'abc'), await server.create(3, PARTIAL)]
  t.equal((await server.ask('POST', '/uploads', final(a, b))).status, 400)
  t.equal((await server.ask('POST', '/uploads', final(a))).status, 201)
})

t.test('N7: parts stay, or go with the final upload by option, unless another one waits for them', async t => {
  for (const deletePartials of [false, true]) {
    const server = await startTus(t, { tus: { deletePartials } }, { directory: t.testdir() })
    const { ask, create, patch } = server
    const [a, b] = [await partial(server, 'abc'), await create(2, PARTIAL)]
    const path = String((await ask('POST', '/uploads', final(a, a, b))).headers.location)
    const other = await create(1, PARTIAL)
    const waiting = String((await ask('POST', '/uploads', final(b, other))).headers.location)
    await patch(b, 0, 'de')
    await until(async () => await server.offset(path) === 8)
    t.equal(await download(server, path), 'abcabcde')
    await until(async () => (await ask('HEAD', a)).status === (deletePartials ? 404 : 200))
    t.equal((await ask('HEAD', b)).status, 200)
    await patch(other, 0, 'f')
    await until(async () => await server.offset(waiting) === 3)
    t.equal(await download(server, waiting), 'def')
  }
})

t.test('N8: a sum beyond the maximum is a 413, known at once or later', async t => {
  const server = await startTus(t, { maxBytes: 5 })
  const { ask, create, patch } = server
  const [a, b] = [await partial(server, 'abc'), await create(null, PARTIAL)]
  t.equal((await ask('POST', '/uploads', final(a, a))).status, 413)
  t.equal((await ask('POST', '/uploads', final(a, a, b))).status, 413)
  const path = String((await ask('POST', '/uploads', final(a, b))).headers.location)
  await patch(b, 0, 'def', { 'upload-length': '3' })
  await until(async () => (await ask('HEAD', path)).status === 413)
})

t.test('N9, N10, N11: only partial uploads of this mount and this user can be parts', async t => {
  const server = await startTus(t, {}, { before: usersByHeader })
  const { ask, port } = server
  const mine = await partial(server, 'abc', { 'x-user': 'me' })
  const whole = await server.create(3)
  const made = String((await ask('POST', '/uploads', { ...final(mine), 'x-user': 'me' })).headers.location)
  const cases: Array<readonly [string, number]> = [
    [`http://other.example${mine}`, 400], [`//other.example${mine}`, 400], [`http://127.0.0.1:${port + 1}${mine}`, 400],
    [`http://user@other.example${mine}`, 400], [`ftp://127.0.0.1:${port}${mine}`, 400], [mine.replace('uploads', 'other'), 400],
    [`${mine}/more`, 400], [`${mine}?x=1`, 400], [`${mine}#x`, 400], ['/uploads/..%2f..%2fetc', 400], ['/uploads/../etc/passwd', 400],
    ['http://[', 400], ['/uploads/', 400], ['/uploads/unknown', 404], [`/uploads/${'0'.repeat(32)}`, 404], [whole, 400], [made, 400]
  ]
  for (const [url, status] of cases) t.equal((await ask('POST', '/uploads', { ...final(url), 'x-user': 'me' })).status, status, url)
  t.equal((await ask('POST', '/uploads', { ...final(mine), 'x-user': 'you' })).status, 404, 'invariant 10: as an unknown one')
  t.equal((await ask('POST', '/uploads', { ...final(mine), 'x-user': 'me' })).status, 201)
})

t.test('N9: behind a proxy that renames the mount, parts go by its public URL', async t => {
  const server = await startTus(t, { tus: { baseUrl: 'https://cdn.example/api/up' } })
  const { ask, patch } = server
  const path = await server.create(3, PARTIAL)
  t.match(path, /^\/api\/up\/\w+$/)
  await patch(`/uploads/${idOf(path)}`, 0, 'abc')
  t.equal((await ask('POST', '/uploads', final(`https://cdn.example${path}`))).status, 201)
  t.equal((await ask('POST', '/uploads', final(path))).status, 201)
  t.equal((await ask('POST', '/uploads', final(`/uploads/${idOf(path)}`))).status, 400)
})

t.test('N14: Upload-Concat on PATCH is ignored', async t => {
  const server = await startTus(t)
  const path = await server.create(3, PARTIAL)
  t.equal((await server.patch(path, 0, 'abc', PARTIAL)).status, 204)
})

t.test('a part that is removed leaves a final upload that is gone', async t => {
  const server = await startTus(t)
  const { ask, create } = server
  const a = await create(3, PARTIAL)
  const path = String((await ask('POST', '/uploads', final(a))).headers.location)
  t.equal((await ask('DELETE', a)).status, 204)
  t.equal((await ask('HEAD', path)).status, 410)
  t.equal((await ask('POST', '/uploads', final(a))).status, 404)
})

t.test('invariant 12: a final upload whose concatenation was interrupted goes on when a client asks for it', async t => {
  const storage = memoryStorage()
  const metadata = memoryMetadata()
  let broken = true
  // Without a way to concatenate, the storage is written to as if the parts came from a client.
  const { concat, ...plain } = changedStorage(storage, {
    write: async (upload, start, batches, progress) => {
      if (broken && upload.size === 6 && start > 0) throw new Error('the disk is off')
      await storage.write(upload, start, batches, progress)
    }
  })
  t.type(concat, 'function')
  const server = await startTus(t, { storage: plain, metadata }, { mayFail: true })
  const [a, b] = [await partial(server, 'abc'), await partial(server, 'def')]
  const { status, headers } = await server.ask('POST', '/uploads', final(a, b))
  t.equal(status, 503)
  const path = String(headers.location)
  t.same((await server.app.chunkedUpload.get(idOf(path)))?.received, [[0, 3]])
  t.equal((await server.ask('HEAD', path)).status, 503)
  broken = false
  t.match((await server.ask('HEAD', path)).headers, { 'upload-offset': '6' })
  t.equal(await download(server, path), 'abcdef')
})

t.test('a long concatenation is answered in time: 201 without an offset, or 503; the work goes on', async t => {
  for (const unfinished of [true, false]) {
    const storage = memoryStorage()
    const { open, passed } = gate()
    const slow = changedStorage(storage, {
      concat: async (upload, parts, progress, signal) => {
        await passed
        await storage.concat?.(upload, parts, progress, signal)
      }
    })
    const server = await startTus(t, {
      storage: slow, tus: { concatenationWait: 10, disable: unfinished ? [] : ['concatenation-unfinished'] }
    }, { mayFail: true })
    const a = await partial(server, 'abc')
    const { status, headers } = await server.ask('POST', '/uploads', final(a, a))
    t.equal(status, unfinished ? 201 : 503)
    const path = String(headers.location)
    const pending = await server.ask('HEAD', path)
    t.notOk('upload-offset' in pending.headers)
    t.equal(pending.headers['upload-length'], '6')
    open()
    await until(async () => (await server.ask('HEAD', path)).headers['upload-offset'] === '6')
    t.equal(await download(server, path), 'abcabc')
  }
})

t.test('many parts that end side by side complete their final upload once', async t => {
  const completed: Upload[] = []
  const server = await startTus(t, { onComplete: upload => { completed.push(upload) } })
  const pieces = Array.from({ length: 8 }, () => randomBytes(100_000))
  const clients = pieces.map(() => server.client())
  const paths = await Promise.all(pieces.map(async piece => await server.create(piece.length, PARTIAL)))
  const posted = clients[0]?.send('POST', '/uploads', { headers: { 'tus-resumable': '1.0.0', ...final(...paths) } })
  const patched = await Promise.all(pieces.map(async (body, at) => {
    const headers = { 'tus-resumable': '1.0.0', ...TYPE, 'upload-offset': 0 }
    return await clients[at]?.send('PATCH', paths[at] ?? '', { headers, body })
  }))
  for (const answer of patched) t.equal(answer?.status, 204)
  const path = String((await posted)?.headers.location)
  await until(async () => (await server.ask('HEAD', path)).headers['upload-offset'] !== undefined)
  t.equal(completed.length, 1)
  const response = await fetch(`${server.url}${path}`)
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
  t.equal(sha256(new Uint8Array(await response.arrayBuffer())), sha256(Buffer.concat(pieces)))
})
