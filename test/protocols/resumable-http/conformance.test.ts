import { randomBytes } from 'node:crypto'
import t from 'tap'
import {
  type Answer, appending, completeField, creation, type Fields, type Interop, interopVersions, locationOf, send, versionField
} from '../../support/resumable-client.js'
import { resumableServer } from '../../support/resumable-server.js'

// What draft-ietf-httpbis-resumable-upload-12 asks of a server, for every interop version (a row of the table). A request stands for each
// rule: what the upload has seen before it, what it sends, and what it is answered.

const file = randomBytes(5000)
const PROBLEMS = 'https://iana.org/assignments/http-problem-types#'

type Status = number | ((version: Interop) => number)
type Problem = 'mismatching-upload-offset' | 'inconsistent-upload-length' | 'completed-upload'

interface Case {
  readonly says: string
  /** Only for these versions; undefined stands for requests without one. */
  readonly rows?: readonly Interop[]
  /**
   * What is there: nothing, an empty upload, one of 1000 bytes, one with a length of 2000 and 1000 bytes there, a finished one of 1000; one
   * that got a DELETE while unfinished, or finished.
   */
  readonly upload?: 'empty' | 'begun' | 'sized' | 'finished' | 'cancelled' | 'forgotten' | 'unknown'
  readonly method: string
  readonly headers?: (version: Interop) => Fields
  readonly body?: Uint8Array | undefined
  readonly status: Status
  /** Upload-Complete of the reply, in the words of the version. Null: the field is not there. */
  readonly complete?: boolean | null
  readonly offset?: number
  readonly problem?: (version: Interop) => Problem | undefined
  /** Other fields of the reply. */
  readonly fields?: Readonly<Record<string, RegExp | string>>
  /** Bytes that the upload has afterwards. */
  readonly stored?: number | ((version: Interop) => number)
}

const isOld = (version: Interop): boolean => version !== undefined && version <= 6
const newer: readonly Interop[] = [7, 8, 9, undefined]
const older: readonly Interop[] = [3, 4, 5, 6]
const typed = { 'content-type': 'application/partial-upload' }
const noCompleteness = (offset: number) => (version: Interop): Fields => {
  return { ...versionField(version), ...typed, 'upload-offset': String(offset) }
}
const mismatch = (version: Interop): Problem | undefined => {
  return version === undefined || version >= 6 ? 'mismatching-upload-offset' : undefined
}
const inconsistent = (version: Interop): Problem | undefined => {
  return version === undefined || version >= 7 ? 'inconsistent-upload-length' : undefined
}
const completed = (version: Interop): Problem | undefined => {
  return version === 6 || version === 7 || version === 8 ? 'completed-upload' : inconsistent(version)
}
const part = file.subarray(1000, 2000)

