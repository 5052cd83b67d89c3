import t from 'tap'
import {
  MD5_OF_TEN, TEN, UNKNOWN, countUploads, detail, mismatch, raw, serve, withHeaders, type ContentRangeServer
} from '../../support/content-range.js'
import { type FormPart, type Message, field, form, json } from '../../support/server.js'

const UPLOAD = '/uploads/upload/'
const COMPLETE = '/uploads/complete/'

/** A chunk as blueimp sends it: the form's data, and then the file; or the other way round. */
function chunk (content: string | Uint8Array, range: string | undefined, id?: string, behind = false): Message {
  const file: FormPart = { name: 'file', filename: 'film.mp4', content }
  const fields: FormPart[] = id === undefined ? [] : [{ name: 'upload_id', content: id }]
  return withHeaders(form(behind ? [file, ...fields] : [...fields, file]), range === undefined ? {} : { 'content-range': range })
}

async function begin (server: ContentRangeServer, headers: Message['headers'] = {}): Promise<string> {
  return field(await server.send('POST', UPLOAD, withHeaders(chunk(TEN, 'bytes 0-9/20'), headers)), 'upload_id')
}

async function finish (server: ContentRangeServer): Promise<string> {
  const id = field(await server.send('POST', UPLOAD, chunk(TEN, undefined)), 'upload_id')
  await server.send('POST', COMPLETE, json({ upload_id: id, md5: MD5_OF_TEN }))
  return id
}

t.test('chunks answer id, offset and expiry; the completion answers {}', async t => {
  const server = await serve(t, { dialect: 'parent' })
  for (const behind of [false, true]) {
    const first = await server.send('POST', UPLOAD, chunk('01234', 'bytes 0-4/10', '', behind))
    t.equal(first.status, 200)
    const [id, expires] = [field(first, 'upload_id'), field(first, 'expires')]
    t.equal(first.text, JSON.stringify({ upload_id: id, offset: 5, expires }))
    const next = await server.send('POST', '/uploads/upload', chunk('56789', 'bytes 5-9/10', id, behind))
    t.equal(next.text, JSON.stringify({ upload_id: id, offset: 10, expires }))
    const fields = raw('application/x-www-form-urlencoded', `upload_id=${id}&md5=${MD5_OF_TEN}`)
    const done = await server.send('POST', '/uploads/complete', fields)
    t.equal(done.status, 200)
    t.equal(done.text, '{}')
    t.match(await server.app.chunkedUpload.get(id), { status: 'complete', size: 10, filename: 'film.mp4' })
  }
  t.equal(await countUploads(server), 2, 'nothing is left of chunks that waited')
})

t.test('a chunk of several megabytes whose upload is named after it is appended all the same', async t => {
  const server = await serve(t, { dialect: 'parent' }, { maxBytes: null })
  const bytes = Buffer.alloc(3_000_000, 'chunked ')
  const size = bytes.length + 10
  const id = field(await server.send('POST', UPLOAD, chunk(TEN, `bytes 0-9/${size}`)), 'upload_id')
  const next = await server.send('POST', UPLOAD, chunk(bytes, `bytes 10-${size - 1}/${size}`, id, true))
  t.match(next.json, { upload_id: id, offset: size })
  t.equal(await countUploads(server), 1)
})

t.test('each fault of a chunk has its answer, wherever the upload is named', async t => {
  const server = await serve(t, { dialect: 'parent' })
  const id = await begin(server)
  const complete = await finish(server)
  const expired = await begin(server)
  await server.expire(expired)
  const before = await server.app.chunkedUpload.get(id)
  const count = await countUploads(server)
  const faults: ReadonlyArray<readonly [name: string, range: string | undefined, id: string | undefined, status: number, body: object]> = [
    ['an unknown upload', 'bytes 10-19/20', UNKNOWN, 404, detail('Not found.')],
    ['an unknown upload from byte 0', 'bytes 0-9/20', UNKNOWN, 404, detail('Not found.')],
    ['a malformed id', 'bytes 10-19/20', 'x', 404, detail('Not found.')],
    ['an expired upload', 'bytes 10-19/20', expired, 410, detail('Upload has expired')],
    ['an expired upload from byte 0', 'bytes 0-9/20', expired, 410, detail('Upload has expired')],
    ['a complete upload', 'bytes 10-19/20', complete, 400, detail('Upload has already been marked as "complete"')],
    ['above the limit', 'bytes 10-19/1000001', id, 400, detail('Size of file exceeds the limit (1000000 bytes)')],
    ['above the limit, new', 'bytes 0-9/1000001', undefined, 400, detail('Size of file exceeds the limit (1000000 bytes)')],
    ['another offset', 'bytes 5-14/20', id, 400, mismatch(10, 5)],
    ['an exact repeat', 'bytes 0-9/20', id, 400, mismatch(10, 0)],
    ['no range on a next chunk', undefined, id, 400, mismatch(10, 0)],
    ['a malformed range on a next chunk', 'nonsense', id, 400, mismatch(10, 0)],
    ['a new upload from the middle', 'bytes 10-19/20', undefined, 400, mismatch(0, 10)],
    ['another total', 'bytes 10-19/30', id, 400, detail('Total size does not match the first chunk (20 bytes)')],
    ['another size', 'bytes 10-18/20', id, 400, detail("File size doesn't match headers: file size is 10 but 9 reported")],
    ['another size, new', 'bytes 0-8/20', undefined, 400, detail("File size doesn't match headers: file size is 10 but 9 reported")]
  ]
  for (const [name, range, given, status, body] of faults) {
    for (const behind of given === undefined ? [false] : [false, true]) {
      // Behind the chunk the limit is known before the upload is.
      const answer = await server.send('POST', UPLOAD, chunk(TEN, range, given, behind))
      t.equal(answer.status, status, name)
      t.strictSame(answer.json, body, name)
      t.equal((await server.send('OPTIONS', UPLOAD)).status, 204, 'the next request on the connection is answered')
      t.match(await server.app.chunkedUpload.get(id), { received: before?.received })
      t.equal(await countUploads(server), count, 'nothing new is stored')
    }
  }
  for (const body of [{}, form([{ name: 'upload_id', content: id }]), form([{ name: 'file', content: 'text' }]), json({ file: 'x' })]) {
    const answer = await server.send('POST', UPLOAD, body)
    t.equal(answer.status, 400)
    t.strictSame(answer.json, detail('No chunk file was submitted'))
  }
})

