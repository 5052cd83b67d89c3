import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { fetch } from '../support/deadline.js'
import { KillableServer } from '../support/killable-server.js'

// A hundred starts of a server take their time on a busy machine.
t.setTimeout(600_000)

const KILLS = 100
const MIB = 2 ** 20

interface UploadRecord { readonly id: string, readonly offset: number, readonly status: number }

/** Of an upload, or where uploads are created, at the server that runs now. */
interface Address { readonly url: string, readonly gone: AbortSignal }

/** Sends a chunk, as a form or raw; undefined when the server died before it answered. */
async function put (
  { url, gone }: Address, data: Buffer, start: number, total: number, form: boolean
): Promise<{ status: number, body: UploadRecord } | undefined> {
  const headers = { 'content-range': `bytes ${start}-${start + data.length - 1}/${total}` }
  const parts = new FormData()
  if (form) parts.set('file', new Blob([data]), 'kill.bin')
  try {
    const response = await fetch(url, form
      ? { method: 'PUT', signal: gone, headers, body: parts }
      : { method: 'PUT', signal: gone, headers: { ...headers, 'content-type': 'application/octet-stream' }, body: data })
    return { status: response.status, body: await response.json() as UploadRecord }
  } catch {
    return undefined
  }
}

async function ask ({ url, gone }: Address, init: RequestInit = {}): Promise<{ status: number, body: unknown } | undefined> {
  try {
    const response = await fetch(url, { ...init, signal: gone })
    return { status: response.status, body: await response.json() }
  } catch {
    return undefined
  }
}

t.test(`invariants 1, 2, 5 and 12: ${KILLS} times kill -9 at random moments lose nothing acknowledged`, async t => {
  const directory = t.testdir()
  const server = new KillableServer(directory)
  await server.start()
  t.teardown(() => server.kill())
  const at = (id: string): Address => ({ url: server.url + id, gone: server.gone })
  const life = { kills: 0 }
  let finished = 0
  let resumed = 0

  // The killer: strikes at a random moment, starts the server again, and lets the client find out.
  const striking = (async () => {
    while (life.kills < KILLS) {
      await sleep(Math.random() * 120)
      await server.kill()
      life.kills++
      await server.start()
    }
  })()

  for (let file = 0; life.kills < KILLS; file++) {
    const content = randomBytes(6 * MIB + file)
    const sha = createHash('sha256').update(content).digest('hex')
    const md5 = createHash('md5').update(content).digest('hex')
    let id = ''
    let acknowledged = 0
    let offset = 0
    while (offset < content.length) {
      const chunk = content.subarray(offset, offset + Math.ceil(Math.random() * 2 * MIB))
      const answer = await put(at(id), chunk, offset, content.length, file % 2 === 0)
      if (answer?.status === 200) {
        id = answer.body.id
        acknowledged = answer.body.offset
        offset = acknowledged
        continue
      }
      if (answer !== undefined && answer.status !== 400) t.fail(`a chunk was answered ${answer.status}`)
      await server.up
      if (id === '') continue
      const seen = await ask(at(id))
      if (seen === undefined) continue
      const record = seen.body as UploadRecord
      if (seen.status !== 200) return t.fail(`the upload is ${seen.status} after a kill`)
      if (record.offset < acknowledged) return t.fail(`${acknowledged} bytes were acknowledged, ${record.offset} are there`)
      if (record.offset > offset) resumed++
      offset = record.offset
      acknowledged = Math.max(acknowledged, offset)
    }
    // Completing is repeated until it is answered: 200, or "already complete" when the answer of the first got lost.
    for (;;) {
      const answer = await ask(at(id), { method: 'POST', body: new URLSearchParams({ md5 }) })
      if (answer?.status === 200) break
      if (answer?.status === 400 && JSON.stringify(answer.body).includes('already')) break
      if (answer !== undefined) return t.fail(`completing was answered ${answer.status} ${JSON.stringify(answer.body)}`)
      await server.up
    }
    const [year, month, day] = new Date(parseInt(id.slice(0, 12), 16)).toISOString().slice(0, 10).split('-')
    const stored = await readFile(join(directory, 'chunked_uploads', String(year), String(month), String(day), `${id}.done`))
    if (createHash('sha256').update(stored).digest('hex') !== sha) return t.fail(`file ${file} is damaged`)
    finished++
  }
  await striking
  t.equal(life.kills, KILLS)
  t.ok(finished > 0, `${finished} files arrived whole, ${resumed} times a client found more bytes than it had heard of`)
  t.notMatch(server.log, /"statusCode":500/)
})