const cases: readonly Case[] = [
  // Creation
  ...['POST', 'PUT', 'PATCH'].map((method): Case => ({
    says: `a creation by ${method} with the whole file`,
    method,
    headers: version => creation(version, true),
    body: file,
    status: 201,
    complete: true,
    offset: 5000,
    fields: { location: /./, 'upload-limit': /./ }
  })),
  {
    says: 'a creation with the first bytes',
    method: 'POST',
    headers: version => creation(version, false),
    body: part,
    status: 201,
    complete: false,
    offset: 1000,
    fields: { location: /./, 'upload-limit': /./ }
  },
  {
    says: 'a careful creation', method: 'POST', headers: version => creation(version, false), status: 201, complete: false, offset: 0
  },
  {
    says: 'an empty file', method: 'POST', headers: version => creation(version, true), status: 201, complete: true, offset: 0
  },
  {
    says: 'a creation whose lengths disagree',
    method: 'POST',
    headers: version => creation(version, true, { 'upload-length': '9' }),
    body: part,
    status: 400,
    complete: false,
    problem: inconsistent
  },
  {
    says: 'a creation that brings more than its Upload-Length',
    method: 'POST',
    headers: version => creation(version, false, { 'upload-length': '9' }),
    body: part,
    status: 400,
    complete: false,
    problem: inconsistent
  },
  {
    says: 'a creation that is too large',
    method: 'POST',
    headers: version => creation(version, false, { 'upload-length': '100001' }),
    status: 413,
    complete: false,
    fields: { 'upload-limit': /max-size=100000/ }
  },
  {
    says: 'a creation with a negative Upload-Length',
    method: 'POST',
    headers: version => creation(version, false, { 'upload-length': '-1' }),
    status: 400,
    complete: false
  },
  {
    says: 'a creation that the host refuses',
    method: 'POST',
    headers: version => creation(version, true, { 'content-type': 'text/evil' }),
    body: part,
    status: 422,
    complete: false
  },
  {
    says: 'a creation that authentication refuses',
    method: 'POST',
    headers: version => creation(version, true, { 'x-refuse': 'yes' }),
    body: part,
    status: 401,
    complete: false
  },
  {
    says: 'a file that the target refuses',
    method: 'POST',
    headers: version => creation(version, true, { 'content-type': 'text/late' }),
    body: part,
    status: 422,
    complete: true
  },
  {
    says: 'Upload-Complete of another type is no field',
    method: 'POST',
    headers: version => ({ ...versionField(version), 'upload-complete': 'true' }),
    body: part,
    status: 201
  },
  // Offset retrieval
  {
    says: 'HEAD of an unfinished upload',
    upload: 'begun',
    method: 'HEAD',
    status: 204,
    complete: false,
    offset: 1000,
    fields: { 'cache-control': 'no-store', 'upload-limit': /./ }
  },
  {
    says: 'HEAD tells the length',
    upload: 'sized',
    method: 'HEAD',
    status: 204,
    complete: false,
    offset: 1000,
    fields: { 'upload-length': '2000' }
  },
  { says: 'HEAD of a finished upload', upload: 'finished', method: 'HEAD', status: 204, complete: true, offset: 1000 },
  { says: 'GET tells the same', upload: 'begun', method: 'GET', status: 204, complete: false, offset: 1000 },
  { says: 'HEAD of an unknown upload', upload: 'unknown', method: 'HEAD', status: 404 },
  { says: 'HEAD of a cancelled upload', upload: 'cancelled', method: 'HEAD', status: 404 },
  {
    says: 'HEAD with Upload-Offset',
    upload: 'begun',
    method: 'HEAD',
    headers: () => ({ 'upload-offset': '1000' }),
    status: 400,
    stored: 1000
  },
  {
    says: 'HEAD with the completeness field',
    upload: 'begun',
    method: 'HEAD',
    headers: version => completeField(version, false),
    status: 400
  },
  { says: 'GET with Upload-Offset', upload: 'begun', method: 'GET', headers: () => ({ 'upload-offset': '1000' }), status: 400 },
  // Append
  {
    says: 'an append',
    upload: 'begun',
    method: 'PATCH',
    headers: version => appending(version, 1000, false),
    body: part,
    status: version => isOld(version) ? 201 : 204,
    complete: false,
    offset: 2000,
    stored: 2000
  },
  {
    says: 'the last append',
    upload: 'begun',
    method: 'PATCH',
    headers: version => appending(version, 1000, true),
    body: part,
    status: version => isOld(version) ? 201 : 200,
    complete: true,
    offset: 2000,
    stored: 2000
  },
  {
    says: 'an empty last append',
    upload: 'begun',
    method: 'PATCH',
    headers: version => appending(version, 1000, true),
    status: version => isOld(version) ? 201 : 200,
    complete: true,
    offset: 1000
  },
  {
    says: 'an append that reaches the length does not complete',
    upload: 'sized',
    method: 'PATCH',
    headers: version => appending(version, 1000, false),
    body: part,
    status: version => isOld(version) ? 201 : 204,
    complete: false,
    offset: 2000
  },
  ...[0, 999, 1001].map((offset): Case => ({
    says: `an append at ${offset} of 1000`,
    upload: 'begun',
    method: 'PATCH',
    headers: version => appending(version, offset, true),
    body: part,
    status: 409,
    complete: false,
    offset: 1000,
    problem: mismatch,
    stored: 1000
  })),
  {
    says: 'an append without Upload-Offset',
    upload: 'begun',
    method: 'PATCH',
    headers: version => ({ ...versionField(version), ...completeField(version, true), ...typed }),
    body: part,
    status: 400,
    complete: false,
    stored: 1000
  },
  {
    says: 'an append with Upload-Offset of another type',
    upload: 'begun',
    method: 'PATCH',
    headers: version => ({ ...appending(version, 1000, true), 'upload-offset': '"1000"' }),
    body: part,
    status: 400,
    complete: false,
    stored: 1000
  },
  {
    says: 'an append that does not say whether it is the last',
    rows: newer,
    upload: 'begun',
    method: 'PATCH',
    headers: noCompleteness(1000),
    body: part,
    status: 400,
    complete: false,
    stored: 1000
  },
  {
    says: 'an append with Upload-Complete of another type',
    rows: newer,
    upload: 'begun',
    method: 'PATCH',
    headers: version => ({ ...noCompleteness(1000)(version), 'upload-complete': '1' }),
    body: part,
    status: 400,
    complete: false,
    stored: 1000
  },
  {
    says: 'an append that does not say whether it is the last, in older versions',
    rows: older,
    upload: 'begun',
    method: 'PATCH',
    headers: noCompleteness(1000),
    body: part,
    status: 201,
    stored: 2000
  },
  {
    says: 'an append of another media type',
    rows: [6, ...newer],
    upload: 'begun',
    method: 'PATCH',
    headers: version => appending(version, 1000, true, { 'content-type': 'text/plain' }),
    body: part,
    status: 415,
    complete: false,
    fields: { 'accept-patch': 'application/partial-upload' },
    stored: 1000
  },
  {
    says: 'an append beyond the length',
    upload: 'sized',
    method: 'PATCH',
    headers: version => appending(version, 1000, false),
    body: file.subarray(0, 1001),
    status: 400,
    complete: false,
    problem: inconsistent
  },
  {
    says: 'an append of another length',
    upload: 'sized',
    method: 'PATCH',
    headers: version => appending(version, 1000, false, { 'upload-length': '2001' }),
    body: part,
    status: 400,
    complete: false,
    problem: inconsistent
  },
  {
    says: 'a last append that ends before the length',
    upload: 'sized',
    method: 'PATCH',
    headers: version => appending(version, 1000, true),
    body: part.subarray(1),
    status: 400,
    complete: false,
    problem: inconsistent,
    stored: 1000
  },
  {
    says: 'an append to a finished upload',
    upload: 'finished',
    method: 'PATCH',
    headers: version => appending(version, 1000, false),
    body: part,
    status: 400,
    complete: false,
    problem: completed,
    stored: 1000
  },
  {
    says: 'an append to an unknown upload',
    upload: 'unknown',
    method: 'PATCH',
    headers: version => appending(version, 0, true),
    body: part,
    status: 404,
    complete: false
  },
  {
    says: 'an append to a cancelled upload',
    upload: 'cancelled',
    method: 'PATCH',
    headers: version => appending(version, 0, true),
    body: part,
    status: 404,
    complete: false
  },
  {
    says: 'an append that authentication refuses',
    upload: 'begun',
    method: 'PATCH',
    headers: version => appending(version, 1000, true, { 'x-refuse': 'yes' }),
    body: part,
    status: 401,
    complete: false,
    stored: 1000
  },
  // Cancellation, limits, other methods
  { says: 'cancellation', upload: 'begun', method: 'DELETE', status: 204 },
  { says: 'cancellation of an unknown upload', upload: 'unknown', method: 'DELETE', status: 404 },
  { says: 'cancellation of a cancelled upload', upload: 'cancelled', method: 'DELETE', status: 404 },
  { says: 'cancellation of a finished upload', upload: 'finished', method: 'DELETE', status: 204 },
  { says: 'cancellation of a finished upload that was cancelled before', upload: 'forgotten', method: 'DELETE', status: 404 },
  { says: 'HEAD of a finished upload that was cancelled', upload: 'forgotten', method: 'HEAD', status: 404 },
  {
    says: 'cancellation with Upload-Offset',
    rows: older,
    upload: 'begun',
    method: 'DELETE',
    headers: () => ({ 'upload-offset': '1000' }),
    status: 400,
    stored: 1000
  },
  {
    says: 'OPTIONS',
    method: 'OPTIONS',
    status: 200,
    complete: null,
    fields: { 'upload-limit': /max-size=100000/, 'accept-patch': /partial-upload/ }
  },
  {
    says: 'POST to an upload',
    upload: 'begun',
    method: 'POST',
    headers: version => creation(version, true),
    body: part,
    status: 405,
    stored: 1000
  }
]

