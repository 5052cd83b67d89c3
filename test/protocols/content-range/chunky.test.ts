import t from 'tap'
import {
  MD5_OF_TEN, TEN, UNKNOWN, begin, detail, finish, mismatch, provesFault, range, raw, serve, type Fault
} from '../../support/content-range.js'
import { chunkForm, field, form, json } from '../../support/server.js'

const NOT_FOUND = detail('Not found.')
const NO_CHUNK = detail('No chunk file was submitted')
const NO_RANGE = detail('Error in request headers')
const TOO_LARGE = detail('Size of file exceeds the limit (1000000 bytes)')
const WRONG = detail('md5 checksum does not match')

const put = (name: string, on: Fault['on'], message: Fault['message'], body: object, status = 400): Fault =>
  ({ name, method: 'PUT', on, message, status, body })
const post = (name: string, on: Fault['on'], message: Fault['message'], body: object, status = 400): Fault =>
  ({ name, method: 'POST', on, message, status, body })

t.test('each fault has the answer of django-chunky-upload', async t => {
  const server = await serve(t, { dialect: 'chunky' })
  // Numbers as in the wire contract's table; 1 is with the tests of users.
  for (const fault of [
    put('2: no file part', 'collection', form([{ name: 'md5', content: 'x' }]), NO_CHUNK),
    put('2: nothing at all', 'upload', {}, NO_CHUNK),
    put('a dictionary as body', 'collection', raw('text/plain', "{'file': 'abc', 'filename': 'a'}"),
      detail('Unsupported media type "text/plain" in request.'), 415),
    put('3: no range', 'collection', chunkForm(TEN, undefined), NO_RANGE),
    put('3: a malformed range', 'upload', range('bytes=10-19/20'), NO_RANGE),
    put('4: an unknown upload', `/uploads/${UNKNOWN}/`, range('bytes 0-9/20'), NOT_FOUND, 404),
    put('4: a malformed id', '/uploads/not-an-id', range('bytes 0-9/20'), NOT_FOUND, 404),
    put('4 before 7: above the limit for an unknown upload', `/uploads/${UNKNOWN}/`, range('bytes 0-9/1000001'), NOT_FOUND, 404),
    put('7: above the limit', 'collection', range('bytes 0-9/1000001'), TOO_LARGE),
    put('7: above the limit on an upload', 'upload', range('bytes 10-19/1000001'), TOO_LARGE),
    put('7: a total without end on an upload', 'upload', range('bytes 10-19/999999999999999999999'), TOO_LARGE),
    put('a chunk beyond the total', 'upload', range('bytes 10-20/20'), detail('End of chunk exceeds reported total (20 bytes)')),
    put('8: another offset', 'upload', range('bytes 5-14/20'), mismatch(10, 5)),
    put('8: a new upload from the middle', 'collection', range('bytes 10-19/20'), mismatch(0, 10)),
    put('9: another size', 'upload', range('bytes 10-18/20'), detail("File size doesn't match headers: file size is 10 but 9 reported")),
    post('an unknown upload', `/uploads/${UNKNOWN}/`, json({ md5: 'x' }), NOT_FOUND, 404),
    post('an unknown upload and no checksum', `/uploads/${UNKNOWN}/`, json({}), NOT_FOUND, 404),
    post('bytes are missing', 'upload', json({ md5: MD5_OF_TEN }),
      detail('Upload is incomplete: 10 of 20 bytes received', { offset: 10 })),
    post('a whole file with a wrong checksum', 'collection',
      form([{ name: 'my_file', filename: 'a', content: TEN }, { name: 'md5', content: 'x' }]), WRONG),
    post('a whole file without checksum', 'collection', form([{ name: 'my_file', filename: 'a', content: TEN }]), WRONG)
  ]) await provesFault(t, server, fault)
})

t.test('5 and 6: expired and complete uploads have their answers to both methods', async t => {
  const server = await serve(t, { dialect: 'chunky' })
  const [expired, complete] = [await begin(server), await finish(server)]
  await server.expire(expired)
  for (const [method, message] of [
    ['PUT', range('bytes 10-19/20')], ['PUT', range('bytes 10-19/1000001')], ['POST', json({ md5: MD5_OF_TEN })], ['POST', json({})]
  ] as const) {
    const gone = await server.send(method, `/uploads/${expired}/`, message)
    t.equal(gone.status, 410)
    t.strictSame(gone.json, detail('Upload has expired'))
    const done = await server.send(method, `/uploads/${complete}/`, message)
    t.equal(done.status, 400)
    t.strictSame(done.json, detail('Upload has already been marked as "COMPLETE"'))
  }
})

t.test('chunks and a checksum make a file, which answers with the record of both systems', async t => {
  const server = await serve(t, { dialect: 'chunky' })
  const first = await server.send('PUT', '/uploads/', chunkForm('01234', 'bytes 0-4/10', [], 'my_file'))
  t.equal(first.status, 200)
  const id = field(first, 'upload_id')
  t.match(first.json, { upload_id: /^[\da-f]{32}$/, offset: 5, expires: /Z$/ })
  const next = await server.send('PUT', `/uploads/${id}/`, chunkForm('56789', 'bytes 5-9/10', [], 'my_file'))
  t.match(next.json, { upload_id: id, offset: 10 })
  for (const body of [json({}), json({ md5: 'x' }), {}]) {
    const wrong = await server.send('POST', `/uploads/${id}/`, body)
    t.equal(wrong.status, 400)
    t.strictSame(wrong.json, WRONG)
  }
  const done = await server.send('POST', `/uploads/${id}/`, json({ md5: MD5_OF_TEN }))
  t.equal(done.status, 200)
  t.match(done.json, { upload_id: id, status: 2 })
})
