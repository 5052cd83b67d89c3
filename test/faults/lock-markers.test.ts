import { createHash, randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { fetch } from '../support/deadline.js'
import { TusProcess } from '../support/tus-process.js'

const DEADLINE = 60_000
const PIECE = 192 * 1024
const SLICE = PIECE / 6
const ROUNDS = 10
const TUS = { 'tus-resumable': '1.0.0' }

async function request (url: string, method: string, headers: Record<string, string>, body?: Buffer): Promise<Response> {
  const signal = AbortSignal.timeout(DEADLINE)
  const slow = body === undefined ? {} : { body: ReadableStream.from(slices(body)), duplex: 'half' } as const
  return await fetch(url, { method, headers: { ...TUS, ...headers }, signal, ...slow })
}

/** Slow enough for another body to be under way at the same time. */
async function * slices (bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += SLICE) {
    await sleep(Math.random() * 20)
    yield bytes.subarray(start, start + SLICE)
  }
}

async function offsetOf (url: string): Promise<number> {
  for (;;) {
    const answer = await request(url, 'HEAD', {})
    if (answer.status === 200) return Number(answer.headers.get('upload-offset'))
    if (answer.status !== 423 && answer.status !== 503) throw new Error(`HEAD ${answer.status}`)
    await sleep(50)
  }
}

async function patch (url: string, offset: number, bytes: Buffer): Promise<number> {
  const headers = { 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' }
  const answer = await request(url, 'PATCH', headers, bytes).catch(() => undefined)
  await answer?.arrayBuffer()
  return answer?.status ?? 0
}

for (const [what, pattern] of [['member and arbiter files', /\.(member|arbiter)$/], ['all files', /./]] as const) {
  t.test(`bytes of two clients never mix while ${what} of the locks are removed`, async t => {
    const directory = t.testdir()
    const locks = join(directory, '.chunked_uploads', 'locks')
    const servers = [new TusProcess(t, directory), new TusProcess(t, directory)] as const
    await servers[0].start()
    const acknowledged = Buffer.alloc(ROUNDS * PIECE)
    const created = await request(servers[0].endpoint, 'POST', { 'upload-length': String(ROUNDS * PIECE) })
    let removed = 0
    const remove = async (): Promise<void> => {
      await sleep(Math.random() * 10)
      for (const file of await readdir(locks).catch(() => [])) {
        if (!pattern.test(file)) continue
        removed++
        await rm(join(locks, file), { force: true })
      }
    }
    const begin = randomBytes(1000)
    t.equal(await patch(new URL(created.headers.get('location') ?? '', servers[0].endpoint).href, 0, begin), 204)
    begin.copy(acknowledged)
    // The second server comes when nothing tells it of the first one any more.
    await remove()
    await servers[1].start()
    const path = new URL(created.headers.get('location') ?? '', servers[0].endpoint).pathname
    const urls = servers.map(({ endpoint }) => new URL(path, endpoint).href)
    const [first = '', second = ''] = urls
    const unclear: Array<{ readonly start: number, readonly end: number, readonly contents: readonly Buffer[] }> = []
    for (let offset = begin.length; offset < acknowledged.length;) {
      const piece = (): Buffer => randomBytes(Math.min(PIECE, acknowledged.length - offset))
      const [one, other] = [piece(), piece()]
      const [a, b] = await Promise.all([patch(first, offset, one), patch(second, offset, other), remove()])
      t.notOk(a === 204 && b === 204, `one writer at byte ${offset}: ${a} and ${b}`)
      if (a === 204) one.copy(acknowledged, offset)
      if (b === 204) other.copy(acknowledged, offset)
      const now = await offsetOf(first)
      t.ok(now >= (a === 204 || b === 204 ? offset + one.length : offset), 'what was acknowledged stays')
      if (a !== 204 && b !== 204 && now > offset) unclear.push({ start: offset, end: now, contents: [one, other] })
      offset = now
    }
    t.ok(removed > 0, 'files were removed')
    const stored = Buffer.from(await (await request(second, 'GET', {})).arrayBuffer())
    // Some bytes of a client that had to go may be kept: then they are all of one client.
    for (const { start, end, contents } of unclear) {
      const found = contents.find(content => content.subarray(0, end - start).equals(stored.subarray(start, end)))
      t.ok(found !== undefined, `bytes ${start} to ${end} are of one client`)
      found?.copy(acknowledged, start, 0, end - start)
    }
    t.equal(createHash('sha256').update(stored).digest('hex'), createHash('sha256').update(acknowledged).digest('hex'))
  })
}
