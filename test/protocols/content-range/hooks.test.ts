import createError from '@fastify/error'
import t from 'tap'
import { type ChunkedUploadOptions, contentRange } from '../../../src/index.js'
import { MD5_OF_TEN, TEN, begin, countUploads, detail, range, serve } from '../../support/content-range.js'
import { chunkForm, field, form, json, startServer } from '../../support/server.js'

const whole = form([{ name: 'file', filename: 'ten.txt', content: TEN, type: 'text/plain' }, { name: 'md5', content: MD5_OF_TEN }])

t.test('onComplete words the reply of both kinds of completion, and runs once', async t => {
  const seen: string[] = []
  const server = await serve(t, {}, {
    onComplete: upload => {
      seen.push(upload.id)
      return { statusCode: 201, headers: { 'x-file': upload.filename }, body: { stored: upload.size } }
    }
  })
  const id = field(await server.send('PUT', '/uploads/', chunkForm(TEN, 'bytes 0-9/10')), 'id')
  const completed = await server.send('POST', `/uploads/${id}/`, json({ md5: MD5_OF_TEN }))
  for (const answer of [completed, await server.send('POST', '/uploads/', whole)]) {
    t.equal(answer.status, 201)
    t.strictSame(answer.json, { stored: 10 })
    t.match(answer.headers['x-file'], /./)
  }
  t.equal((await server.send('POST', `/uploads/${id}/`, json({ md5: MD5_OF_TEN }))).status, 400)
  t.equal(seen.length, 2)
})

t.test('what onComplete leaves out stays as the contract has it', async t => {
  const replies = [{ statusCode: 202 }, { body: null }, { body: [1, 'a'] }, { body: 'text' }, { statusCode: 204 }, {}]
  const answers = [/"status":2/, /^null$/, /^\[1,"a"\]$/, /^"text"$/, /^$/, /"status":2/]
  for (const [at, reply] of replies.entries()) {
    const server = await serve(t, {}, { onComplete: () => reply })
    const answer = await server.send('POST', '/uploads', whole)
    t.equal(answer.status, 'statusCode' in reply ? reply.statusCode : 200)
    t.match(answer.text, answers[at])
  }
})

t.test('a hook that refuses is answered by the host’s error handler, and a refused completion can be tried again', async t => {
  const Refused = createError('HOST_REFUSED', 'virus found', 422)
  let refuses = true
  const server = await startServer(t, {
    protocols: [contentRange()],
    onComplete: () => { if (refuses) throw new Refused() }
  }, { before: app => { app.setErrorHandler(async (error, _request, reply) => reply.code(418).send({ host: String(error) })) } })
  const id = field(await server.send('PUT', '/uploads/', chunkForm(TEN, 'bytes 0-9/10')), 'id')
  const refused = await server.send('POST', `/uploads/${id}/`, json({ md5: MD5_OF_TEN }))
  t.equal(refused.status, 418)
  t.match(refused.json, { host: /virus found/ })
  t.match((await server.send('GET', `/uploads/${id}`)).json, { status: 1, offset: 10 })
  const single = await server.send('POST', '/uploads/', whole)
  t.equal(single.status, 418)
  t.equal(await countUploads(server), 1, 'of a whole file nothing is left')
  refuses = false
  t.equal((await server.send('POST', `/uploads/${id}/`, json({ md5: MD5_OF_TEN }))).status, 200)
})

t.test('onCreate and onRemove may refuse before anything is stored or lost', async t => {
  const Refused = createError('HOST_REFUSED', 'not this one', 403)
  const server = await serve(t, {}, {
    onCreate: draft => {
      if (draft.filename === 'file.bin') throw new Refused()
      return { ...draft, filename: `new ${draft.filename}` }
    },
    onRemove: () => { throw new Refused() }
  })
  const refused = await server.send('PUT', '/uploads/', range('bytes 0-9/20'))
  t.equal(refused.status, 403)
  t.match(refused.json, { code: 'HOST_REFUSED', message: 'not this one' })
  t.equal((await server.send('OPTIONS', '/uploads/')).status, 204)
  t.equal(await countUploads(server), 0)
  const made = await server.send('POST', '/uploads/', whole)
  t.match(made.json, { filename: 'new ten.txt' })
  const { headers, body } = form([{ name: 'file', filename: 'a.txt', content: TEN }, { name: 'filename', content: 'behind.txt' }])
  const begun = await server.send('PUT', '/uploads/', { headers: { ...headers, 'content-range': 'bytes 0-9/20' }, body })
  t.match(begun.json, { filename: 'new a.txt' }, 'the host’s name stays')
  t.equal((await server.send('DELETE', `/uploads/${field(begun, 'id')}`)).status, 403)
  t.equal((await server.send('GET', `/uploads/${field(begun, 'id')}`)).status, 200)
})

t.test('the plugin’s own limits are told as the contract tells errors', async t => {
  const limits: ReadonlyArray<readonly [ChunkedUploadOptions, number, object]> = [
    [{ maxOpenUploads: 1 }, 429, detail('Too many unfinished uploads: at most 1')],
    [{ allowedTypes: ['image/*'] }, 415, detail('Files of type "text/plain" are not allowed')],
    [{ maxBytes: request => request.url.length }, 400, detail('Size of file exceeds the limit (9 bytes)')]
  ]
  for (const [options, status, body] of limits) {
    const server = await serve(t, {}, options)
    if ('maxOpenUploads' in options) await begin(server)
    const answer = await server.send('POST', '/uploads/', whole)
    t.equal(answer.status, status)
    t.strictSame(answer.json, body)
    t.equal((await server.send('OPTIONS', '/uploads/')).status, 204)
  }
})

t.test('options that cannot be used are refused when the protocol is made', async t => {
  for (const [options, name] of [
    [{ dialect: 'none' }, 'dialect'], [{ idFormat: 'base64' }, 'idFormat'], [{ expirationDelta: -1 }, 'expirationDelta']
  ] as const) {
    const error = { code: 'FST_CHUNKED_UPLOAD_INVALID_OPTION', message: new RegExp(name) }
    t.throws(() => Reflect.apply(contentRange, undefined, [options]), error)
  }
})

t.test('expirationDelta of the protocol goes before the plugin’s, and null is never', async t => {
  for (const [delta, ms] of [[null, null], [60_000, 60_000]] as const) {
    const server = await serve(t, { expirationDelta: delta }, { expirationDelta: '2d' })
    const upload = await server.app.chunkedUpload.get(await begin(server))
    t.equal(upload === undefined || upload.expiresAt === null ? null : upload.expiresAt - upload.createdAt, ms)
    if (ms === null) t.match((await server.send('GET', `/uploads/${upload?.id}`)).json, { expires: null })
  }
})
