import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { KillableServer } from '../support/killable-server.js'
import { RawHttp } from '../support/raw-http.js'
import { type Answer, appending, creation, type Fields, type Interop, send, versionField } from '../support/resumable-client.js'
import { sha256 } from '../support/resumable-server.js'

// Dozens of starts of a server take their time on a busy machine.
t.setTimeout(300_000)

const program = fileURLToPath(new URL('../support/resumable-server.mjs', import.meta.url))
const SIZE = 3_000_000
/** What the client has sent of the rest when the server is killed: the last two times all of it, so that completion is hit as well. */
const SENT = [0.5, 1, 1]

/** A client that resumes, and whose server is killed under each of its requests. */
class Client {
  readonly #server: KillableServer
  readonly #version: Interop
  readonly #file: Buffer
  /** Path of the upload, as soon as the client has heard of it. */
  location: string | undefined
  /** Highest offset that the server has told, in an interim reply or a final one. */
  #acknowledged = 0

  constructor (server: KillableServer, version: Interop, file: Buffer) {
    this.#server = server
    this.#version = version
    this.#file = file
  }

  /** Begins with the whole file in one request, as URLSession does; without a version there is no interim reply to learn the URL from. */
  async begin (path: string, share: number): Promise<void> {
    const type = { 'content-type': 'image/heic' }
    if (this.#version !== undefined) return await this.#request('POST', path, creation(this.#version, true, type), 0, share)
    const { headers } = await send(this.#url(path), { method: 'POST', headers: creation(undefined, false, type) })
    this.location = headers.location
  }

  /** Where the upload is, after each start of the server. */
  async state (t: Test): Promise<{ readonly offset: number, readonly complete: boolean }> {
    const { status, headers } = await send(this.#url(this.location ?? ''), { method: 'HEAD', headers: versionField(this.#version) })
    const offset = Number(headers['upload-offset'])
    if (status !== 204) t.fail(`the upload is ${status} after a kill`)
    if (offset < this.#acknowledged) t.fail(`${this.#acknowledged} bytes were acknowledged, ${offset} are there`)
    this.#acknowledged = offset
    return { offset, complete: headers['upload-complete'] === '?1' || headers['upload-incomplete'] === '?0' }
  }

  /** Sends the rest, and the server dies before it has answered, or just behind. */
  async append (offset: number, share: number): Promise<void> {
    await this.#request('PATCH', this.location ?? '', appending(this.#version, offset, true), offset, share)
  }

  /** The last request, which nothing disturbs. */
  async finish (offset: number): Promise<Answer> {
    return await send(this.#url(this.location ?? ''), {
      method: 'PATCH', headers: appending(this.#version, offset, true), body: this.#file.subarray(offset)
    })
  }

  async #request (method: string, path: string, fields: Fields, offset: number, share: number): Promise<void> {
    const rest = this.#file.subarray(offset)
    const client = await RawHttp.connect(this.#server.port)
    client.request(method, path, { ...fields, 'content-length': rest.length })
    const listen = async (): Promise<void> => {
      const { status, headers } = await client.next()
      if (status >= 400) throw new Error(`answered ${status}`)
      this.location ??= headers['location']
      this.#acknowledged = Math.max(this.#acknowledged, Number(headers['upload-offset'] ?? 0))
    }
    if (method === 'POST') await listen()
    client.send(rest.subarray(0, Math.ceil(rest.length * share)))
    const ended = (async () => { while (true) await listen() })().catch((error: unknown) => error)
    await sleep(Math.random() * 15)
    await this.#server.kill()
    client.socket.destroy()
    const error = await ended
    if (error instanceof Error && error.message.startsWith('answered')) throw error
  }

  #url (path: string): string {
    return new URL(path, this.#server.url).href
  }
}

async function filesIn (directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

for (const [path, versions] of [['/uploads', [3, 5, 9, undefined]], ['/photos', [9, undefined]]] as const) {
  for (const version of versions) {
    const name = `${path} in interop version ${version ?? 'unnamed'}`
    t.test(`invariants 1, 2, 5 and 12: ${name} goes on after kill -9 within each request`, async t => {
      const directory = t.testdir()
      const server = new KillableServer(directory, {}, [], program)
      await server.start()
      t.teardown(() => server.kill())
      const file = randomBytes(SIZE)
      const client = new Client(server, version, file)
      await client.begin(path, SENT[0] ?? 0)
      if (version !== undefined) await server.start()
      for (const share of SENT.slice(1)) {
        const { offset, complete } = await client.state(t)
        if (complete) break
        await client.append(offset, share)
        await server.start()
      }
      const { offset, complete } = await client.state(t)
      const last = await client.finish(offset)
      if (!complete) t.match(String(last.status), /^20[01]$/)
      else t.equal(last.status, version === undefined || version === 9 ? 200 : 400, 'the lost reply comes again, where versions have that')
      t.same(await client.state(t), { offset: SIZE, complete: true })
      const files = await filesIn(join(directory, 'chunked_uploads'))
      t.equal(files.length, 1)
      t.equal(sha256(await readFile(files[0] ?? '')), sha256(file))
      if (path === '/photos') t.same(await readdir(join(directory, 'handled')), [sha256(file)])
      t.notMatch(server.log, /"level":[56]0/)
    })
  }
}
