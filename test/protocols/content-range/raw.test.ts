import { IncomingMessage } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import {
  MD5_OF_TEN, TEN, begin, countUploads, detail, mismatch, provesFault, raw, serve, type ContentRangeServer, type Fault
} from '../../support/content-range.js'
import { connectSocket, once } from '../../support/deadline.js'
import { RawHttp } from '../../support/raw-http.js'
import { field, json, type Message } from '../../support/server.js'

const chunk = (content: string | Uint8Array, range: string, headers: Message['headers'] = {}): Message =>
  raw('application/octet-stream', content, { 'content-range': range, ...headers })

/** Sends a request and a part of its body, waits until the server has read that, and breaks the connection. */
async function cut (server: ContentRangeServer, request: string, headers: readonly string[], body: string): Promise<void> {
  const socket = connectSocket(server.port)
  const begun = once(server.app.server, 'request')
  const message = [`${request} HTTP/1.1`, 'Host: test', ...headers, '', body].join('\r\n')
  socket.write(message)
  const [incoming] = await begun
  if (!(incoming instanceof IncomingMessage)) throw new Error('no request')
  const isRead = (): boolean =>
    incoming.socket.bytesRead === message.length && incoming.readableFlowing === true && incoming.readableLength === 0
  while (!isRead()) await turn()
  socket.destroy()
}

t.test('chunks are the bodies themselves, of any media type, named by Content-Disposition', async t => {
  const server = await serve(t)
  const disposition = { 'content-disposition': "attachment; filename*=UTF-8''gr%C3%BC%C3%9Fe.mp4; filename=\"other.mp4\"" }
  const message = raw('Video/MP4; codecs="avc1"', '0123', { 'content-range': 'bytes 0-3/10', ...disposition })
  const first = await server.send('PUT', '/uploads', message)
  t.equal(first.status, 200)
  t.match(first.json, { offset: 4, filename: 'grüße.mp4' })
  const id = field(first, 'id')
  t.match(await server.app.chunkedUpload.get(id), { contentType: 'video/mp4' })
  t.match((await server.send('PUT', `/uploads/${id}`, chunk('456', 'bytes 4-6/10'))).json, { offset: 7 })
  const chunked = await server.send('PUT', `/uploads/${id}/`, chunk('789', 'bytes 7-9/10', { 'transfer-encoding': 'chunked' }))
  t.match(chunked.json, { offset: 10 })
  const done = await server.send('POST', `/uploads/${id}`, json({ md5: MD5_OF_TEN }))
  t.match(done.json, { status: 2, filename: 'grüße.mp4' })
})

const wrongSize = (actual: number, reported: number): object =>
  detail(`File size doesn't match headers: file size is ${actual} but ${reported} reported`)
const fault = (name: string, on: Fault['on'], message: Message, body: object, status = 400): Fault =>
  ({ name, method: 'PUT', on, message, status, body })

t.test('each fault of a raw chunk has its answer', async t => {
  const server = await serve(t)
  for (const one of [
    fault('no range: no raw chunk', 'upload', raw('video/mp4', TEN), detail('Unsupported media type "video/mp4" in request.'), 415),
    fault('a malformed range', 'upload', chunk(TEN, 'bytes=10-19/20'), detail('Error in request headers')),
    fault('no body', 'upload', chunk('', 'bytes 10-19/20'), detail('No chunk file was submitted')),
    fault('longer than its range', 'upload', chunk(TEN, 'bytes 10-18/20'), wrongSize(10, 9)),
    fault('shorter than its range', 'collection', chunk(TEN, 'bytes 0-10/20'), wrongSize(10, 11)),
    fault('longer, of unknown length', 'upload', chunk(Buffer.alloc(300_000), 'bytes 10-18/20', { 'transfer-encoding': 'chunked' }),
      wrongSize(300_000, 9)),
    fault('longer, of unknown length, new', 'collection', chunk(TEN, 'bytes 0-8/20', { 'transfer-encoding': 'chunked' }), wrongSize(10, 9)),
    fault('a range that runs backwards', 'upload', chunk(TEN, 'bytes 12-9/20'), wrongSize(10, -2)),
    fault('another offset', 'upload', chunk(TEN, 'bytes 0-9/20'), mismatch(10, 0)),
    fault('above the limit', 'collection', chunk(TEN, 'bytes 0-9/1000001'), detail('Size of file exceeds the limit (1000000 bytes)'))
  ]) await provesFault(t, server, one)
})

t.test('invariant 1: what arrived of a raw chunk that was cut is kept, and the client goes on from there', async t => {
  const server = await serve(t)
  const id = await begin(server)
  const headers = ['Content-Type: application/octet-stream', 'Content-Range: bytes 10-19/20', 'Content-Length: 10']
  const saved = once(server.app.chunkedUpload.events, 'progress')
  await cut(server, `PUT /uploads/${id}`, headers, 'abcdef')
  await saved
  t.match((await server.send('GET', `/uploads/${id}`)).json, { offset: 16 })
  const again = await server.send('PUT', `/uploads/${id}`, chunk('abcdefghij', 'bytes 10-19/20'))
  t.strictSame(again.json, mismatch(16, 10), 'the answer tells where to go on')
  t.match((await server.send('PUT', `/uploads/${id}`, chunk('ghij', 'bytes 16-19/20'))).json, { offset: 20 })
  const upload = await server.app.chunkedUpload.get(id)
  const bytes = upload === undefined ? [] : await server.app.chunkedUpload.read(upload).toArray()
  t.equal(Buffer.concat(bytes).toString(), '0123456789abcdefghij')
})

