import type { ChildProcess } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { uploadIdOf } from '../../../src/index.js'
import { PATH, createMessage, hashOf, members, newTask, randomBytes, serveTasks } from '../../support/chunk-tasks.js'
import { fetch, once, request as httpRequest } from '../../support/deadline.js'
import { startProgram } from '../../support/program.js'
import { type Answer, type Message, type TestServer, form } from '../../support/server.js'

const CHUNK = 64 * 1024
const COUNT = 64
const CONNECTIONS = 8
const PROGRAM = fileURLToPath(new URL('../../support/chunk-tasks-process.ts', import.meta.url))

/** One piece of work of a connection: a chunk, whole or cut in the middle. */
interface Job {
  readonly index: number
  readonly cut: boolean
}

/** All chunks in random order, some twice and some cut before they come whole. */
function jobs (): Job[] {
  const all: Job[] = []
  for (let index = 0; index < COUNT; index++) {
    const order = Math.random()
    if (order < 0.3) all.push({ index, cut: true })
    if (order > 0.7) all.push({ index, cut: false })
    all.push({ index, cut: false })
  }
  for (let at = all.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1))
    const [one, two] = [all[at], all[other]]
    if (one !== undefined && two !== undefined) [all[at], all[other]] = [two, one]
  }
  return all
}

interface Sent {
  readonly status: number
  readonly text: string
}

/** Sends a chunk on the agent's one connection; a cut one breaks it. Status 0 without an answer. */
async function put (agent: Agent, port: number, task: string, bytes: Buffer, { index, cut }: Job): Promise<Sent> {
  const content = bytes.subarray(index * CHUNK, (index + 1) * CHUNK)
  const { headers, body } = form([{ name: 'chunk', filename: 'blob', content }])
  const path = `${PATH}/chunk/${task}/${index}`
  return await new Promise<Sent>(resolve => {
    const request = httpRequest({
      agent, host: '127.0.0.1', port, path, method: 'POST', headers: { ...headers, 'x-user': 'ann', 'content-length': body.length }
    }, response => {
      const parts: Buffer[] = []
      response.on('data', (data: Buffer) => { parts.push(data) })
      response.on('error', () => { resolve({ status: 0, text: '' }) })
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }) })
    })
    request.on('error', () => { resolve({ status: 0, text: '' }) })
    if (!cut) request.end(body)
    else request.write(body.subarray(0, body.length / 2), () => { request.destroy() })
  })
}

/** Works through `queue` on several connections until it is empty or `stop` says so; chunks without a 200 are put back. */
async function work (
  t: Test, ports: readonly number[], task: string, bytes: Buffer, queue: Job[], acknowledged: Set<number>, stop = () => false
): Promise<void> {
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, connection) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const port = ports[connection % ports.length] ?? 0
    for (let job = queue.shift(); job !== undefined && !stop(); job = queue.shift()) {
      const { status, text } = await put(agent, port, task, bytes, job)
      if (job.cut) continue
      if (status === 200) acknowledged.add(job.index)
      else {
        if (status !== 0) t.match(status, /^(409|503)$/, `${job.index}: ${text}`)
        queue.push(job)
      }
    }
    agent.destroy()
  }))
}

