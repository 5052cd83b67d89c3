import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type Fastify from 'fastify'
import t from 'tap'
import { chunkTasks, contentRange, formAppend, rawAppend, resumableHttp, tus } from '../../src/index.js'
import { newTask } from '../support/chunk-tasks.js'
import { type Answer, type Message, field, form, json, startServer, usersByHeader } from '../support/server.js'

const lowest: typeof Fastify = createRequire(import.meta.url)('fastify-lowest')

t.test('the peer range begins with the version that is tried here', async t => {
  const { peerDependencies } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  t.equal(peerDependencies.fastify, `^${lowest().version}`)
})

t.test('every protocol stores and serves a file on the lowest Fastify', async t => {
  const server = await startServer(t, {
    downloads: true,
    protocols: [
      contentRange({ prefix: '/ranges', checksum: false }), tus({ prefix: '/tus' }), resumableHttp({ prefix: '/resumable' }),
      formAppend({ prefix: '/form' }), chunkTasks({ prefix: '/tasks' }), rawAppend({ prefix: '/raw' })
    ]
  }, {
    fastify: lowest,
    before: usersByHeader,
    after: app => {
      app.post('/photo', { config: { resumable: true } }, async ({ upload }) => ({ size: upload?.size ?? null }))
      app.addContentTypeParser('*', (_request, payload, done) => { payload.resume().on('end', () => { done(null) }) })
    }
  })
  const send = async (method: string, path: string, { headers, body }: Message = {}) => {
    const answer = await server.send(method, path, { headers: { ...headers, 'x-user': 'ann' }, ...body !== undefined && { body } })
    t.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
    return answer
  }
  const raw = (headers: Message['headers']): Message => ({ headers: { 'content-type': 'video/mp4', ...headers }, body: 'bytes' })
  const file = (name: string) => form([{ name, filename: 'a.bin', content: 'bytes' }])
  const location = ({ headers }: Answer) => new URL(String(headers.location), server.url).pathname
  const served = async (path: string) => { t.equal((await send('GET', path)).text, 'bytes', path) }

  const ranges = field(await send('PUT', '/uploads/ranges/', raw({ 'content-range': 'bytes 0-4/5' })), 'id')
  await send('POST', `/uploads/ranges/${ranges}`, json({}))
  await served(`/uploads/ranges/${ranges}/file/`)

  const resumable = { 'tus-resumable': '1.0.0' }
  const at = location(await send('POST', '/uploads/tus/', { headers: { ...resumable, 'upload-length': '5' } }))
  await send('PATCH', at, raw({ ...resumable, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }))
  await served(at)

  await served(location(await send('POST', '/uploads/resumable/', raw({ 'upload-complete': '?1' }))))
  t.match((await send('POST', '/photo', raw({ 'upload-complete': '?1' }))).json, { size: 5 })

  const id = field(await send('POST', '/uploads/form/upload/', file('file')), 'upload_id')
  await send('POST', '/uploads/form/upload/complete/', json({ upload_id: id }))
  await served(`/uploads/form/videos/${id}/`)

  const tasks = {
    send: async (method: string, path: string, message?: Message) => {
      return await send(method, path.replace('/uploads/', '/uploads/tasks/'), message)
    }
  }
  const task = await newTask(tasks, { file_size: 5 })
  await send('POST', `/uploads/tasks/chunk/${task}/0`, file('chunk'))
  await send('POST', `/uploads/tasks/complete/${task}`)
  const video = field(await send('POST', '/uploads/raw/create_video/'), 'video_id')
  await send('POST', `/uploads/raw/append_video/${video}/`, raw({}))
  await served(`/uploads/raw/get_video/${video}/`)
})
