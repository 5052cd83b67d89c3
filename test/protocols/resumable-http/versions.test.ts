import { randomBytes } from 'node:crypto'
import t from 'tap'
import {
  type Answer, appending, completeField, creation, type Interop, interopVersions, locationOf, send, versionField
} from '../../support/resumable-client.js'
import { resumableServer, sha256 } from '../../support/resumable-server.js'

const file = randomBytes(300_000)
const TYPES = 'https://iana.org/assignments/http-problem-types#'

/** What a reply says of completeness. */
function completenessIn (version: Interop, { headers }: Answer): unknown {
  return version === 3 ? headers['upload-incomplete'] : headers['upload-complete']
}
const saysComplete = (version: Interop): string => version === 3 ? '?0' : '?1'
const saysMore = (version: Interop): string => version === 3 ? '?1' : '?0'
const isOld = (version: Interop): boolean => version !== undefined && version <= 6
const hasCompletedUpload = (version: Interop): boolean => version === 6 || version === 7 || version === 8
const hasMismatch = (version: Interop): boolean => version === undefined || version >= 6
const hasInconsistent = (version: Interop): boolean => version === undefined || version >= 7

for (const version of interopVersions) {
  t.test(`interop version ${version ?? 'unnamed'}`, async t => {
    const server = await resumableServer(t, { plugin: { maxBytes: 1_000_000 } })
    const { url } = server
    const create = async (complete: boolean, body?: Uint8Array, more = {}): Promise<Answer> => {
      return await send(url, { method: 'POST', headers: creation(version, complete, more), body })
    }
    const begin = async (more = {}): Promise<string> => locationOf(url, await create(false, undefined, more))
    const append = async (location: string, offset: number, complete: boolean, body?: Uint8Array, more = {}): Promise<Answer> => {
      return await send(location, { method: 'PATCH', headers: appending(version, offset, complete, more), body })
    }
    const head = async (location: string, headers = {}): Promise<Answer> => {
      return await send(location, { method: 'HEAD', headers: { ...versionField(version), ...headers } })
    }
    const echo = version === undefined ? undefined : String(version)

    t.test('a careful creation makes an empty upload', async t => {
      const reply = await create(false)
      t.equal(reply.status, 201)
      t.match(reply.headers.location, /^\/files\/[\w-]+$/)
      t.equal(reply.headers['upload-offset'], '0')
      t.equal(completenessIn(version, reply), saysMore(version))
      t.equal(reply.headers['upload-draft-interop-version'], echo)
      t.match(reply.headers['upload-limit'], version === 6 ? /^max-size=1000000, expires=\d+$/ : /^max-size=1000000, max-age=\d+$/)
    })

    t.test('a file in one request is complete', async t => {
      for (const method of ['POST', 'PUT', 'PATCH']) {
        const reply = await send(url, { method, headers: creation(version, true), body: file })
        t.equal(reply.status, 201, method)
        t.equal(completenessIn(version, reply), saysComplete(version))
        t.equal(reply.headers['upload-offset'], String(file.length))
        t.equal(reply.headers['upload-draft-interop-version'], echo)
        t.equal(await server.sha256(locationOf(url, reply)), sha256(file))
      }
    })

    t.test('an empty file is complete with an empty request', async t => {
      const reply = await create(true)
      t.equal(reply.status, 201)
      t.equal((await server.upload(locationOf(url, reply)))?.size, 0)
    })

    t.test('a creation with a part, an append, and the last append', async t => {
      const first = await create(false, file.subarray(0, 100_000))
      t.equal(first.status, 201)
      t.equal(first.headers['upload-offset'], '100000')
      t.equal(completenessIn(version, first), saysMore(version))
      const location = locationOf(url, first)
      if (version !== undefined) t.equal(first.interims[0]?.headers.location, first.headers.location)

      const second = await append(location, 100_000, false, file.subarray(100_000, 200_000))
      t.equal(second.status, isOld(version) ? 201 : 204)
      t.equal(second.headers['upload-offset'], '200000')
      t.equal(completenessIn(version, second), saysMore(version))
      t.equal(second.headers['upload-draft-interop-version'], echo)

      const state = await head(location)
      t.equal(state.status, 204)
      t.equal(state.headers['upload-offset'], '200000')
      t.equal(completenessIn(version, state), saysMore(version))
      t.equal(state.headers['cache-control'], 'no-store')
      t.equal(state.headers['upload-length'], undefined)
      t.match(state.headers['upload-limit'], /^max-size=/)
      t.equal(state.headers['upload-draft-interop-version'], echo)

      const last = await append(location, 200_000, true, file.subarray(200_000))
      t.equal(last.status, isOld(version) ? 201 : 200)
      t.equal(last.headers['upload-offset'], String(file.length))
      t.equal(completenessIn(version, last), saysComplete(version))
      t.equal(await server.sha256(location), sha256(file))

      const done = await head(location)
      t.equal(done.status, 204)
      t.equal(completenessIn(version, done), saysComplete(version))
      t.equal(done.headers['upload-length'], String(file.length))
    })

    t.test('a length that is reached does not complete; an empty last append does', async t => {
      const location = await begin({ 'upload-length': '1000' })
      await append(location, 0, false, file.subarray(0, 1000))
      t.equal((await server.upload(location))?.status, 'uploading')
      t.equal((await head(location)).headers['upload-length'], '1000')
      const last = await append(location, 1000, true)
      t.equal(last.status, isOld(version) ? 201 : 200)
      t.equal((await server.upload(location))?.status, 'complete')
    })

    t.test('an append that does not say whether it is the last', async t => {
      const location = await begin()
      const reply = await send(location, {
        method: 'PATCH',
        headers: { ...versionField(version), 'upload-offset': '0', 'content-type': 'application/partial-upload' },
        body: file
      })
      t.equal(reply.status, isOld(version) ? 201 : 400)
      t.equal((await server.upload(location))?.status, version === 3 ? 'complete' : 'uploading')
      t.strictSame((await server.upload(location))?.received, isOld(version) ? [[0, file.length]] : [])
    })

    t.test('the media type of an append', async t => {
      const location = await begin()
      const reply = await append(location, 0, true, file, { 'content-type': 'application/octet-stream' })
      if (version !== undefined && version <= 5) t.equal(reply.status, 201)
      else {
        t.equal(reply.status, 415)
        t.equal(reply.headers['accept-patch'], 'application/partial-upload')
        t.equal((await server.upload(location))?.received.length, 0)
      }
    })

    t.test('a wrong offset', async t => {
      const location = await begin()
      await append(location, 0, false, file.subarray(0, 500))
      for (const [offset, complete] of [[400, false], [600, true], [0, true]] as const) {
        const reply = await append(location, offset, complete, file.subarray(0, 1000))
        t.equal(reply.status, 409)
        t.equal(reply.headers['upload-offset'], '500')
        t.equal(completenessIn(version, reply), saysMore(version))
        t.equal(reply.headers['content-type'], 'application/problem+json')
        t.match(JSON.parse(reply.text), {
          ...hasMismatch(version) && { type: `${TYPES}mismatching-upload-offset` },
          'expected-offset': 500,
          'provided-offset': offset,
          status: 409
        })
      }
    })

    t.test('more than the length', async t => {
      for (const chunked of [false, true]) {
        const location = await begin({ 'upload-length': '1000' })
        const reply = await append(location, 0, false, file.subarray(0, 1200), chunked ? { 'transfer-encoding': 'chunked' } : {})
        t.equal(reply.status, 400)
        if (hasInconsistent(version)) t.equal(JSON.parse(reply.text).type, `${TYPES}inconsistent-upload-length`)
        const later = await head(location)
        if (version === 6) {
          t.equal(later.status, 204)
          t.equal(later.headers['upload-offset'], chunked ? '1000' : '0')
        } else {
          t.equal(later.status, isOld(version) ? 404 : 410)
          t.equal((await append(location, 0, true, file.subarray(0, 1000))).status, isOld(version) ? 404 : 410)
        }
      }
    })

    t.test('lengths that do not agree', async t => {
      const location = await begin({ 'upload-length': '1000' })
      for (const reply of [
        await append(location, 0, false, file.subarray(0, 10), { 'upload-length': '999' }),
        await append(location, 0, true, file.subarray(0, 10)),
        await append(location, 0, true, file.subarray(0, 10), { 'upload-length': '1000' }),
        await create(true, file.subarray(0, 10), { 'upload-length': '11' })
      ]) {
        t.equal(reply.status, 400)
        if (hasInconsistent(version)) t.equal(JSON.parse(reply.text).type, `${TYPES}inconsistent-upload-length`)
      }
      t.equal((await append(location, 0, true, file.subarray(0, 1000))).status, isOld(version) ? 201 : 200)
    })

    t.test('an append to a complete upload', async t => {
      const location = locationOf(url, await create(true, file.subarray(0, 1000)))
      const more = await append(location, 1000, false, file.subarray(0, 10))
      t.equal(more.status, 400)
      if (hasCompletedUpload(version)) t.equal(JSON.parse(more.text).type, `${TYPES}completed-upload`)
      else if (hasInconsistent(version)) t.equal(JSON.parse(more.text).type, `${TYPES}inconsistent-upload-length`)
      t.equal(await server.sha256(location), sha256(file.subarray(0, 1000)))

      const again = await append(location, 1000, true)
      if (hasCompletedUpload(version)) t.equal(again.status, 400)
      else {
        t.equal(again.status, isOld(version) ? 201 : 200)
        t.equal(completenessIn(version, again), saysComplete(version))
      }
    })

    t.test('fields of an append in HEAD and DELETE', async t => {
      const location = await begin()
      for (const fields of [{ 'upload-offset': '0' }, completeField(version, true)]) {
        t.equal((await head(location, fields)).status, 400)
        const other = await begin()
        const removal = await send(other, { method: 'DELETE', headers: { ...versionField(version), ...fields } })
        t.equal(removal.status, isOld(version) ? 400 : 204)
      }
    })

    t.test('cancellation', async t => {
      const location = await begin()
      await append(location, 0, false, file)
      const reply = await send(location, { method: 'DELETE', headers: versionField(version) })
      t.equal(reply.status, 204)
      t.equal((await head(location)).status, 404)
      t.equal((await append(location, 0, true, file)).status, 404)
      t.equal((await send(location, { method: 'DELETE', headers: versionField(version) })).status, 404)
    })

    t.test('the first interim reply', async t => {
      const { interims, headers } = await create(true, file)
      if (version === undefined) t.strictSame(interims, [])
      else {
        t.equal(interims[0]?.status, 104)
        t.equal(interims[0]?.headers.location, headers.location)
        t.equal(interims[0]?.headers['upload-draft-interop-version'], echo)
        t.match(interims[0]?.headers['upload-limit'], /^max-size=1000000/)
      }
    })
  })
}

t.test('a version that is not known is served as the newest one, without interim replies', async t => {
  const { url } = await resumableServer(t)
  for (const version of ['2', '10', '1000000', '?1', 'six', '6.0', '-6', '6, 7', '99999999999999999999']) {
    const reply = await send(url, {
      method: 'POST', headers: { 'upload-draft-interop-version': version, 'upload-complete': '?1' }, body: file
    })
    t.equal(reply.status, 201, version)
    t.strictSame(reply.interims, [])
    t.equal(reply.headers['upload-draft-interop-version'], undefined)
  }
})
