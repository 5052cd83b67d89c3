import t from 'tap'
import { MD5_OF_TEN, begin, detail, finish, provesFault, range, serve, withHeaders } from '../../support/content-range.js'
import { type Answer, type Message, field, form, json } from '../../support/server.js'

const ANN = { 'x-user': 'ann' }
const BOB = { 'x-user': 'bob' }

function ids ({ json }: Answer): unknown[] {
  const records: unknown[] = Array.isArray(json) ? json : []
  return records.map(record => typeof record === 'object' && record !== null && 'id' in record ? record.id : undefined)
}

t.test("invariant 10: another user's upload answers as a missing one, on every route", async t => {
  const server = await serve(t, {}, { downloads: true })
  const [begun, complete] = [await begin(server, ANN), await finish(server, ANN)]
  for (const headers of [BOB, {}]) {
    for (const id of [begun, complete]) {
      const requests: ReadonlyArray<readonly [string, string, Message]> = [
        ['GET', '/', {}], ['DELETE', '/', {}], ['PUT', '/', range('bytes 10-19/20')], ['PUT', '/', range('bytes 0-9/20')],
        ['POST', '/', json({ md5: MD5_OF_TEN })], ['GET', '/file/', {}]
      ]
      for (const [method, path, message] of requests) {
        const answer = await server.send(method, `/uploads/${id}${path}`, withHeaders(message, headers))
        t.equal(answer.status, 404, `${method} ${path}`)
        t.strictSame(answer.json, detail('Not found.'))
      }
    }
  }
  t.equal((await server.send('PUT', `/uploads/${begun}`, withHeaders(range('bytes 10-19/20'), ANN))).status, 200)
  t.equal((await server.send('GET', `/uploads/${complete}/file`, { headers: ANN })).status, 200)
})

t.test('the list has exactly the own uploads; the anonymous one is empty', async t => {
  const server = await serve(t)
  const anns = [await begin(server, ANN), await finish(server, ANN)]
  const bobs = [await finish(server, BOB), await begin(server, BOB)]
  const nobodys = await begin(server)
  t.strictSame(ids(await server.send('GET', '/uploads/', { headers: ANN })), anns)
  t.strictSame(ids(await server.send('GET', '/uploads/', { headers: BOB })), bobs)
  t.strictSame((await server.send('GET', '/uploads/')).json, [])
  t.match((await server.send('GET', `/uploads/${nobodys}`, { headers: BOB })).json, { user: null }, 'who knows an anonymous id may use it')
})

t.test('without the rule all users see all uploads', async t => {
  const server = await serve(t, {}, { userRestricted: false })
  const all = [await begin(server, ANN), await finish(server, ANN), await finish(server, BOB), await begin(server, BOB)]
  for (const headers of [ANN, BOB, {}]) t.strictSame(ids(await server.send('GET', '/uploads/', { headers })), all)
  t.equal((await server.send('PUT', `/uploads/${all[0]}`, range('bytes 10-19/20'))).status, 200)
})

const whole = form([{ name: 'file', filename: 'a', content: '0123456789' }, { name: 'md5', content: MD5_OF_TEN }])

t.test('requireUser in drf: 400 for a new upload, 404 for one that is there, an empty list', async t => {
  for (const [options, plugin] of [[{ requireUser: true }, {}], [{}, { requireUser: true }]] as const) {
    const server = await serve(t, options, plugin)
    const id = await begin(server, ANN)
    const body = detail('Upload requires user authentication but user cannot be determined')
    await provesFault(t, server, { name: '10: PUT', method: 'PUT', on: 'collection', message: range('bytes 0-9/20'), status: 400, body })
    await provesFault(t, server, { name: 'whole file', method: 'POST', on: 'collection', message: whole, status: 400, body })
    for (const [method, message] of [
      ['PUT', range('bytes 10-19/20')], ['POST', json({ md5: 'x' })], ['GET', {}], ['DELETE', {}]
    ] as const) {
      const answer = await server.send(method, `/uploads/${id}`, message)
      t.equal(answer.status, 404)
      t.strictSame(answer.json, detail('Not found.'))
    }
    t.strictSame((await server.send('GET', '/uploads')).json, [])
    t.strictSame((await server.send('POST', `/uploads/${id}`, json({}))).json, detail("Checksum of type 'md5' is required"))
    t.equal((await server.send('PUT', `/uploads/${id}`, withHeaders(range('bytes 10-19/20'), ANN))).status, 200)
  }
})

t.test('requireUser in chunky: 403 before everything else', async t => {
  const server = await serve(t, { dialect: 'chunky', requireUser: true })
  const id = await begin(server, ANN)
  for (const [method, path, message] of [
    ['PUT', '/uploads/', range('bytes 0-9/20')], ['PUT', '/uploads/', {}], ['PUT', `/uploads/${id}/`, range('nonsense')],
    ['PUT', '/uploads/x', range('bytes 10-19/20')], ['POST', `/uploads/${id}/`, json({ md5: 'x' })], ['POST', '/uploads/', whole]
  ] as const) {
    const answer = await server.send(method, path, message)
    t.equal(answer.status, 403)
    t.strictSame(answer.json, detail('Authentication credentials were not provided'))
    t.equal((await server.send('OPTIONS', '/uploads/')).status, 204, 'the connection can be used again')
  }
})

t.test('cleaning removes expired unfinished uploads and nothing else, in one step or in two', async t => {
  const server = await serve(t)
  const expired = [await begin(server, ANN), await begin(server, ANN), await begin(server, BOB)]
  const complete = await finish(server, ANN)
  for (const id of expired) await server.expire(id)
  const { chunkedUpload } = server.app
  await chunkedUpload.deleteExpired({ keepRecord: true })
  for (const id of expired) {
    const path = `/uploads/${id}`
    const headers = (await chunkedUpload.get(id))?.user === 'ann' ? ANN : BOB
    t.match((await server.send('GET', path, { headers })).json, { status: 1, offset: 0 }, 'the record is kept')
    t.equal((await server.send('PUT', path, withHeaders(range('bytes 10-19/20'), headers))).status, 410)
  }
  await chunkedUpload.deleteExpired()
  for (const id of expired) t.equal(await chunkedUpload.get(id), undefined)
  t.equal(field(await server.send('GET', `/uploads/${complete}`, { headers: ANN }), 'status'), '2')
})
