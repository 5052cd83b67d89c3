import { createHash } from 'node:crypto'
import t from 'tap'
import {
  LIMIT, TEN, UNKNOWN, MD5_OF_TEN, begin, countUploads, detail, finish, mismatch, provesFault, range, raw, serve, withHeaders, type Fault
} from '../../support/content-range.js'
import { chunkForm, field, form, json, type FormPart, type Message } from '../../support/server.js'

const HEX = /^[\da-f]{32}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const NO_CHUNK = detail('No chunk file was submitted')
const NO_RANGE = detail('Error in request headers')
const TOO_LARGE = detail('Size of file exceeds the limit (1000000 bytes)')
const NOT_FOUND = detail('Not found.')
const NO_FORM = detail(/^Form parse error - ./)
const wrongSize = (actual: number, reported: number): object =>
  detail(`File size doesn't match headers: file size is ${actual} but ${reported} reported`)

t.test('the first chunk answers 200 and the record of both systems', async t => {
  const server = await serve(t)
  const answer = await server.send('PUT', '/uploads/', withHeaders(range('bytes 0-9/20'), { 'x-user': 'ann' }))
  t.equal(answer.status, 200)
  t.match(answer.headers['content-type'], 'application/json')
  const id = field(answer, 'id')
  t.match(id, HEX)
  const [created, expires] = [field(answer, 'created_at'), field(answer, 'expires')]
  t.match(created, TIME)
  t.match(expires, TIME)
  t.equal(Date.parse(expires) - Date.parse(created), 86_400_000, 'it expires a day after its creation')
  t.equal(answer.text, JSON.stringify({
    id,
    upload_id: id,
    url: `${server.url}/uploads/${id}`,
    file: null,
    filename: 'file.bin',
    offset: 10,
    expires,
    created_at: created,
    status: 1,
    completed_at: null,
    user: 'ann'
  }))
})

t.test('ten chunks and a checksum make a file, by ids of every form, with both slash forms and both field names', async t => {
  const server = await serve(t)
  const bytes = Buffer.alloc(100_000, 'chunked ')
  const chunkAt = (start: number, name?: string): Message =>
    chunkForm(bytes.subarray(start, start + 10_000), `bytes ${start}-${start + 9999}/100000`, [], name)
  const id = field(await server.send('PUT', '/uploads', chunkAt(0, 'my_file')), 'id')
  const dashed = id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  const forms = [id, dashed, id.toUpperCase(), dashed.toUpperCase()]
  for (let at = 1; at < 10; at++) {
    const path = `/uploads/${forms[at % 4]}${at % 3 === 0 ? '/' : ''}`
    const answer = await server.send('PUT', path, chunkAt(at * 10_000, at % 2 === 0 ? 'file' : 'my_file'))
    t.equal(answer.status, 200)
    t.equal(field(answer, 'offset'), String((at + 1) * 10_000))
    t.equal(field(answer, 'url'), `${server.url}/uploads/${id}`, 'the URL is the same in each answer')
  }
  const done = await server.send('POST', `/uploads/${dashed}/`, json({ md5: createHash('md5').update(bytes).digest('hex') }))
  t.equal(done.status, 200)
  t.match(done.json, { id, status: 2, offset: 100_000, completed_at: TIME })
})

const refused = (name: string, on: Fault['on'], message: Message, body: object, status = 400): Fault =>
  ({ name, method: 'PUT', on, message, status, body })

const badRanges = [
  '', 'bytes nonsense', 'bytes=0-9/20', 'Bytes 0-9/20', 'bytes  0-9/20', 'bytes 0-9/*', 'bytes */20', 'bytes 0-9', 'bytes -1-9/20',
  'bytes 0-9/20, bytes 10-19/20', 'bytes 0x0-9/20', 'items 0-9/20', 'bytes 0 - 9/20', 'bytes 10-19/2 0', 'bytes 1\u00b9-9/20', '10-19/20'
]

const named = (filename: string, ...fields: FormPart[]): Message =>
  withHeaders(form([{ name: 'file', filename, content: '01234' }, ...fields]), { 'content-range': 'bytes 0-4/20' })
const fieldFirst = (filename: string): Message => {
  const message = form([{ name: 'filename', content: filename }, { name: 'file', filename: 'a', content: '01234' }])
  return withHeaders(message, { 'content-range': 'bytes 0-4/20' })
}
const BLANK = detail({ filename: ['This field may not be blank.'] })
const LONG = detail({ filename: ['Ensure this field has no more than 255 characters.'] })

