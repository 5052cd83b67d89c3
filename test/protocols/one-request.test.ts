import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { chunkTasks, contentRange, formAppend } from '../../src/index.js'
import { RawHttp } from '../support/raw-http.js'
import { field, form, type FormPart, json, startServer } from '../support/server.js'

const TIME = 500

t.test('a request that brings a whole file may take longer than an unfinished upload may lie about', async t => {
  const server = await startServer(t, {
    expirationDelta: TIME,
    protocols: [contentRange({ checksum: false }), chunkTasks({ prefix: '/tasks' }), formAppend({ prefix: '/form', expirationDelta: TIME })]
  })
  const content = Buffer.alloc(600_000, 'x')
  const cases = [['/uploads/', 'file'], ['/uploads/tasks/direct', 'file'], ['/uploads/form/upload/', 'file']] as const
  await Promise.all(cases.map(async ([path, name]) => {
    const { headers, body } = form([{ name, filename: 'slow.bin', content }, { name: 'note', content: 'late' }])
    const http = await RawHttp.connect(server.port)
    http.request('POST', path, { ...headers as Record<string, string>, 'content-length': body.length, 'x-user': 'ann' })
    http.send(body.subarray(0, 400_000))
    await sleep(2 * TIME)
    // All bytes of the file, and not yet the end of the form.
    http.send(body.subarray(400_000, body.length - 100))
    await sleep(2 * TIME)
    http.send(body.subarray(body.length - 100))
    t.equal((await http.reply()).status, 200, path)
    http.socket.destroy()
  }))
})

t.test('a completion that the host refuses leaves the size of the file open', async t => {
  let refuses = true
  const server = await startServer(t, {
    protocols: [formAppend(), contentRange({ prefix: '/ranges', checksum: false, requireComplete: false })],
    onComplete: () => { if (refuses) throw Object.assign(new Error('not yet'), { statusCode: 409 }) }
  })
  const chunk = async (parts: readonly FormPart[]) => await server.send('POST', '/uploads/upload/', form(parts))
  const file = { name: 'file', filename: 'a.bin', content: 'abc' }
  const id = field(await chunk([file]), 'upload_id')
  const complete = async () => await server.send('POST', '/uploads/upload/complete/', json({ upload_id: id }))
  t.equal((await complete()).status, 409)
  t.match((await chunk([{ name: 'upload_id', content: id }, file])).json, { offset: 6 })

  const bytes = { 'content-type': 'application/octet-stream' }
  const first = await server.send('PUT', '/uploads/ranges/', { headers: { ...bytes, 'content-range': 'bytes 0-2/9' }, body: 'abc' })
  const path = `/uploads/ranges/${field(first, 'id')}`
  t.equal((await server.send('POST', path, json({}))).status, 409)
  const next = await server.send('PUT', path, { headers: { ...bytes, 'content-range': 'bytes 3-5/9' }, body: 'def' })
  t.match(next.json, { offset: 6 })

  refuses = false
  t.match((await complete()).json, { upload: { offset: 6 } })
  t.match((await server.send('POST', path, json({}))).json, { status: 2, offset: 6 })
  for (const name of [id.replaceAll('-', ''), field(first, 'id')]) {
    const upload = await server.app.chunkedUpload.get(name)
    t.match(upload, { status: 'complete', size: 6 })
    if (upload !== undefined) t.match(Buffer.concat(await server.app.chunkedUpload.read(upload).toArray()).toString(), /^abc(abc|def)$/)
  }
})
