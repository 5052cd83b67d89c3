import { once, request } from '../../support/deadline.js'
import { Readable } from 'node:stream'
import t from 'tap'
import { BodyMemory } from '../../../src/engine/body/body-memory.js'
import { BodyReader } from '../../../src/engine/body/body-reader.js'
import type { Storage } from '../../../src/storage/contract.js'
import { keepAlive } from '../../support/engine.js'
import { plainHost } from '../../support/host.js'
import { memoryStorage } from '../../../src/storage/memory.js'

const MIB = 1024 * 1024
keepAlive(t)
t.setTimeout(60_000)

/** What bodies have in flight together, now and at most. */
class InFlight {
  now = 0
  most = 0

  add (bytes: number): void {
    this.now += bytes
    this.most = Math.max(this.most, this.now)
  }
}

function body (bytes: number): Readable {
  let left = bytes
  return new Readable({
    read () {
      const size = Math.min(left, 64 * 1024)
      left -= size
      this.push(size === 0 ? null : Buffer.alloc(size))
    }
  })
}

/** Reads as a storage does that lets go of bytes once it has `part` of them. */
async function store (source: BodyReader, part: number, inFlight: InFlight): Promise<number> {
  let taken = 0
  let released = 0
  for await (const batch of source) {
    const bytes = batch.reduce((sum, { length }) => sum + length, 0)
    taken += bytes
    inFlight.add(bytes)
    if (taken - released < part) continue
    await new Promise(resolve => setImmediate(resolve))
    inFlight.add(released - taken)
    released = taken
    source.release(released)
  }
  inFlight.add(released - taken)
  source.close()
  return taken
}

for (const [kind, part] of [['each batch', 1], ['parts of 5 MiB', 5 * MIB]] as const) {
  t.test(`invariant 6: bodies share a budget of memory, and all come to their end, with a storage that takes ${kind}`, async t => {
    const memory = new BodyMemory(8 * MIB)
    const inFlight = new InFlight()
    const sources = Array.from({ length: 60 }, () => new BodyReader(body(12 * MIB), { limit: Infinity, stallTimeout: 0, memory }))
    const stored = await Promise.all(sources.map(source => store(source, part, inFlight)))
    t.ok(stored.every(bytes => bytes === 12 * MIB))
    t.ok(inFlight.most <= 2 * (part + 2 * MIB) + 60 * 256 * 1024, `${inFlight.most / MIB} MiB in flight at most`)
    t.notOk(memory.isScarce, 'all lanes are back')
  })
}

t.test('a body that brings nothing any more keeps no lane', async t => {
  const memory = new BodyMemory(1)
  const idle = new Readable({ read () {} })
  idle.push(Buffer.alloc(500_000))
  const source = new BodyReader(idle, { limit: Infinity, stallTimeout: 0, memory })
  const batches = source[Symbol.asyncIterator]()
  await batches.next()
  t.ok(memory.isScarce, 'it has the lane while storage needs its bytes')
  source.release(500_000)
  t.notOk(memory.isScarce)

  t.ok(memory.take())
  idle.push(Buffer.alloc(300_000))
  await batches.next()
  // It waits in line, but holds nothing when its turn comes.
  source.release(800_000)
  memory.give()
  t.notOk(memory.isScarce)
  source.stop('taken')
  source.close()
})

t.test('invariant 6: many fast uploads at once hold little together', async t => {
  const inFlight = new InFlight()
  const storage = memoryStorage()
  const slow: Storage = {
    ...storage,
    write: async (_upload, start, batches, progress) => {
      let at = start
      for await (const batch of batches) {
        const bytes = batch.reduce((sum, { length }) => sum + length, 0)
        inFlight.add(bytes)
        await new Promise(resolve => { setTimeout(resolve, 5) })
        inFlight.add(-bytes)
        at += bytes
        progress.confirm(at)
      }
    }
  }
  const { app, listen } = await plainHost(t, { storage: slow, bodyMemory: 4 * MIB })
  const { port } = await listen()
  const replies = await Promise.all(Array.from({ length: 40 }, async () => {
    const { id } = (await app.inject({ method: 'POST', url: '/u' })).json()
    const headers = { 'content-type': 'application/octet-stream', 'content-length': 3 * MIB }
    const sent = request({ port, host: '127.0.0.1', method: 'PATCH', path: `/u/${id}`, headers })
    sent.end(Buffer.alloc(3 * MIB))
    const [response] = await once(sent, 'response')
    let text = ''
    for await (const piece of response.setEncoding('utf8')) text += piece
    return JSON.parse(text).offset
  }))
  t.ok(replies.every(offset => offset === 3 * MIB))
  t.ok(inFlight.most < 40 * 200_000, `${inFlight.most / MIB} MiB in flight at most`)
})