t.test('each fault of a PUT has its answer', async t => {
  const server = await serve(t)
  // Numbers as in the wire contract's table.
  for (const fault of [
    refused('0: a media type without chunks', 'collection', raw('application/octet-stream', 'abc'),
      detail('Unsupported media type "application/octet-stream" in request.'), 415),
    refused('0: the same on an upload', 'upload', raw('text/plain', 'abc'), detail('Unsupported media type "text/plain" in request.'), 415),
    refused('0: JSON that is none', 'collection', raw('application/json', '{"file":'), detail(/^JSON parse error - ./)),

    refused('1: no body at all', 'collection', {}, NO_CHUNK),
    refused('1: no body, with a range', 'upload', { headers: { 'content-range': 'bytes 10-19/20' } }, NO_CHUNK),
    refused('1: a form without the file', 'collection', form([{ name: 'other', filename: 'a', content: 'abc' }]), NO_CHUNK),
    refused('1: an empty form', 'collection', form([]), NO_CHUNK),
    refused('1: the file as text', 'collection', form([{ name: 'file', content: 'abc' }]), NO_CHUNK),
    refused('1: the file as a JSON value', 'collection', json({ file: 'abc' }), NO_CHUNK),
    refused('1: a JSON list on an upload', 'upload', json([]), NO_CHUNK),
    refused('1: a URL-encoded form', 'upload', raw('application/x-www-form-urlencoded', 'file=abc'), NO_CHUNK),
    refused('1 before 2: no file and no range', 'upload', form([{ name: 'filename', content: 'a' }]), NO_CHUNK),

    refused('2: no Content-Range', 'collection', chunkForm(TEN, undefined), NO_RANGE),
    ...badRanges.map(text => refused(`2: Content-Range "${text}"`, 'upload', range(text), NO_RANGE)),
    refused('2 before 6: no range for an unknown upload', `/uploads/${UNKNOWN}`, chunkForm(TEN, undefined), NO_RANGE),

    refused('3: the chunk ends beyond the total', 'collection', range('bytes 0-100000/5'),
      detail('End of chunk exceeds reported total (5 bytes)')),
    refused('3: the last byte is the total', 'collection', range('bytes 0-9/9'),
      detail('End of chunk exceeds reported total (9 bytes)')),
    refused('3: a file of no bytes', 'collection', range('bytes 0-0/0', 1), detail('End of chunk exceeds reported total (0 bytes)')),
    refused('3: on an upload', 'upload', range('bytes 10-20/20'), detail('End of chunk exceeds reported total (20 bytes)')),
    refused('3: numbers without end', 'upload', range('bytes 0-99999999999999999999/99999999999999999999'),
      detail('End of chunk exceeds reported total (99999999999999999999 bytes)')),

    refused('4: a total above the limit', 'collection', range('bytes 0-9/1000001'), TOO_LARGE),
    refused('4: a total without end', 'collection', range('bytes 0-9/999999999999999999999'), TOO_LARGE),
    refused('4 before 6: above the limit for an unknown upload', `/uploads/${UNKNOWN}`, range('bytes 0-9/1000001'), TOO_LARGE),

    refused('5: a part longer than its range', 'collection', range('bytes 0-8/20'), wrongSize(10, 9)),
    refused('5: a part shorter than its range', 'upload', range('bytes 10-19/20', 9), wrongSize(9, 10)),
    refused('5: a part that is much longer', 'upload', range('bytes 10-11/20', 700_001), wrongSize(700_001, 2)),
    refused('5: ten thousand bytes for two', 'collection', range('bytes 0-1/100000', 10_000), wrongSize(10_000, 2)),
    refused('5: an empty part', 'upload', range('bytes 10-19/20', 0), wrongSize(0, 10)),
    refused('5: an empty first part', 'collection', range('bytes 0-9/20', 0), wrongSize(0, 10)),
    refused('5: a range that runs backwards', 'upload', range('bytes 12-9/20'), wrongSize(10, -2)),
    refused('5: backwards on the collection', 'collection', range('bytes 12-9/20'), wrongSize(10, -2)),

    refused('6: an unknown upload', `/uploads/${UNKNOWN}`, range('bytes 0-9/20'), NOT_FOUND, 404),
    refused('6: a malformed id', '/uploads/not-an-id/', range('bytes 0-9/20'), NOT_FOUND, 404),
    refused('6: an id of 31 digits', `/uploads/${UNKNOWN.slice(1)}`, range('bytes 0-9/20'), NOT_FOUND, 404),
    refused('6: an id that wants to be a path', '/uploads/..%2f..%2fetc%2fpasswd', range('bytes 0-9/20'), NOT_FOUND, 404),
    refused('6: an id with a zero byte', '/uploads/%00', range('bytes 0-9/20'), NOT_FOUND, 404),
    refused('6: an id with umlauts', '/uploads/%C3%BC', range('bytes 0-9/20'), NOT_FOUND, 404),

    refused('9: behind the stored bytes', 'upload', range('bytes 15-19/20', 5), mismatch(10, 15)),
    refused('9: an exact repeat', 'upload', range('bytes 0-9/20'), mismatch(10, 0)),
    refused('9: an overlap', 'upload', range('bytes 5-14/20'), mismatch(10, 5)),
    refused('9: a new upload that starts in the middle', 'collection', range('bytes 10-19/20'), mismatch(0, 10)),
    refused('another total', 'upload', range('bytes 10-19/30'), detail('Total size does not match the first chunk (20 bytes)')),

    refused('11: a blank file name', 'collection', named('a.bin', { name: 'filename', content: ' ' }), BLANK),
    refused('11: a blank file name before the file', 'collection', fieldFirst(''), BLANK),
    refused('11: a file name of 256 characters', 'collection', named('a.bin', { name: 'filename', content: 'ü'.repeat(256) }), LONG),
    refused('11: the same before the file', 'collection', fieldFirst('n'.repeat(256)), LONG),
    refused("11: a part's name of 256 characters", 'collection', named('n'.repeat(256)), LONG),

    refused('a form without a boundary', 'collection', raw('multipart/form-data', 'abc', { 'content-range': 'bytes 0-2/3' }), NO_FORM),
    refused('a form that ends within the file', 'upload',
      withHeaders(form([{ name: 'file', filename: 'a', content: TEN }], ''), { 'content-range': 'bytes 10-19/20' }), NO_FORM),
    refused('a body that is no form', 'upload', { ...range('bytes 10-19/20'), body: 'something else' }, detail(/./)),
    refused('a field that is too large', 'collection', form([{ name: 'filename', content: 'x'.repeat(70_000) }]), detail(/./), 413)
  ]) await provesFault(t, server, fault)
})

