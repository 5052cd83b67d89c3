import t from 'tap'
import { readParts } from '../../../src/http/body/multipart.js'
import { bodyOf as streamOf, OpenBody } from '../../support/engine.js'
import { faults, plainHost } from '../../support/host.js'
import { RawHttp } from '../../support/raw-http.js'

const type = 'multipart/form-data; boundary=x'
const field = (name: string, value: string): string => `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = (name: string, filename: string, value: string): string =>
  `--x\r\nContent-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: a/b\r\n\r\n${value}\r\n`
const end = '--x--\r\n'

interface Case {
  readonly title: string
  readonly body: string
  readonly status: number
  readonly found?: unknown
  readonly says?: RegExp
  readonly type?: string
}

const forms: readonly Case[] = [
  {
    title: 'fields and files',
    body: field('a', '1') + file('f', 'n.bin', 'xyz') + field('b', '2') + end,
    status: 200,
    found: [['a', '1'], ['f', { filename: 'n.bin', contentType: 'a/b', bytes: 3 }], ['b', '2']]
  },
  {
    title: 'several files',
    body: file('f', 'a', '1') + file('f', 'b', '22') + end,
    status: 200,
    found: [['f', { filename: 'a', bytes: 1 }], ['f', { filename: 'b', bytes: 2 }]]
  },
  { title: 'an empty file', body: file('f', 'a', '') + end, status: 200, found: [['f', { filename: 'a', bytes: 0 }]] },
  { title: 'a file without a name', body: file('f', '', 'x') + end, status: 200, found: [['f', { filename: '', bytes: 1 }]] },
  {
    title: 'names in UTF-8',
    body: field('größe', '✓') + file('f', 'Übung 文.bin', 'x') + end,
    status: 200,
    found: [['größe', '✓'], ['f', { filename: 'Übung 文.bin' }]]
  },
  {
    title: 'a name as RFC 5987 has it',
    body: '--x\r\nContent-Disposition: form-data; name="f"; filename*=UTF-8\'\'%C3%9C.bin\r\n\r\nx\r\n' + end,
    status: 200
  },
  {
    title: 'a name with a path',
    body: file('f', '../../etc/passwd', 'x') + end,
    status: 200,
    found: [['f', { filename: '../../etc/passwd' }]]
  },
  {
    title: 'a name with a path of Windows',
    body: file('f', 'C:\\a\\b.txt', 'x') + end,
    status: 200,
    found: [['f', { filename: 'C:\\a\\b.txt' }]]
  },
  {
    title: 'names of Object.prototype',
    body: field('__proto__', '1') + field('constructor', '2') + end,
    status: 200,
    found: [['__proto__', '1'], ['constructor', '2']]
  },
  { title: 'a preamble and an epilogue', body: 'hello\r\n' + field('a', '1') + end + 'bye', status: 200, found: [['a', '1']] },
  { title: 'nothing but the end', body: '--x--\r\n', status: 200, found: [] },
  { title: 'no boundary in the header', type: 'multipart/form-data', body: field('a', '1') + end, status: 400, says: /Boundary not found/ },
  {
    title: 'another boundary than the header says',
    body: field('a', '1').replaceAll('--x', '--y') + '--y--',
    status: 400,
    says: /Unexpected end/
  },
  { title: 'an empty body', body: '', status: 400, says: /Unexpected end/ },
  { title: 'no final boundary behind a field', body: field('a', '1'), status: 400, says: /Unexpected end/ },
  { title: 'no final boundary behind a file', body: file('f', 'a', 'xyz'), status: 400, says: /Unexpected end|ended early/ },
  { title: 'an end in the midst of a header', body: '--x\r\nContent-Dispo', status: 400, says: /Unexpected end/ },
  { title: 'a part without a name', body: '--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n' + end, status: 400, says: /no name/ },
  {
    title: 'a file without a field name',
    body: '--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\nv\r\n' + end,
    status: 400,
    says: /no name/
  },
  { title: 'a part without headers', body: '--x\r\n\r\nv\r\n' + field('a', '1') + end, status: 400, says: /no name/ },
  ...[40_000, 66_000, 300_000].map(length => ({
    title: `a part of ${length} bytes that is no form's`,
    body: `--x\r\nX: y\r\n\r\n${'a'.repeat(length)}\r\n${field('a', '1')}${end}`,
    status: 400,
    says: /no name/
  })),
  {
    title: 'a part of another disposition',
    body: `--x\r\nContent-Disposition: attachment; name="f"\r\n\r\n${'a'.repeat(300_000)}\r\n${field('a', '1')}${end}`,
    status: 400,
    says: /no name/
  },
  { title: 'fields of more than 1 MiB together', body: field('a', 'v'.repeat(60_000)).repeat(18) + end, status: 413, says: /1048576 bytes/ },
  {
    title: 'a part header of 1 MB',
    body: `--x\r\nX-Pad: ${'p'.repeat(1_000_000)}\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n` + field('b', '2') + end,
    status: 400,
    says: /no name/
  },
  { title: '10 000 fields', body: field('a', '1').repeat(10_000) + end, status: 413, says: /at most 100 fields/ },
  { title: '10 000 files', body: file('f', 'a', '1').repeat(10_000) + end, status: 413, says: /at most 200 parts/ },
  { title: 'a field of 100 kB', body: field('a', 'v'.repeat(100_000)) + end, status: 413, says: /may have 65536 bytes/ },
  { title: 'a field of 10 MB', body: field('a', 'v'.repeat(10_000_000)) + end, status: 413, says: /at most 1048576 bytes/ },
  { title: 'a field name of 100 kB', body: field('n'.repeat(100_000), '1') + end, status: 413, says: /name of a part/ },
  {
    title: 'bare line breaks in a name',
    body: '--x\r\nContent-Disposition: form-data; name="a\nb"\r\n\r\nv\r\n' + end,
    status: 400,
    says: /no name/
  },
  { title: 'a NUL in a name', body: field('a\0b', '1') + end, status: 200, found: [['a\0b', '1']] },
  {
    title: 'bytes that are no text',
    body: Buffer.from([0x80, 0xff, 0, 1]).toString('latin1').repeat(1000),
    status: 400,
    says: /Unexpected end/
  }
]

