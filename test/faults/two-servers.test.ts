import { createHash, randomBytes } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fetch } from '../support/deadline.js'
import { KillableServer } from '../support/killable-server.js'

const SIZE = 30_000_000
const ROUNDS = 12

interface Answer { readonly status: number, readonly body: { readonly id: string, readonly offset: number, readonly detail?: string } }

async function put (url: string, data: Buffer, start: number, total: number): Promise<Answer> {
  const form = new FormData()
  form.set('file', new Blob([data]), 'same.bin')
  const headers = { 'content-range': `bytes ${start}-${start + data.length - 1}/${total}` }
  const response = await fetch(url, { method: 'PUT', headers, body: form })
  return { status: response.status, body: await response.json() as Answer['body'] }
}

t.test(`invariant 3: ${ROUNDS} rounds of 4 identical PUTs at once, over two servers on one directory, never damage a file`, async t => {
  const directory = t.testdir()
  const servers = [new KillableServer(directory), new KillableServer(directory)] as const
  for (const server of servers) {
    await server.start()
    t.teardown(() => server.kill())
  }
  const content = randomBytes(SIZE + 1000)
  const sha = createHash('sha256').update(content).digest('hex')
  const md5 = createHash('md5').update(content).digest('hex')

  for (let round = 0; round < ROUNDS; round++) {
    const { body: { id } } = await put(servers[0].url, content.subarray(0, 1000), 0, content.length)
    const rest = content.subarray(1000)
    const answers = await Promise.all([...servers, ...servers].map(async server => await put(server.url + id, rest, 1000, content.length)))
    t.equal(answers.filter(({ status }) => status === 200).length, 1, `round ${round}: one is stored`)
    for (const { status, body } of answers) {
      if (status === 400) t.match(body, { detail: 'Offsets do not match', offset: content.length })
      // On a busy machine a body may be silent for so long that one of the others takes its place.
      else if (status !== 200) t.equal(status, 409)
    }
    const done = await fetch(servers[round % 2 === 0 ? 0 : 1].url + id, { method: 'POST', body: new URLSearchParams({ md5 }) })
    t.equal(done.status, 200, 'the checksum is right')
    await done.arrayBuffer()
    const day = new Date(parseInt(id.slice(0, 12), 16)).toISOString().slice(0, 10).replaceAll('-', '/')
    const path = join(directory, 'chunked_uploads', day, `${id}.done`)
    const stored = await readFile(path)
    t.equal(stored.length, content.length)
    t.equal(createHash('sha256').update(stored).digest('hex'), sha)
  }
  const left = (await readdir(join(directory, 'chunked_uploads'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  t.equal(left.filter(entry => entry.name.endsWith('.done')).length, left.length, 'no part is left over')
  t.equal(left.length, ROUNDS)
})