t.test('a first raw chunk that was cut stays where its user can find it', async t => {
  const server = await serve(t)
  const headers = ['Content-Type: application/octet-stream', 'Content-Range: bytes 0-9/20', 'Content-Length: 10']
  const saved = once(server.app.chunkedUpload.events, 'progress')
  await cut(server, 'PUT /uploads/', ['X-User: ann', ...headers], 'abcdef')
  await saved
  t.match((await server.send('GET', '/uploads/', { headers: { 'x-user': 'ann' } })).json, [{ offset: 6, status: 1 }])
  const removed = once(server.app.chunkedUpload.events, 'remove')
  await cut(server, 'PUT /uploads/', headers, 'abcdef')
  await removed
  t.equal(await countUploads(server), 1, 'that of an anonymous client, who could not, is gone')
})

t.test('a form that was cut leaves the upload as it was, and nothing of a new one', async t => {
  const server = await serve(t)
  const id = await begin(server)
  const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabcdef'
  const headers = ['Content-Type: multipart/form-data; boundary=b', 'Content-Length: 500', 'Content-Range: bytes 10-19/20']
  await cut(server, `PUT /uploads/${id}`, headers, part)
  t.equal((await server.send('PUT', `/uploads/${id}`, chunk('abcdefghij', 'bytes 10-19/20'))).status, 200)
  for (const [request, range] of [['PUT /uploads/', 'Content-Range: bytes 0-9/20'], ['POST /uploads/', 'X-Nothing: 1']] as const) {
    const removed = once(server.app.chunkedUpload.events, 'remove')
    await cut(server, request, [...headers.slice(0, 2), range], part)
    await removed
  }
  t.equal(await countUploads(server), 1)
})

t.test('a body without a media type is a raw chunk too, as of files whose type a browser does not know', async t => {
  const server = await serve(t)
  const answer = await server.send('PUT', '/uploads/', { headers: { 'content-range': 'bytes 0-9/20' }, body: TEN })
  t.match(answer.json, { offset: 10 })
  t.match(await server.app.chunkedUpload.get(field(answer, 'id')), { contentType: null })
  await provesFault(t, server, fault('no type and no range', 'upload', { body: TEN }, detail('Unsupported media type "" in request.'), 415))
})

t.test('invariants 8 and 13: of a body that is longer than announced no more is waited for than comes', async t => {
  const server = await serve(t, {}, { stallTimeout: 200 })
  const head = { 'content-range': 'bytes 0-9/20', 'content-type': 'a/b', 'transfer-encoding': 'chunked' }
  for (const range of ['bytes 0-9/20', 'bytes 9-0/20']) {
    const silent = await RawHttp.connect(server.port)
    silent.request('PUT', '/uploads/', { ...head, 'content-range': range }, 'b\r\n01234567890\r\n')
    t.match(await silent.reply(), { status: 408 }, range)
    silent.socket.destroy()

    const cut = await RawHttp.connect(server.port)
    const answered = once(server.app.server, 'request')
    cut.request('PUT', '/uploads/', { ...head, 'content-range': range }, 'b\r\n01234567890\r\n')
    await answered
    cut.socket.end()
    await cut.closed

    const endless = await RawHttp.connect(server.port)
    endless.request('PUT', '/uploads/', { ...head, 'content-range': range })
    const flood = endless.send(`${(2 ** 30).toString(16)}\r\n`).flood(2 ** 30)
    t.match(await endless.reply(), { status: 400, body: /file size/ }, 'it does not count to the end')
    endless.socket.destroy()
    t.ok(await flood < 2 ** 29)
  }
  t.equal((await server.send('OPTIONS', '/uploads/')).status, 204)
})

t.test('a raw chunk is one by its headers: a file may be JSON, or look like a form', async t => {
  const server = await serve(t)
  const types = ['application/json', 'application/ld+json', 'application/x-www-form-urlencoded', 'application/geo+json; charset=utf-8']
  for (const type of types) {
    const first = await server.send('PUT', '/uploads/', raw(type, '{"a":', { 'content-range': 'bytes 0-4/7' }))
    t.equal(first.status, 200, type)
    const path = `/uploads/${field(first, 'id')}`
    t.match((await server.send('PUT', path, raw(type, '1}', { 'content-range': 'bytes 5-6/7' }))).json, { offset: 7 }, type)
    const upload = await server.app.chunkedUpload.get(field(first, 'id'))
    t.match(upload, { contentType: type.split(';')[0] })
  }
  const unlike = await server.send('PUT', '/uploads/', raw('application/json', '{"a":1}', { 'content-range': 'bytes 0-4/7' }))
  t.equal(unlike.status, 400, 'of another length it is a form without a file')
  const checksum = await server.send('POST', '/uploads/', raw('application/json', '{"a":1}', { 'content-range': 'bytes 0-6/7' }))
  t.equal(checksum.status, 400, 'a whole file in one request is always a form')
})
