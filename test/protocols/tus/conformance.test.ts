import { createHash } from 'node:crypto'
import t from 'tap'
import { startTus, TYPE, type TusServer } from '../../support/tus.js'

// What tus 1.0.0 and its extensions ask of a server, a request for each rule: what the upload has seen before it, what is sent, and what is
// answered. The numbers are those of the requirements: C core, X creation, W creation with upload, E expiration, K checksum, T termination,
// N concatenation. All extensions are on.

type Before = 'begun' | 'finished' | 'deferred' | 'partial' | 'openPartial' | 'final' | 'openFinal' | 'terminated' | 'unknown'
type Fields = Readonly<Record<string, string | number | undefined>>

interface Case {
  readonly rule: string
  /**
   * What is there: uploads of 10 bytes with 4 or all of them; one of unknown length with 4; parts with all or 4 of their 10 bytes;
   * final uploads of a whole part and of an open one; one that got a DELETE. Without it the request goes to the mount.
   */
  readonly on?: Before
  readonly method: string
  readonly headers?: Fields
  readonly body?: string
  readonly status: number
  /** Fields of the reply; undefined: it is not there. */
  readonly replies?: Readonly<Record<string, string | RegExp | undefined>>
  /** The offset that HEAD tells afterwards. */
  readonly offset?: string
}

const sha1 = (text: string): string => `sha1 ${createHash('sha1').update(text).digest('base64')}`
const at = (offset: number | string, more: Fields = {}): Fields => ({ ...TYPE, 'upload-offset': offset, ...more })
const list = (...names: readonly string[]): RegExp => new RegExp(`^(?=.*${names.join('\\b)(?=.*')}\\b)`)
const extensions = list(
  'creation', 'creation-with-upload', 'creation-defer-length', 'expiration', 'checksum', 'checksum-trailer', 'termination', 'concatenation',
  'concatenation-unfinished'
)
const wrong = ['+5', '1e3', '-1', '0x5', '5.0', 'five', '9007199254740993', '4, 4']

