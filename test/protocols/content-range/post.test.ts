import t from 'tap'
import {
  MD5_OF_TEN, TEN, UNKNOWN, begin, countUploads, detail, finish, provesFault, range, raw, serve, withHeaders, type Fault
} from '../../support/content-range.js'
import { chunkForm, field, form, json, type FormPart, type Message } from '../../support/server.js'

const NO_CHECKSUM = detail("Checksum of type 'md5' is required")
const NOT_FOUND = detail('Not found.')
const WRONG = detail('checksum does not match')

const refused = (name: string, on: Fault['on'], message: Message, body: object, status = 400): Fault =>
  ({ name, method: 'POST', on, message, status, body })

t.test('each fault of a completion has its answer, and the upload can go on', async t => {
  const server = await serve(t)
  for (const fault of [
    refused('0: a media type without fields', 'upload', raw('text/plain', MD5_OF_TEN),
      detail('Unsupported media type "text/plain" in request.'), 415),
    refused('0: JSON that is none', 'upload', raw('application/json', '{'), detail(/^JSON parse error - ./)),
    refused('0: JSON that is no object', 'upload', json([MD5_OF_TEN]), detail(/./)),
    refused('1: no body', 'upload', {}, NO_CHECKSUM),
    refused('1: no checksum', 'upload', json({}), NO_CHECKSUM),
    refused('1: an empty checksum', 'upload', json({ md5: '' }), NO_CHECKSUM),
    refused('1: null', 'upload', json({ md5: null }), NO_CHECKSUM),
    refused('1: another algorithm', 'upload', json({ sha1: 'x' }), NO_CHECKSUM),
    refused('1: a form without it', 'upload', form([{ name: 'a', content: 'b' }]), NO_CHECKSUM),
    refused('1: a name that objects have', 'upload', json({ __proto__: { md5: MD5_OF_TEN } }), NO_CHECKSUM),
    refused('1 before 2: no checksum for an unknown upload', `/uploads/${UNKNOWN}/`, json({}), NO_CHECKSUM),
    refused('2: an unknown upload', `/uploads/${UNKNOWN}`, json({ md5: 'x' }), NOT_FOUND, 404),
    refused('2: a malformed id', '/uploads/x/', json({ md5: 'x' }), NOT_FOUND, 404),
    refused('5: bytes are missing', 'upload', json({ md5: MD5_OF_TEN }),
      detail('Upload is incomplete: 10 of 20 bytes received', { offset: 10 }))
  ]) await provesFault(t, server, fault)
})

t.test('3 and 4: an expired upload answers 410, a complete one 400 and is not completed twice', async t => {
  const server = await serve(t)
  const expired = await begin(server)
  await server.expire(expired)
  const gone = await server.send('POST', `/uploads/${expired}/`, json({ md5: 'x' }))
  t.equal(gone.status, 410)
  t.strictSame(gone.json, detail('Upload has expired'))

  const id = await finish(server)
  const again = await server.send('POST', `/uploads/${id}/`, json({ md5: MD5_OF_TEN }))
  t.equal(again.status, 400)
  t.strictSame(again.json, detail('Upload has already been marked as "complete"'))
})

t.test('6: after a wrong checksum the upload can be completed with the right one, in any form and case', async t => {
  const server = await serve(t)
  const bodies: readonly Message[] = [
    json({ md5: MD5_OF_TEN }),
    json({ md5: MD5_OF_TEN.toUpperCase(), more: [1, { a: 2 }] }),
    raw('application/json; charset=utf-8', `{"md5":"${MD5_OF_TEN}"}`),
    raw('application/x-www-form-urlencoded', `a=b&md5=${MD5_OF_TEN}`),
    raw('application/x-www-form-urlencoded', `md5=first&md5=${MD5_OF_TEN}`),
    form([{ name: 'md5', content: MD5_OF_TEN }, { name: 'more', filename: 'a', content: 'bytes' }])
  ]
  for (const body of bodies) {
    const id = field(await server.send('PUT', '/uploads/', chunkForm(TEN, 'bytes 0-9/10')), 'id')
    for (const wrong of ['12345', MD5_OF_TEN.slice(1), 12345, { md5: 1 }, [MD5_OF_TEN, 'x'], true]) {
      const answer = await server.send('POST', `/uploads/${id}/`, json({ md5: wrong }))
      t.equal(answer.status, 400)
      t.strictSame(answer.json, WRONG)
    }
    t.match((await server.send('GET', `/uploads/${id}`)).json, { status: 1, offset: 10 })
    const done = await server.send('POST', `/uploads/${id}/`, body)
    t.equal(done.status, 200)
    t.match(done.json, { id, status: 2, offset: 10, completed_at: /Z$/ })
  }
})

t.test('without a checksum by the options, a completion needs no body', async t => {
  for (const [options, plugin] of [[{ checksum: false }, {}], [{}, { checksum: false }]] as const) {
    const server = await serve(t, options, plugin)
    const id = field(await server.send('PUT', '/uploads/', chunkForm(TEN, 'bytes 0-9/10')), 'id')
    t.match((await server.send('POST', `/uploads/${id}`)).json, { status: 2 })
    const whole = await server.send('POST', '/uploads', form([{ name: 'file', filename: 'a', content: TEN }]))
    t.match(whole.json, { status: 2, offset: 10 })
  }
})

