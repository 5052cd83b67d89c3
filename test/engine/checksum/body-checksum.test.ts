import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { BodyChecksum } from '../../../src/engine/checksum/body-checksum.js'
import { Checksums } from '../../../src/engine/checksum/running-checksum.js'
import { HashThread } from '../../../src/engine/checksum/hash-thread.js'
import { run } from '../../support/child.js'

const MIB = 1024 * 1024

function shared (bytes: Uint8Array): Buffer {
  const copy = Buffer.from(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}

t.test('the checksum of a body grows batch by batch, in a thread for shared memory and here for other', async t => {
  const checksums = new Checksums()
  const thread = new HashThread()
  t.teardown(() => thread.close())
  const content = randomBytes(6 * MIB)
  const part = (start: number, end: number): Buffer => content.subarray(start * MIB, end * MIB)
  const batches = {
    'shared memory': [[shared(part(0, 1))], [shared(part(1, 3)), shared(part(3, 4))], [shared(part(4, 6))]],
    'other memory': [[part(0, 2)], [part(2, 6)]],
    'some of both': [[part(0, 1)], [shared(part(1, 2))], [part(2, 3)], [shared(part(3, 4)), part(4, 5)], [shared(part(5, 6))]]
  }
  for (const [what, list] of Object.entries(batches)) {
    await t.test(what, async t => {
      const running = await checksums.resume('sha256', null)
      const checksum = new BodyChecksum(running, 'sha256', thread)
      const offsets: number[] = []
      checksum.onHashed = state => { offsets.push(state.offset) }
      for (const batch of list) await checksum.take(batch)
      await checksum.settled()
      let end = 0
      t.strictSame(offsets, list.map(batch => { return (end += Buffer.concat(batch).length) }), 'each batch, in order')
      t.equal(running.digest(), createHash('sha256').update(content).digest('hex'))
    })
  }

  await t.test('it takes no third batch while the thread has two', async t => {
    const checksum = new BodyChecksum(await checksums.resume('sha256', null), 'sha256', thread)
    const states: number[] = []
    checksum.onHashed = state => { states.push(state.offset) }
    const block = shared(part(0, 1))
    await checksum.take([block])
    t.strictSame(states, [], 'the first one is not waited for')
    await checksum.take([block])
    t.strictSame(states, [MIB], 'the second one is, until the first is done')
    await checksum.settled()
  })
})

t.test('a thread that dies on the way loses no byte of the checksum', async t => {
  const checksums = new Checksums()
  const thread = new HashThread()
  const running = await checksums.resume('md5', null)
  const checksum = new BodyChecksum(running, 'md5', thread)
  const content = randomBytes(4 * MIB)
  const taken = (async () => {
    for (let at = 0; at < content.length; at += MIB) await checksum.take([shared(content.subarray(at, at + MIB))])
  })()
  await thread.close()
  await taken
  await checksum.settled()
  t.equal(running.offset, content.length)
  t.equal(running.digest(), createHash('md5').update(content).digest('hex'))
})

t.test('a body does not wait for a thread that is busy with others', async t => {
  const checksums = new Checksums()
  const thread = new HashThread()
  t.teardown(() => thread.close())
  const fifo = join(t.testdir(), 'fifo')
  await run('mkfifo', [fifo])
  // Opening it waits for a writer.
  const busy = thread.offer({ algorithm: 'md5', state: null, source: { path: fifo, to: MIB } }, 'file').state
    .then(() => 'read', ({ code }: { code?: string }) => code)
  const bodies = await Promise.all([1, 2, 3].map(async () => {
    const content = randomBytes(5 * MIB)
    const running = await checksums.resume('md5', null)
    return { content, running, checksum: new BodyChecksum(running, 'md5', thread) }
  }))
  await Promise.all(bodies.map(async ({ content, checksum }) => {
    for (let at = 0; at < content.length; at += MIB) await checksum.take([shared(content.subarray(at, at + MIB))])
  }))
  for (const { running } of bodies) t.ok(running.offset >= 4 * MIB, 'hashed meanwhile')
  await writeFile(fifo, '')
  t.equal(await busy, 'ESPIPE', 'only now the thread was free')
  await Promise.all(bodies.map(async ({ checksum }) => { await checksum.settled() }))
  for (const { content, running } of bodies) t.equal(running.digest(), createHash('md5').update(content).digest('hex'))
})
