import { createHash, randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { chunkTasks, type ChunkTasksOptions, type ChunkedUploadOptions } from '../../src/index.js'
import { type Answer, type Message, type StartOptions, type TestServer, field, form, json, startServer, usersByHeader } from './server.js'

export const PATH = '/uploads'

export const UNKNOWN_TASK = {
  code: 'NOT_FOUND', message: "The requested resource 'Upload task' was not found.", status: 404, detail: 'Upload task'
}

/** A server that speaks chunkTasks; who sends says so in `x-user`. */
export async function serveTasks (
  t: Test, options: ChunkTasksOptions = {}, plugin: ChunkedUploadOptions = {}, start: StartOptions = {}
): Promise<TestServer> {
  return await startServer(t, { protocols: [chunkTasks(options)], ...plugin }, { before: usersByHeader, ...start })
}

/** Fields of `create` beside, or instead of, those of a file of 10 bytes. */
export type Wanted = Readonly<Record<string, unknown>>

export function createMessage (wanted: Wanted = {}, user = 'ann'): Message {
  const { headers, body } = json({ hash: '', file_name: 'a.bin', file_size: 10, content_type: 'application/octet-stream', ...wanted })
  return { headers: { ...headers, 'x-user': user }, body }
}

export async function create (server: Pick<TestServer, 'send'>, wanted: Wanted = {}, user = 'ann'): Promise<Answer> {
  return await server.send('POST', `${PATH}/create`, createMessage(wanted, user))
}

/** The id of a new task. */
export async function newTask (server: Pick<TestServer, 'send'>, wanted: Wanted = {}, user = 'ann'): Promise<string> {
  return field(await create(server, wanted, user), 'task_id')
}

export async function sendChunk (
  server: Pick<TestServer, 'send'>, task: string, index: number | string, content: string | Uint8Array, user = 'ann'
): Promise<Answer> {
  const { headers, body } = form([{ name: 'chunk', filename: 'blob', content }])
  return await server.send('POST', `${PATH}/chunk/${task}/${index}`, { headers: { ...headers, 'x-user': user }, body })
}

export async function complete (server: Pick<TestServer, 'send'>, task: string, user = 'ann', message: Message = {}): Promise<Answer> {
  return await server.send('POST', `${PATH}/complete/${task}`, { ...message, headers: { ...message.headers, 'x-user': user } })
}

/** A whole file from its task to the answer of its completion. */
export async function upload (server: Pick<TestServer, 'send'>, bytes: Uint8Array, wanted: Wanted = {}, user = 'ann'): Promise<Answer> {
  const answer = await create(server, { file_size: bytes.length, ...wanted }, user)
  const task = field(answer, 'task_id')
  const size = Number(field(answer, 'chunk_size'))
  for (let index = 0; index * size < bytes.length; index++) {
    await sendChunk(server, task, index, bytes.subarray(index * size, (index + 1) * size), user)
  }
  return await complete(server, task, user)
}

export async function get (server: Pick<TestServer, 'send'>, path: string, user = 'ann'): Promise<Answer> {
  return await server.send('GET', `${PATH}/${path}`, { headers: { 'x-user': user } })
}

export async function del (server: Pick<TestServer, 'send'>, path: string, user = 'ann'): Promise<Answer> {
  return await server.send('DELETE', `${PATH}/${path}`, { headers: { 'x-user': user } })
}

export function hashOf (algorithm: string, bytes: Uint8Array | string): string {
  return createHash(algorithm).update(bytes).digest('hex')
}

export function members (answer: Answer): Record<string, unknown> {
  const { json: value } = answer
  if (typeof value !== 'object' || value === null) throw new Error(`no object: ${answer.status} ${answer.text}`)
  return Object.fromEntries(Object.entries(value))
}

export { randomBytes }