t.test('another algorithm has a field of its own name', async t => {
  const server = await serve(t, { checksum: 'sha1' })
  const id = field(await server.send('PUT', '/uploads/', chunkForm(TEN, 'bytes 0-9/10')), 'id')
  t.strictSame((await server.send('POST', `/uploads/${id}`, json({ md5: 'x' }))).json, detail("Checksum of type 'sha1' is required"))
  t.strictSame((await server.send('POST', `/uploads/${id}`, json({ sha1: 'x' }))).json, WRONG)
  t.equal((await server.send('POST', `/uploads/${id}`, json({ sha1: '87acec17cd9dcd20a716cc2cf67417b71c8a7016' }))).status, 200)
})

const FILE: FormPart = { name: 'file', filename: 'ten.txt', content: TEN }
const MD5: FormPart = { name: 'md5', content: MD5_OF_TEN }

t.test('each fault of a whole file in one request has its answer, and nothing is left of it', async t => {
  const server = await serve(t)
  for (const fault of [
    refused('0: a media type that is no form', 'collection', raw('application/octet-stream', TEN, { 'content-range': 'bytes 0-9/10' }),
      detail('Unsupported media type "application/octet-stream" in request.'), 415),
    refused('0: JSON that is none', 'collection', raw('application/json', '{'), detail(/^JSON parse error - ./)),
    refused('1: no file', 'collection', form([MD5]), detail('No chunk file was submitted')),
    refused('1: no body', 'collection', {}, detail('No chunk file was submitted')),
    refused('1: the file as text', 'collection', form([{ name: 'file', content: TEN }, MD5]), detail('No chunk file was submitted')),
    refused('4: a file above the limit', 'collection', form([{ ...FILE, content: Buffer.alloc(1_000_001) }, MD5]),
      detail('Size of file exceeds the limit (1000000 bytes)')),
    refused('11: an empty file', 'collection', form([{ ...FILE, content: '' }, MD5]), detail({ file: ['The submitted file is empty.'] })),
    refused('11: a blank name', 'collection', form([FILE, MD5, { name: 'filename', content: '' }]),
      detail({ filename: ['This field may not be blank.'] })),
    refused('1: no checksum', 'collection', form([FILE]), NO_CHECKSUM),
    refused('1: an empty checksum', 'collection', form([{ name: 'md5', content: '' }, FILE]), NO_CHECKSUM),
    refused('6: a wrong checksum', 'collection', form([FILE, { name: 'md5', content: '12345' }]), WRONG),
    refused('6: a wrong checksum before the file', 'collection', form([{ name: 'md5', content: '12345' }, FILE]), WRONG),
    refused('a second file', 'collection', form([FILE, { ...FILE, filename: 'other.txt', content: 'another' }, MD5]),
      detail('Form has a second file in "file": send each file in a request of its own')),
    refused('a second file in another field', 'collection', form([{ ...FILE, name: 'my_file' }, MD5, FILE]),
      detail('Form has a second file in "file": send each file in a request of its own')),
    refused('a form that ends within the file', 'collection', form([MD5, FILE], ''), detail(/^Form parse error - ./)),
    refused('a form that ends behind the file', 'collection', form([FILE, MD5], ''), detail(/^Form parse error - ./))
  ]) await provesFault(t, server, fault)
  t.equal(await countUploads(server), 0, 'no upload is left')
})

t.test('a whole file in one request is complete at once, its fields before or after it, whatever its Content-Range says', async t => {
  const server = await serve(t)
  const orders: ReadonlyArray<readonly FormPart[]> = [
    [FILE, MD5],
    [MD5, FILE],
    [MD5, { name: 'filename', content: 'other.txt' }, { ...FILE, name: 'my_file' }],
    [{ ...FILE, name: 'my_file' }, { name: 'filename', content: 'other.txt' }, { name: 'unknown', content: 'x' }, MD5],
    [{ name: 'unknown', filename: 'b', content: 'other bytes' }, FILE, { ...FILE, filename: '', content: '' }, MD5]
  ]
  for (const [at, parts] of orders.entries()) {
    const message = withHeaders(form(parts), at === 0 ? { 'content-range': 'bytes 5-9/100' } : {})
    const answer = await server.send('POST', at % 2 === 0 ? '/uploads/' : '/uploads', message)
    t.equal(answer.status, 200)
    t.match(answer.json, { status: 2, offset: 10, filename: at === 2 || at === 3 ? 'other.txt' : 'ten.txt' })
    const upload = await server.app.chunkedUpload.get(field(answer, 'id'))
    const bytes = upload === undefined ? [] : await server.app.chunkedUpload.read(upload).toArray()
    t.equal(Buffer.concat(bytes).toString(), TEN)
  }
})

t.test('a completed upload is a file with the ending .done', async t => {
  const server = await serve(t)
  const id = await finish(server)
  const upload = await server.app.chunkedUpload.get(id)
  t.match(upload, { status: 'complete', location: new RegExp(`^chunked_uploads/\\d{4}/\\d\\d/\\d\\d/${id}\\.done$`) })
  t.equal((await server.send('PUT', '/uploads/', range('bytes 0-9/10'))).status, 200)
})

t.test('invariant 13: a checksum of many levels is a wrong one', async t => {
  const server = await serve(t)
  const id = await begin(server)
  const headers = { 'content-type': 'application/json' }
  for (const md5 of ['['.repeat(200_000) + ']'.repeat(200_000), '{"a":1}', '[[1],{}]']) {
    t.equal((await server.send('POST', `/uploads/${id}`, { headers, body: `{"md5":${md5}}` })).status, 400)
  }
})
