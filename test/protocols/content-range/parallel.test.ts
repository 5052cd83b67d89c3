import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mismatch } from '../../support/content-range.js'
import { type Answer, type FormMessage, type TestServer, chunkForm, field, json, startServer } from '../../support/server.js'

const CHUNK = 2 * 1024 * 1024
const ROUNDS = 12

/** Four identical requests for each chunk, spread over the servers: one is taken, three hear where to go on. */
async function abuse (t: Test, servers: readonly TestServer[], message: (chunk: Uint8Array, range: string) => FormMessage): Promise<void> {
  const bytes = randomBytes(CHUNK * ROUNDS)
  const clients = [0, 1, 2, 3].map(at => servers[at % servers.length]?.client())
  let path = '/uploads/'
  for (let round = 0; round < ROUNDS; round++) {
    const start = round * CHUNK
    const chunk = message(bytes.subarray(start, start + CHUNK), `bytes ${start}-${start + CHUNK - 1}/${bytes.length}`)
    // A new upload is made by one request alone: four would make four.
    const requests = (round === 0 ? clients.slice(0, 1) : clients).map(async client => await client?.send('PUT', path, chunk))
    const answers = (await Promise.all(requests)).filter((answer): answer is Answer => answer !== undefined)
    const taken = answers.filter(({ status }) => status === 200)
    t.equal(taken.length, 1, 'exactly one is taken')
    for (const answer of answers) {
      if (answer.status === 200) path = `/uploads/${field(answer, 'id')}/`
      else t.strictSame([answer.status, answer.json], [400, mismatch(start + CHUNK, start)])
    }
  }
  const [first] = servers
  if (first === undefined) return
  const md5 = createHash('md5').update(bytes).digest('hex')
  const completions = await Promise.all(clients.map(async client => await client?.send('POST', path, json({ md5 }))))
  t.strictSame(completions.map(answer => answer?.status).sort(), [200, 400, 400, 400], 'it is completed once')
  const upload = await first.app.chunkedUpload.get(path.split('/').at(-2) ?? '')
  if (upload?.status !== 'complete') throw new Error('the upload is not complete')
  t.ok(readFileSync(join(first.directory, upload.location)).equals(bytes), 'the file is what was sent')
}

const raw = (chunk: Uint8Array, range: string): FormMessage =>
  ({ headers: { 'content-type': 'application/octet-stream', 'content-range': range }, body: Buffer.from(chunk) })

for (const [kind, message] of [['forms', chunkForm], ['raw bodies', raw]] as const) {
  t.test(`invariant 3: four identical PUTs at once, as ${kind}, never damage a file`, async t => {
    await abuse(t, [await startServer(t)], message)
  })

  t.test(`invariant 3: nor do they on two servers with one directory, as ${kind}`, async t => {
    const directory = t.testdir()
    await abuse(t, [await startServer(t, {}, { directory }), await startServer(t, {}, { directory })], message)
  })
}

t.test('four whole files at once are four uploads', async t => {
  const server = await startServer(t)
  const bytes = randomBytes(CHUNK)
  const md5 = createHash('md5').update(bytes).digest('hex')
  const answers = await Promise.all([0, 1, 2, 3].map(async () =>
    await server.client().send('POST', '/uploads/', chunkForm(bytes, undefined, [{ name: 'md5', content: md5 }]))))
  t.strictSame(answers.map(({ status }) => status), [200, 200, 200, 200])
  t.equal(new Set(answers.map(answer => field(answer, 'id'))).size, 4)
})