t.test('4: a total that no number can hold is refused without a limit too, and the limit itself is allowed', async t => {
  const unlimited = await serve(t, {}, { maxBytes: null })
  const answer = await unlimited.send('PUT', '/uploads/', range('bytes 0-9/999999999999999999999'))
  t.equal(answer.status, 400)
  t.strictSame(answer.json, detail('Size of file exceeds the limit (9007199254740991 bytes)'))
  t.equal((await unlimited.send('PUT', '/uploads/', range('bytes 0-9/9007199254740991'))).status, 200)
  const limited = await serve(t)
  t.equal((await limited.send('PUT', '/uploads/', range('bytes 0-9/1000000'))).status, 200)
})

t.test('7: an expired upload answers 410 to every chunk, and is still shown', async t => {
  const server = await serve(t)
  const id = await begin(server)
  await server.expire(id)
  for (const text of ['bytes 10-19/20', 'bytes 0-9/20', 'bytes 10-19/30']) {
    const answer = await server.send('PUT', `/uploads/${id}/`, range(text))
    t.equal(answer.status, 410)
    t.strictSame(answer.json, detail('Upload has expired'))
  }
  const shown = await server.send('GET', `/uploads/${id}`)
  t.equal(shown.status, 200)
  t.match(shown.json, { id, status: 1, offset: 10 })
})

t.test('8: a complete upload takes no more chunks', async t => {
  const server = await serve(t)
  const id = await finish(server)
  for (const text of ['bytes 0-9/10', 'bytes 10-19/20']) {
    const answer = await server.send('PUT', `/uploads/${id}/`, range(text))
    t.equal(answer.status, 400)
    t.strictSame(answer.json, detail('Upload has already been marked as "complete"'))
  }
})

t.test('requireFilename: the field has to come, before the file or after it', async t => {
  const server = await serve(t, { requireFilename: true })
  const missing = refused('11: without it', 'collection', named('a.bin'), detail({ filename: ['This field is required.'] }))
  await provesFault(t, server, missing)
  t.equal(field(await server.send('PUT', '/uploads/', named('a.bin', { name: 'filename', content: 'b.bin' })), 'filename'), 'b.bin')
  t.equal(field(await server.send('PUT', '/uploads/', fieldFirst('c.bin')), 'filename'), 'c.bin')
})

t.test('requireContentRange off: a part without a usable Content-Range is the whole file', async t => {
  const server = await serve(t, { requireContentRange: false })
  const first = await server.send('PUT', '/uploads/', chunkForm(TEN, undefined))
  t.equal(first.status, 200)
  t.equal(field(first, 'offset'), '10')
  const path = `/uploads/${field(first, 'id')}`
  t.strictSame((await server.send('PUT', path, chunkForm(TEN, 'bytes nonsense'))).json, mismatch(10, 0))
  const empty = await server.send('PUT', '/uploads/', chunkForm('', undefined))
  t.strictSame(empty.json, detail({ file: ['The submitted file is empty.'] }))
  t.strictSame((await server.send('PUT', '/uploads/', chunkForm(Buffer.alloc(LIMIT + 1), undefined))).json, TOO_LARGE)
  t.equal((await server.send('PUT', '/uploads/', chunkForm(Buffer.alloc(LIMIT), undefined))).status, 200)
  t.equal(await countUploads(server), 2, 'failed uploads left nothing')
  t.equal((await server.send('POST', path, json({ md5: MD5_OF_TEN }))).status, 200)
})

t.test('without requireComplete each chunk may tell another total, and what is there is the file', async t => {
  const server = await serve(t, { requireComplete: false })
  const id = field(await server.send('PUT', '/uploads/', chunkForm('01234', 'bytes 0-4/20')), 'id')
  t.equal((await server.send('PUT', `/uploads/${id}`, chunkForm('56789', 'bytes 5-9/30'))).status, 200)
  t.strictSame((await server.send('PUT', `/uploads/${id}`, chunkForm('x', 'bytes 10-10/1000001'))).json, TOO_LARGE)
  const done = await server.send('POST', `/uploads/${id}`, json({ md5: MD5_OF_TEN }))
  t.equal(done.status, 200)
  t.match(done.json, { status: 2, offset: 10 })
})
