import t from 'tap'
import { chunkTasks, contentRange, formAppend, rawAppend } from '../../src/index.js'
import { newTask } from '../support/chunk-tasks.js'
import { field, form, type FormPart, startServer } from '../support/server.js'

const part = (name: string, content: string, filename = `${content}.txt`): FormPart => ({ name, filename, content })
const text = (name: string, content: string): FormPart => ({ name, content })

t.test('a form with two files, of which one request can store but one, is refused, and nothing new is stored', async t => {
  const server = await startServer(t, {
    protocols: [
      contentRange(),
      formAppend({ prefix: '/form' }),
      chunkTasks({ prefix: '/tasks' }),
      rawAppend({ prefix: '/raw' })
    ]
  })
  const user = { 'x-user': 'ann' }
  const post = async (path: string, parts: readonly FormPart[]) => {
    const { headers, body } = form(parts)
    return await server.send('POST', `/uploads${path}`, { headers: { ...headers, ...user }, body })
  }
  const tasks = {
    send: async (method: string, path: string, message = {}) => {
      return await server.send(method, path.replace('/uploads/', '/uploads/tasks/'), message)
    }
  }

  await t.test('formAppend: a first chunk and a next one', async t => {
    const first = await post('/form/upload/', [part('file', 'one'), part('file', 'two')])
    t.equal(first.status, 400)
    t.match(first.json, { error: /second file in "file": send each file in a request of its own/ })
    const id = field(await post('/form/upload/', [part('file', 'one'), part('file', '', '')]), 'upload_id')
    t.equal((await post('/form/upload/', [text('upload_id', id), part('file', 'one'), part('file', 'two')])).status, 400)
    t.match((await post('/form/upload/', [text('upload_id', id), part('file', 'two')])).json, { offset: 6 })
  })

  await t.test('chunkTasks: a file in one request; a chunk is stored, and refused all the same', async t => {
    const direct = await post('/tasks/direct', [part('file', 'one'), part('file', 'two')])
    t.equal(direct.status, 400)
    t.match(direct.text, /second file/)
    const task = await newTask(tasks, { file_size: 3 })
    const chunk = await post(`/tasks/chunk/${task}/0`, [part('chunk', 'one'), part('chunk', 'two')])
    t.equal(chunk.status, 400)
    t.match(chunk.text, /second file/)
    t.equal((await post(`/tasks/complete/${task}`, [])).status, 200)
  })

  await t.test('rawAppend: a clip', async t => {
    const id = field(await post('/raw/create_video/', []), 'video_id')
    const refused = await post(`/raw/append_video/${id}/`, [part('file', 'one'), part('other', 'two')])
    t.equal(refused.status, 400)
    t.match(refused.json, { error: /second file in "other"/ })
    t.equal((await post(`/raw/append_video/${id}/`, [part('file', 'one'), part('other', '', '')])).status, 200)
    t.equal((await server.send('GET', `/uploads/raw/get_video/${id}/`, { headers: user })).text, 'one')
  })
})