const cases: readonly Case[] = [
  // Discovery and versions
  {
    rule: 'C3, C4, C5, C15, K5: OPTIONS tells what the server can do',
    method: 'OPTIONS',
    headers: { 'tus-resumable': undefined },
    status: 200,
    replies: { 'tus-version': '1.0.0', 'tus-extension': extensions, 'tus-max-size': '1000', 'tus-checksum-algorithm': list('sha1', 'md5') }
  },
  { rule: 'C15: OPTIONS with another version', method: 'OPTIONS', headers: { 'tus-resumable': '0.2.2' }, status: 200 },
  { rule: 'C15: OPTIONS on an upload', on: 'begun', method: 'OPTIONS', status: 200, replies: { 'tus-version': '1.0.0' } },
  ...['POST', 'HEAD', 'PATCH', 'DELETE'].flatMap(method => [undefined, '0.2.2', '1.0.1'].map((version): Case => ({
    rule: `C2: ${method} with ${version ?? 'no'} version`,
    ...method !== 'POST' && { on: 'begun' },
    method,
    headers: { ...at(4), 'upload-length': 10, 'tus-resumable': version },
    status: 412,
    replies: { 'tus-version': '1.0.0' },
    ...method !== 'POST' && { offset: '4' }
  }))),
  ...['POST', 'PUT'].map((method): Case => ({
    rule: `C6: ${method} that stands for PATCH`,
    on: 'begun',
    method,
    headers: at(4, { 'x-http-method-override': 'PATCH' }),
    body: '456789',
    status: 204,
    replies: { 'upload-offset': '10' }
  })),
  { rule: 'C6: POST that stands for DELETE', on: 'begun', method: 'POST', headers: { 'x-http-method-override': 'DELETE' }, status: 204 },
  {
    rule: 'section 8: a method that is not known here',
    on: 'begun',
    method: 'PUT',
    status: 405,
    replies: { allow: list('HEAD', 'PATCH') }
  },

  // Core
  {
    rule: 'C8: HEAD',
    on: 'begun',
    method: 'HEAD',
    status: 200,
    replies: { 'upload-offset': '4', 'upload-length': '10', 'cache-control': /no-store/, 'upload-expires': /GMT$/ }
  },
  {
    rule: 'C8, E4: HEAD of a finished upload',
    on: 'finished',
    method: 'HEAD',
    status: 200,
    replies: { 'upload-offset': '10', 'upload-length': '10', 'upload-expires': undefined }
  },
  { rule: 'C9: HEAD of an unknown upload', on: 'unknown', method: 'HEAD', status: 404, replies: { 'upload-offset': undefined } },
  {
    rule: 'C12, E1: PATCH',
    on: 'begun',
    method: 'PATCH',
    headers: at(4),
    body: '45',
    status: 204,
    replies: { 'upload-offset': '6', 'upload-expires': /GMT$/ },
    offset: '6'
  },
  {
    rule: 'C12: the last PATCH',
    on: 'begun',
    method: 'PATCH',
    headers: at(4),
    body: '456789',
    status: 204,
    replies: { 'upload-offset': '10' },
    offset: '10'
  },
  ...['application/octet-stream', undefined, 'text/plain'].map((type): Case => ({
    rule: `C10: PATCH of the type ${type ?? 'that is not said'}`,
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'content-type': type }),
    body: '45',
    status: 415,
    offset: '4'
  })),
  ...[0, 3, 5, 11].map((offset): Case => ({
    rule: `C11: PATCH at ${offset} of 4`,
    on: 'begun',
    method: 'PATCH',
    headers: at(offset),
    body: '45',
    status: 409,
    replies: { 'upload-offset': '4' },
    offset: '4'
  })),
  { rule: 'C13: PATCH on an unknown upload', on: 'unknown', method: 'PATCH', headers: at(0), body: '45', status: 404 },
  { rule: 'corner: PATCH without an offset', on: 'begun', method: 'PATCH', headers: TYPE, body: '45', status: 400, offset: '4' },
  ...wrong.map((value): Case => (
    { rule: `C7: Upload-Offset: ${value}`, on: 'begun', method: 'PATCH', headers: at(value), body: '45', status: 400, offset: '4' }
  )),
  { rule: 'corner: more than the rest', on: 'begun', method: 'PATCH', headers: at(4), body: '4567890', status: 413, offset: '4' },
  {
    rule: 'corner: an empty PATCH',
    on: 'begun',
    method: 'PATCH',
    headers: at(4),
    body: '',
    status: 204,
    replies: { 'upload-offset': '4' }
  },
  {
    rule: 'corner: an empty PATCH on a finished upload',
    on: 'finished',
    method: 'PATCH',
    headers: at(10),
    body: '',
    status: 204,
    offset: '10'
  },

  // Creation
  {
    rule: 'X1, X9, E1: creation',
    method: 'POST',
    headers: { 'upload-length': 10 },
    status: 201,
    replies: { location: /^\/uploads\/[\w-]+$/, 'upload-expires': /GMT$/ }
  },
  { rule: 'X1: with a deferred length', method: 'POST', headers: { 'upload-defer-length': 1 }, status: 201, replies: { location: /./ } },
  ...[0, 2, 'true'].map((value): Case => (
    { rule: `X1: Upload-Defer-Length: ${value}`, method: 'POST', headers: { 'upload-defer-length': value }, status: 400 }
  )),
  { rule: 'X2: both', method: 'POST', headers: { 'upload-length': 10, 'upload-defer-length': 1 }, status: 400 },
  { rule: 'X2: neither', method: 'POST', status: 400 },
  ...wrong.map((value): Case => (
    { rule: `C7: Upload-Length: ${value}`, method: 'POST', headers: { 'upload-length': value }, status: 400 }
  )),
  { rule: 'X5: an empty file', method: 'POST', headers: { 'upload-length': 0 }, status: 201, replies: { 'upload-offset': '0' } },
  { rule: 'X8: beyond the maximum', method: 'POST', headers: { 'upload-length': 1001 }, status: 413 },
  ...['a YQ==,b', 'a'].map((value): Case => (
    { rule: `X6: Upload-Metadata: ${value}`, method: 'POST', headers: { 'upload-length': 1, 'upload-metadata': value }, status: 201 }
  )),
  ...['a YQ==,a YQ==', 'a YQ==,,b YQ==', 'a b c', 'a !!!'].map((value): Case => (
    { rule: `X6: Upload-Metadata: ${value}`, method: 'POST', headers: { 'upload-length': 1, 'upload-metadata': value }, status: 400 }
  )),
  {
    rule: 'X4: HEAD of a deferred length',
    on: 'deferred',
    method: 'HEAD',
    status: 200,
    replies: { 'upload-defer-length': '1', 'upload-length': undefined, 'upload-offset': '4' }
  },
  {
    rule: 'X3: the length comes with a PATCH',
    on: 'deferred',
    method: 'PATCH',
    headers: at(4, { 'upload-length': 6 }),
    body: '45',
    status: 204,
    offset: '6'
  },
  {
    rule: 'X3: the same length again',
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-length': 10 }),
    body: '45',
    status: 204,
    offset: '6'
  },
  {
    rule: 'X3: another length',
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-length': 11 }),
    body: '45',
    status: 400,
    offset: '4'
  },
  {
    rule: 'X10: a length below the offset',
    on: 'deferred',
    method: 'PATCH',
    headers: at(4, { 'upload-length': 3 }),
    body: '',
    status: 400
  },
  {
    rule: 'X10: a length beyond the maximum',
    on: 'deferred',
    method: 'PATCH',
    headers: at(4, { 'upload-length': 1001 }),
    body: '4',
    status: 413
  },

  // Creation with upload
  {
    rule: 'W2: the first bytes',
    method: 'POST',
    headers: { ...TYPE, 'upload-length': 10 },
    body: '0123',
    status: 201,
    replies: { 'upload-offset': '4' }
  },
  {
    rule: 'W2: all bytes',
    method: 'POST',
    headers: { ...TYPE, 'upload-length': 4 },
    body: '0123',
    status: 201,
    replies: { 'upload-offset': '4' }
  },
  {
    rule: 'W4: of a deferred length',
    method: 'POST',
    headers: { ...TYPE, 'upload-defer-length': 1 },
    body: '0123',
    status: 201,
    replies: { 'upload-offset': '4' }
  },
  {
    rule: 'W1: a body of another type',
    method: 'POST',
    headers: { 'content-type': 'text/plain', 'upload-length': 10 },
    body: '0123',
    status: 415,
    replies: { location: undefined }
  },
  { rule: 'W1: too many bytes', method: 'POST', headers: { ...TYPE, 'upload-length': 2 }, body: '0123', status: 413 },

  // Checksum
  {
    rule: 'K1: the right one',
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-checksum': sha1('45') }),
    body: '45',
    status: 204,
    offset: '6'
  },
  {
    rule: 'K2, K3: the wrong one',
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-checksum': sha1('54') }),
    body: '45',
    status: 460,
    replies: { 'upload-offset': '4' },
    offset: '4'
  },
  ...['crc64 AAAA', 'sha1', 'sha1 !!!', 'SHA1 AAAA'].map((value): Case => ({
    rule: `K2, K4, K7: Upload-Checksum: ${value}`,
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-checksum': value }),
    body: '45',
    status: 400,
    offset: '4'
  })),
  {
    rule: 'K7: of the wrong length',
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-checksum': 'sha1 AAAA' }),
    body: '45',
    status: 460,
    offset: '4'
  },
  {
    rule: 'K9: of nothing',
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-checksum': sha1('') }),
    body: '',
    status: 204,
    offset: '4'
  },
  {
    rule: 'K9: of nothing, wrong',
    on: 'begun',
    method: 'PATCH',
    headers: at(4, { 'upload-checksum': sha1('4') }),
    body: '',
    status: 460,
    offset: '4'
  },

  // Termination
  { rule: 'T1, T4: DELETE', on: 'begun', method: 'DELETE', status: 204 },
  { rule: 'T3: DELETE of a finished upload', on: 'finished', method: 'DELETE', status: 204 },
  { rule: 'T2: HEAD afterwards', on: 'terminated', method: 'HEAD', status: 404 },
  { rule: 'T2: PATCH afterwards', on: 'terminated', method: 'PATCH', headers: at(4), body: '45', status: 404 },
  { rule: 'T2: DELETE afterwards', on: 'terminated', method: 'DELETE', status: 404 },
  { rule: 'T2: DELETE of an unknown upload', on: 'unknown', method: 'DELETE', status: 404 },

  // Concatenation
  {
    rule: 'N4: HEAD of a part',
    on: 'partial',
    method: 'HEAD',
    status: 200,
    replies: { 'upload-concat': 'partial', 'upload-offset': '10' }
  },
  {
    rule: 'N2, N4: HEAD of a final upload',
    on: 'final',
    method: 'HEAD',
    status: 200,
    replies: { 'upload-concat': /^final;/, 'upload-length': '20', 'upload-offset': '20' }
  },
  {
    rule: 'N4, N6: HEAD of a final upload whose parts are open',
    on: 'openFinal',
    method: 'HEAD',
    status: 200,
    replies: { 'upload-concat': /^final;/, 'upload-length': '20', 'upload-offset': undefined }
  },
  { rule: 'N3: PATCH on a final upload', on: 'final', method: 'PATCH', headers: at(20), body: '45', status: 403, offset: '20' },
  { rule: 'N3: PATCH on an unfinished final upload', on: 'openFinal', method: 'PATCH', headers: at(0), body: '45', status: 403 },
  {
    rule: 'N10: an unknown part',
    method: 'POST',
    headers: { 'upload-concat': 'final;/uploads/0123456789abcdef0123456789abcdef' },
    status: 404
  },
  { rule: 'N9: a part of another host', method: 'POST', headers: { 'upload-concat': 'final;http://other.example/uploads/a' }, status: 400 },
  { rule: 'N1: neither partial nor final', method: 'POST', headers: { 'upload-length': 1, 'upload-concat': 'whole' }, status: 400 },
  { rule: 'N1: no parts', method: 'POST', headers: { 'upload-concat': 'final;' }, status: 400 },
  {
    rule: 'N14: Upload-Concat on PATCH',
    on: 'openPartial',
    method: 'PATCH',
    headers: at(4, { 'upload-concat': 'partial' }),
    body: '45',
    status: 204,
    offset: '6'
  }
]

