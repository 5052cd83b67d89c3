import type { ChildProcess } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { fileMetadata } from '../../src/metadata/file/index.js'
import { diskStorage } from '../../src/storage/disk/index.js'
import { encryptedStorage } from '../../src/storage/encrypted/index.js'
import { PATH, createMessage, hashOf } from '../support/chunk-tasks.js'
import { fetch, once } from '../support/deadline.js'
import { bodyOf, callerOf, draftOf, engineOn } from '../support/engine.js'
import { endProgram, startProgram } from '../support/program.js'
import { form } from '../support/server.js'

const PROGRAM = fileURLToPath(new URL('../support/chunk-tasks-process.ts', import.meta.url))
const PASSWORD = 'open sesame'
const TEXT = Buffer.from('PIN 4711, account 123-456-789, to be paid to Ann Example. '.repeat(8))

/** What gives the text away: pieces of it, as they are, as hex, and as base64 wherever they begin within it. */
function traces (text: Buffer): readonly Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at + 12 <= text.length; at += 6) {
    const piece = text.subarray(at, at + 12)
    found.push(piece, Buffer.from(piece.toString('hex')))
    for (const shift of [0, 1, 2]) found.push(Buffer.from(piece.subarray(shift, shift + 9).toString('base64')))
  }
  return found
}

const TRACES = traces(TEXT)

/** Names of the files in which the text can be read. */
async function leaks (directory: string): Promise<readonly string[]> {
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter(file => file.isFile())
  const found: string[] = []
  for (const file of files) {
    const stored = await readFile(join(file.parentPath, file.name))
    const words = stored.toString('latin1').split(/[^A-Za-z0-9+/=]+/)
    const decoded = Buffer.concat(words.map(word => Buffer.from(word, 'base64')))
    const isTold = TRACES.some(trace => stored.includes(trace) || decoded.includes(trace))
    if (isTold || stored.includes(PASSWORD)) found.push(file.name)
  }
  return found
}

interface Server {
  readonly child: ChildProcess
  ask (
    path: string, message: { readonly headers?: object, readonly body?: string | Uint8Array }
  ): Promise<{ readonly status: number, readonly json: unknown }>
}

async function start (t: Test, ...args: readonly string[]): Promise<Server> {
  const child = startProgram(PROGRAM, args)
  t.teardown(() => { child.kill('SIGKILL') })
  const [port] = await once(child, 'message')
  return {
    child,
    ask: async (path, { headers = {}, body }) => {
      const response = await fetch(`http://127.0.0.1:${port}${PATH}/${path}`, {
        method: 'POST',
        headers: Object.fromEntries(Object.entries({ 'x-user': 'ann', ...headers })),
        ...body !== undefined && { body: Buffer.from(body) }
      })
      const text = await response.text()
      return { status: response.status, json: text === '' ? null : JSON.parse(text) }
    }
  }
}

async function kill ({ child }: Server): Promise<void> {
  await endProgram(child)
}

t.test('the search finds the text in records of a storage that does not encrypt', async t => {
  const state = Buffer.concat([Buffer.alloc(8), TEXT.subarray(3, 60)]).toString('base64')
  const directory = t.testdir({ 'a.jsonl': JSON.stringify({ state }) })
  t.strictSame(await leaks(directory), ['a.jsonl'])
})

for (const secret of [[], ['s'.repeat(32)]]) {
  const title = secret.length > 0 ? 'a secret of the servers' : 'no secret'
  for (const chunkSize of [60, 200]) {
    t.test(`no file of a killed server gives away an encrypted upload, chunks of ${chunkSize} bytes, ${title}`, async t => {
      const directory = t.testdir()
      let server = await start(t, directory, 'encrypted', ...secret)
      const wanted = { file_size: TEXT.length, chunk_size: chunkSize, hash: hashOf('sha256', TEXT), encrypt_password: PASSWORD }
      const created = await server.ask('create', createMessage(wanted))
      const { task_id: task } = Object(created.json)
      for (let index = 0; index * chunkSize < TEXT.length; index++) {
        const content = TEXT.subarray(index * chunkSize, (index + 1) * chunkSize)
        t.equal((await server.ask(`chunk/${task}/${index}`, form([{ name: 'chunk', filename: 'blob', content }]))).status, 200)
        t.strictSame(await leaks(directory), [], `after chunk ${index}`)
        if (index !== 1) continue
        await kill(server)
        t.strictSame(await leaks(directory), [], 'after the kill')
        server = await start(t, directory, 'encrypted', ...secret)
      }
      const bare = await server.ask(`complete/${task}`, {})
      if (secret.length > 0) t.match(bare, { status: 200, json: { hash: wanted.hash } }, 'the hash goes on with the secret')
      else {
        t.match(bare, { status: 400, json: { code: 'HASH_NOT_VERIFIABLE' } }, 'nothing is certified without having been hashed')
        const body = JSON.stringify({ encrypt_password: PASSWORD })
        const completed = await server.ask(`complete/${task}`, { headers: { 'content-type': 'application/json' }, body })
        t.match(completed, { status: 200, json: { hash: wanted.hash } })
      }
      t.strictSame(await leaks(directory), [], 'when complete')
    })
  }
}

t.test('neither records nor events give away a body that saves its progress, whatever the protocol', async t => {
  const directory = t.testdir()
  const storage = encryptedStorage(diskStorage({ directory }), { scrypt: { cost: 16, blockSize: 8, parallelization: 1 } })
  const metadata = fileMetadata({ directory: join(directory, 'records') })
  const engine = engineOn({ storage, metadata, saveEvery: { bytes: 1, ms: 0 } })
  const told: string[] = []
  engine.on('progress', upload => { told.push(JSON.stringify(upload)) })
  const draft = draftOf({
    size: TEXT.length,
    chunkSize: 20,
    checksum: { algorithm: 'md5', value: null },
    protocolState: { encryption: await storage.seal(PASSWORD) }
  })
  const { id } = await engine.create(callerOf(), draft)
  const half = TEXT.subarray(0, 240)
  await engine.write(callerOf(), id, { start: 'end', body: bodyOf(half, 37) })
  t.strictSame(await leaks(directory), [])
  await engine.write(callerOf(), id, { start: 'end', body: bodyOf(TEXT.subarray(240), 37) })
  t.strictSame(await leaks(directory), [])
  t.ok(told.length > 0)
  for (const line of told) {
    const { checksumState } = JSON.parse(line)
    const state = Buffer.from(String(checksumState.state), 'base64')
    t.notOk(TRACES.some(trace => state.includes(trace)))
  }
  const { upload } = await engine.complete(callerOf(), id)
  t.equal(upload.checksum?.value, hashOf('md5', TEXT))
  await engine.shutdown()
  await metadata.close?.()
})