async function ask (port: number, method: string, path: string, message: Message = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${PATH}/${path}`, {
    method,
    headers: { 'x-user': 'ann', 'content-type': String(message.headers?.['content-type'] ?? 'text/plain') },
    ...message.body !== undefined && { body: message.body }
  })
  const text = await response.text()
  return { status: response.status, headers: {}, text, json: JSON.parse(text), connection: 0 }
}

async function uploadedChunks (port: number, task: string): Promise<readonly number[]> {
  const { uploaded_chunks: uploaded } = members(await ask(port, 'GET', `resume/${task}`))
  if (!Array.isArray(uploaded)) throw new Error('no list of chunks')
  return uploaded
}

async function startProcess (t: Test, ...args: readonly string[]): Promise<{ readonly port: number, readonly child: ChildProcess }> {
  const child = startProgram(PROGRAM, args)
  t.teardown(() => { child.kill('SIGKILL') })
  const [port] = await once(child, 'message')
  return { port: Number(port), child }
}

const wanted = (bytes: Buffer): object => ({ hash: hashOf('sha256', bytes), file_size: bytes.length, chunk_size: CHUNK })

async function newTaskAt (port: number, bytes: Buffer): Promise<string> {
  const { headers = {}, body = '' } = createMessage({ ...wanted(bytes) })
  return String(members(await ask(port, 'POST', 'create', { headers, body }))['task_id'])
}

t.test('invariant 3: eight connections send 64 chunks in random order, with repeats and cuts: none is lost or counted twice', async t => {
  const server: TestServer = await serveTasks(t)
  const bytes = randomBytes(COUNT * CHUNK - 1000)
  const task = await newTask(server, { ...wanted(bytes) })
  let counted = 0
  server.app.chunkedUpload.events.on('progress', upload => { counted = Math.max(counted, upload.received.length) })
  await work(t, [server.port], task, bytes, jobs(), new Set())
  t.equal((await uploadedChunks(server.port, task)).length, COUNT)
  t.match(await ask(server.port, 'POST', `complete/${task}`), { status: 200, json: { hash: hashOf('sha256', bytes), size: bytes.length } })
  const upload = await server.app.chunkedUpload.get(uploadIdOf(task))
  if (upload === undefined) throw new Error('the upload is gone')
  t.ok(Buffer.concat(await server.app.chunkedUpload.read(upload).toArray()).equals(bytes))
})

t.test('identical requests at once: each is answered 200, the bytes are there once', async t => {
  const server = await serveTasks(t)
  const bytes = randomBytes(CHUNK)
  const task = await newTask(server, { ...wanted(bytes) })
  const same = Array.from({ length: CONNECTIONS }, async () => {
    const agent = new Agent()
    return await put(agent, server.port, task, bytes, { index: 0, cut: false })
  })
  t.strictSame((await Promise.all(same)).map(({ status, text }) => `${status} ${text}`), same.map(() => '200 '))
  t.match(await ask(server.port, 'POST', `complete/${task}`), { status: 200, json: { size: CHUNK } })
})

t.test('invariants 1 and 12: a kill -9 in the middle loses no chunk that was answered, and the client goes on by resume', async t => {
  const directory = t.testdir()
  const bytes = randomBytes(COUNT * CHUNK - 7)
  const first = await startProcess(t, directory)
  const task = await newTaskAt(first.port, bytes)
  const acknowledged = new Set<number>()
  let killed = false
  const kill = (): boolean => {
    if (!killed && acknowledged.size >= COUNT / 2) {
      killed = true
      first.child.kill('SIGKILL')
    }
    return killed
  }
  await work(t, [first.port], task, bytes, jobs(), acknowledged, kill)
  t.ok(killed)
  const second = await startProcess(t, directory)
  const there = new Set(await uploadedChunks(second.port, task))
  for (const index of acknowledged) t.ok(there.has(index), `chunk ${index} was answered 200`)
  const rest = Array.from({ length: COUNT }, (_, index) => ({ index, cut: false })).filter(({ index }) => !there.has(index))
  await work(t, [second.port], task, bytes, rest, new Set())
  t.match(await ask(second.port, 'POST', `complete/${task}`), { status: 200, json: { hash: hashOf('sha256', bytes), size: bytes.length } })
})

t.test('invariants 1, 2 and 12: a kill -9 while a chunk is replaced takes none back, and mixes no bytes', async t => {
  const directory = t.testdir()
  const old = randomBytes(3 * CHUNK)
  const wanted = Buffer.concat([old.subarray(0, CHUNK), randomBytes(CHUNK), old.subarray(2 * CHUNK)])
  const first = await startProcess(t, directory, 'dying')
  const created = createMessage({ hash: '', file_size: old.length, chunk_size: CHUNK })
  const { headers = {}, body = '' } = created
  const task = String(members(await ask(first.port, 'POST', 'create', { headers, body }))['task_id'])
  await work(t, [first.port], task, old, [0, 1, 2].map(index => ({ index, cut: false })), new Set())
  t.equal((await put(new Agent(), first.port, task, wanted, { index: 1, cut: false })).status, 0, 'the server died')

  const second = await startProcess(t, directory)
  t.strictSame(await uploadedChunks(second.port, task), [0, 1, 2])
  const done = await ask(second.port, 'POST', `complete/${task}`)
  t.match(done, { status: 200, json: { size: wanted.length } })
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter(({ name }) => /\.(?:done|part)$/.test(name))
  t.equal(files.length, 1, 'nothing is left beside the file')
  for (const { parentPath, name } of files) t.ok((await readFile(join(parentPath, name))).equals(wanted))
})

t.test('two servers on one directory take chunks of one file side by side', async t => {
  const directory = t.testdir()
  const bytes = randomBytes(COUNT * CHUNK)
  const servers = await Promise.all([startProcess(t, directory), startProcess(t, directory)])
  const ports = servers.map(({ port }) => port)
  const [one = 0, two = 0] = ports
  const task = await newTaskAt(one, bytes)
  await work(t, ports, task, bytes, jobs(), new Set())
  t.equal((await uploadedChunks(two, task)).length, COUNT)
  t.match(await ask(two, 'POST', `complete/${task}`), { status: 200, json: { hash: hashOf('sha256', bytes) } })
  t.equal((await ask(one, 'GET', `resume/${task}`)).status, 404)
})