for (const version of interopVersions) {
  t.test(`row ${version ?? 'none'}`, async t => {
    const server = await resumableServer(t, {
      plugin: {
        maxBytes: 100_000,
        onCreate: ({ contentType }) => { if (contentType === 'text/evil') throw Object.assign(new Error('evil'), { statusCode: 422 }) },
        onComplete: ({ contentType }) => { if (contentType === 'text/late') throw Object.assign(new Error('late'), { statusCode: 422 }) }
      },
      before: app => app.addHook('onRequest', async request => {
        if ('x-refuse' in request.headers) throw Object.assign(new Error('who?'), { statusCode: 401 })
      })
    })
    const make = async (upload: Case['upload']): Promise<string> => {
      if (upload === undefined) return server.url
      if (upload === 'unknown') return `${server.url}/unknown`
      const body = upload === 'empty' ? undefined : file.subarray(0, 1000)
      const more: Fields = upload === 'sized' ? { 'upload-length': '2000' } : {}
      const url = locationOf(server.url, await send(server.url, {
        method: 'POST', headers: creation(version, upload === 'finished' || upload === 'forgotten', more), body
      }))
      if (upload === 'cancelled' || upload === 'forgotten') await send(url, { method: 'DELETE', headers: versionField(version) })
      return url
    }
    const completenessIn = ({ headers }: Answer): unknown => {
      const value = version === 3 ? headers['upload-incomplete'] : headers['upload-complete']
      return value === undefined ? null : value === (version === 3 ? '?0' : '?1')
    }

    for (const { says, rows, upload, method, headers, body, status, complete, offset, problem, fields = {}, stored } of cases) {
      if (rows?.includes(version) === false) continue
      t.test(says, async t => {
        const url = await make(upload)
        const reply = await send(url, { method, headers: { ...versionField(version), ...headers?.(version) }, body })
        t.equal(reply.status, typeof status === 'number' ? status : status(version))
        if (complete !== undefined) t.equal(completenessIn(reply), complete, 'Upload-Complete')
        if (offset !== undefined) t.equal(reply.headers['upload-offset'], String(offset))
        t.match(reply.headers, fields)
        const type = problem?.(version)
        if (type !== undefined) t.match(JSON.parse(reply.text), { type: PROBLEMS + type, status: reply.status })
        t.equal(reply.headers['upload-draft-interop-version'], version === undefined ? undefined : String(version))
        if (stored !== undefined) {
          const { received } = await server.upload(url) ?? {}
          t.strictSame(received, [[0, typeof stored === 'number' ? stored : stored(version)]])
        }
      })
    }
  })
}