t.test('a small file comes without a range, as a form or raw', async t => {
  const server = await serve(t, { dialect: 'parent' })
  const messages = [
    chunk(TEN, undefined), chunk(TEN, 'bytes nonsense'),
    raw('video/mp4', TEN, { 'content-disposition': 'attachment; filename="a%20b%C3%BC.mp4"' })
  ]
  for (const [at, message] of messages.entries()) {
    const answer = await server.send('POST', UPLOAD, message)
    t.match(answer.json, { offset: 10 })
    const id = field(answer, 'upload_id')
    t.equal((await server.send('POST', COMPLETE, json({ upload_id: id, md5: MD5_OF_TEN }))).status, 200)
    t.match(await server.app.chunkedUpload.get(id), { filename: at === 2 ? 'a bü.mp4' : 'film.mp4', size: 10 })
  }
})

t.test('each fault of a completion has its answer', async t => {
  const server = await serve(t, { dialect: 'parent' })
  const [id, complete, expired] = [await begin(server), await finish(server), await begin(server)]
  await server.expire(expired)
  const lenient = field(await server.send('POST', UPLOAD, chunk(TEN, undefined)), 'upload_id')
  const both = detail("Both 'upload_id' and 'md5' are required")
  const faults: ReadonlyArray<readonly [Message, number, object]> = [
    [{}, 400, both],
    [json({}), 400, both],
    [json({ upload_id: id }), 400, both],
    [json({ md5: MD5_OF_TEN }), 400, both],
    [raw('application/x-www-form-urlencoded', `upload_id=&md5=${MD5_OF_TEN}`), 400, both],
    [json({ upload_id: UNKNOWN, md5: 'x' }), 404, detail('Not found.')],
    [json({ upload_id: [1], md5: 'x' }), 404, detail('Not found.')],
    [json({ upload_id: expired, md5: MD5_OF_TEN }), 410, detail('Upload has expired')],
    [json({ upload_id: complete, md5: MD5_OF_TEN }), 400, detail('Upload has already been marked as "complete"')],
    [json({ upload_id: id, md5: MD5_OF_TEN }), 400, detail('Upload is incomplete: 10 of 20 bytes received', { offset: 10 })],
    [json({ upload_id: lenient, md5: 'x' }), 400, detail('md5 checksum does not match')],
    [raw('text/plain', 'x'), 415, detail('Unsupported media type "text/plain" in request.')]
  ]
  for (const [message, status, body] of faults) {
    const answer = await server.send('POST', COMPLETE, message)
    t.equal(answer.status, status)
    t.strictSame(answer.json, body)
  }
})

t.test('without a checksum only the id is required', async t => {
  const server = await serve(t, { dialect: 'parent', checksum: false })
  const id = field(await server.send('POST', UPLOAD, chunk(TEN, undefined)), 'upload_id')
  t.strictSame((await server.send('POST', COMPLETE, json({}))).json, detail("'upload_id' is required"))
  t.equal((await server.send('POST', COMPLETE, json({ upload_id: id }))).text, '{}')
})

t.test('with requireUser anonymous requests hear 403, and other users 404', async t => {
  const server = await serve(t, { dialect: 'parent', requireUser: true })
  const id = await begin(server, { 'x-user': 'ann' })
  for (const [path, message] of [[UPLOAD, chunk(TEN, undefined)], [UPLOAD, {}], [COMPLETE, json({})]] as const) {
    const answer = await server.send('POST', path, message)
    t.equal(answer.status, 403)
    t.strictSame(answer.json, detail('Authentication credentials were not provided'))
  }
  for (const behind of [false, true]) {
    const other = await server.send('POST', UPLOAD, withHeaders(chunk(TEN, 'bytes 10-19/20', id, behind), { 'x-user': 'bob' }))
    t.equal(other.status, 404)
  }
  t.equal((await server.send('POST', COMPLETE, withHeaders(json({ upload_id: id, md5: 'x' }), { 'x-user': 'bob' }))).status, 404)
})