t.test('tus 1.0.0, request by request', async t => {
  const server = await startTus(t, { maxBytes: 1000 }, { mayFail: true })
  for (const { rule, on, method, headers = {}, body, status, replies = {}, offset } of cases) {
    t.test(rule, async t => {
      const path = await make(server, on)
      const reply = await server.ask(method, path, headers, body)
      t.equal(reply.status, status, reply.text)
      t.equal(reply.headers['tus-resumable'], '1.0.0', 'C1')
      for (const [name, value] of Object.entries(replies)) {
        if (value === undefined) t.notOk(name in reply.headers, `no ${name}`)
        else t.match(reply.headers[name], value, name)
      }
      if (offset !== undefined) t.equal((await server.ask('HEAD', path)).headers['upload-offset'], offset, 'the offset afterwards')
    })
  }
})

/** The path of an upload in the state that a case asks for; without one, that of the mount. */
async function make (server: TusServer, on: Before | undefined): Promise<string> {
  const create = async (length: number | null, body: string, headers: Readonly<Record<string, string>> = {}): Promise<string> => {
    const path = await server.create(length, headers)
    if (body !== '') await server.patch(path, 0, body)
    return path
  }
  const part = { 'upload-concat': 'partial' }
  const final = async (body: string): Promise<string> => {
    const path = await create(10, body, part)
    const { headers } = await server.ask('POST', '/uploads', { 'upload-concat': `final;${path} ${path}` })
    return String(headers.location)
  }
  switch (on) {
    case undefined: return '/uploads'
    case 'unknown': return '/uploads/0123456789abcdef0123456789abcdef'
    case 'begun': return await create(10, '0123')
    case 'finished': return await create(10, '0123456789')
    case 'deferred': return await create(null, '0123')
    case 'partial': return await create(10, '0123456789', part)
    case 'openPartial': return await create(10, '0123', part)
    case 'final': return await final('0123456789')
    case 'openFinal': return await final('0123')
    case 'terminated': {
      const path = await create(10, '0123')
      await server.ask('DELETE', path)
      return path
    }
  }
}