for (const { title, body, status, found, says, type: given = type } of forms) {
  t.test(`invariant 13: a form with ${title} gets ${status}, and the connection goes on`, async t => {
    const { listen, log } = await plainHost(t)
    const { port } = await listen()
    const http = await RawHttp.connect(port)
    t.teardown(() => { http.socket.destroy() })
    const bytes = Buffer.from(body)
    for (const pieces of [1, 7]) {
      http.request('POST', '/u/parts', { 'content-type': given, 'content-length': bytes.length })
      const step = Math.ceil(bytes.length / pieces)
      for (let start = 0; start < bytes.length; start += step) {
        http.send(bytes.subarray(start, start + step))
        await new Promise(resolve => { setImmediate(resolve) })
      }
      const reply = await http.reply()
      t.equal(reply.status, status)
      if (found !== undefined) t.match(JSON.parse(reply.body), found)
      if (Array.isArray(found)) t.equal(JSON.parse(reply.body).length, found.length)
      if (says !== undefined) t.match(JSON.parse(reply.body).message, says)
      t.equal((await http.request('GET', '/u').reply()).status, 200)
    }
    t.strictSame(faults(log), [])
  })
}

t.test('a part that is left unread is skipped when the next one is asked for', async t => {
  const names: string[] = []
  const body = file('f', 'a', 'x'.repeat(500_000)) + field('a', '1') + file('g', 'b', 'x'.repeat(500_000)) + field('b', '2') + end
  for await (const part of readParts(streamOf(Buffer.from(body), 1000), type)) names.push(part.name)
  t.strictSame(names, ['f', 'a', 'g', 'b'])
})

t.test('a part that is destroyed ends the form', async t => {
  const body = file('f', 'a', 'x'.repeat(500_000)) + field('a', '1') + end
  await t.rejects(async () => {
    for await (const part of readParts(streamOf(Buffer.from(body), 1000), type)) if (part.kind === 'file') part.body.destroy()
  }, { code: 'FST_CHUNKED_UPLOAD_BODY_CUT' })
})

t.test('a body that breaks ends the form, and the file that is being read', async t => {
  for (const sent of ['', '--x\r\n', file('f', 'a', 'xyz').slice(0, -4), field('a', '1')]) {
    const body = new OpenBody().send(Buffer.from(sent === '' ? '-' : sent))
    const reading = (async () => {
      for await (const part of readParts(body, type)) {
        if (part.kind === 'file') for await (const piece of part.body) t.ok(piece.length > 0)
      }
    })()
    setImmediate(() => { body.cut() })
    await t.rejects(reading, { code: 'FST_CHUNKED_UPLOAD_BODY_CUT' })
  }
})

t.test('a body that is broken or at its end already is no form', async t => {
  const broken = new OpenBody()
  broken.on('error', () => {})
  broken.cut()
  await new Promise(resolve => { setImmediate(resolve) })
  const ended = new OpenBody().end()
  ended.resume()
  await new Promise(resolve => { setImmediate(resolve) })
  const read = async (body: OpenBody): Promise<void> => { for await (const part of readParts(body, type)) t.fail(part.name) }
  await t.rejects(read(broken), { code: 'FST_CHUNKED_UPLOAD_BODY_CUT' })
  await t.rejects(read(ended), { code: 'FST_CHUNKED_UPLOAD_FORM' })
})

t.test('leaves no listener on a body but the one for late errors', async t => {
  const body = streamOf(Buffer.from(field('a', '1') + field('b', '2') + end), 10)
  for await (const part of readParts(body, type)) {
    if (part.name === 'a') break
  }
  const left = body.eventNames().filter(name => name !== 'error' && body.listenerCount(name) > 0)
  t.strictSame(left, [])
})
