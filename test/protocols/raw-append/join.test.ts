import { truncate } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, diskStorage, fileMetadata, memoryMetadata, memoryStorage, type Metadata, rawAppend,
  type RawAppendOptions, type Upload
} from '../../../src/index.js'
import { type Clip, type Joiner, JoinFailed, type JoinReport } from '../../../src/ffmpeg/index.js'
import { changedMetadata, changedStorage, gate } from '../../support/engine.js'
import { allRecords } from '../../support/records.js'
import { type Answer, startServer, type TestServer } from '../../support/server.js'

/** Joins texts as `a+b`, one step at a time: each job waits until the test lets it go on. */
class TestJoiner implements Joiner {
  readonly jobs: number
  /** The inputs of every job so far. */
  readonly inputs: string[][] = []
  discarded = 0
  running = 0
  most = 0
  #gates: Array<(error?: Error) => void> = []
  #begun = (): void => {}

  constructor (jobs = 1) {
    this.jobs = jobs
  }

  async join (clips: readonly Clip[], { signal }: { readonly signal: AbortSignal }) {
    const texts = await Promise.all(clips.map(async clip => (await buffer(clip.open())).toString()))
    this.most = Math.max(this.most, ++this.running)
    try {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => { reject(signal.reason) })
        this.#gates.push(error => { if (error === undefined) resolve(); else reject(error) })
        this.inputs.push(texts)
        this.#begun()
      })
    } finally {
      this.running--
    }
    if (texts.some(text => text.startsWith('bad'))) throw new JoinFailed('not playable')
    return {
      contentType: 'text/plain',
      open: () => Readable.from([Buffer.from(texts.join('+'))], { objectMode: false }),
      discard: async () => { this.discarded++ }
    }
  }

  /** Resolves when so many jobs have begun. */
  async begun (jobs: number): Promise<void> {
    while (this.inputs.length < jobs) await new Promise<void>(resolve => { this.#begun = resolve })
  }

  /** Lets the oldest job that waits go on, or fail. */
  go (error?: Error): void {
    this.#gates.shift()?.(error)
  }
}

interface Served extends TestServer {
  readonly joiner: TestJoiner
  readonly metadata: Metadata
  /** What the host was told. */
  readonly told: string[]
  /** Resolves when the host was told so much. */
  heard (count: number): Promise<void>
}

async function serve (
  t: Test, joiner = new TestJoiner(), settings: ChunkedUploadOptions = {}, options: Partial<RawAppendOptions> = {}
): Promise<Served> {
  const told: string[] = []
  let wake = (): void => {}
  const tell = (text: string): void => {
    told.push(text)
    wake()
  }
  const heard = async (count: number): Promise<void> => {
    while (told.length < count) await new Promise<void>(resolve => { wake = resolve })
  }
  const protocol = rawAppend({
    join: joiner,
    onJoined: ({ video }) => { tell(`joined ${video.serial}`) },
    onJoinFailed: ({ video, error }: JoinReport) => { tell(`failed ${video.serial}: ${error.message}`) },
    ...options
  })
  const { directory, metadata = memoryMetadata(), ...others } = settings
  const registration = { prefix: '/', protocols: [protocol], storage: memoryStorage(), ...others, metadata }
  const server = await startServer(t, registration, { mayFail: true, ...directory !== undefined && { directory } })
  return { ...server, joiner, metadata, told, heard }
}

async function append (server: TestServer, id: number, body: string): Promise<Answer> {
  return await server.send('POST', `/append_video/${id}/`, { body })
}

async function read (server: TestServer, id: number): Promise<string> {
  return (await server.send('GET', `/get_video/${id}/`)).text
}

async function inner ({ metadata }: Served): Promise<Upload[]> {
  return (await allRecords(metadata)).filter(({ internal }) => internal === true)
}

t.test('a clip is acknowledged at once, and the video changes in one step when the job has ended', async t => {
  const server = await serve(t)
  await server.send('POST', '/create_video/')
  t.equal((await append(server, 1, 'a')).text, '{"message":"Video added successfully"}')
  t.equal(await read(server, 1), 'a', 'the first clip needs no job')
  const before = await server.send('GET', '/get_video/1/')

  t.equal((await append(server, 1, 'b')).text, '{"message":"Video appended and joined successfully"}')
  await server.joiner.begun(1)
  t.equal(await read(server, 1), 'a', 'while it is joined, the old file is served')
  server.joiner.go()
  await server.heard(1)
  t.equal(await read(server, 1), 'a+b')
  t.strictSame(server.told, ['joined 1'])
  t.equal(server.joiner.discarded, 1)
  const after = await server.send('GET', '/get_video/1/', { headers: { range: 'bytes=0-0', 'if-range': String(before.headers.etag) } })
  t.equal(after.status, 200, 'a part of the old file is not taken for one of the new')
  t.equal((await inner(server)).length, 1, 'what was replaced is gone')
})

/** Storage whose reads of the bytes `held` wait, once, until the test lets them go on. */
function holdingReads (held: string) {
  const memory = memoryStorage()
  const asked = gate()
  const goOn = gate()
  let armed = false
  const storage = changedStorage(memory, {
    read: (upload, range) => {
      if (!armed || range[1] !== held.length) return memory.read(upload, range)
      armed = false
      return Readable.from((async function * () {
        asked.open()
        await goOn.passed
        yield * memory.read(upload, range)
      })(), { objectMode: false })
    }
  })
  return { storage, arm: () => { armed = true }, asked: asked.passed, goOn: () => { goOn.open() } }
}

t.test('who reads a video in the very moment in which its file is replaced gets the new one', async t => {
  for (const headers of [{}, { range: 'bytes=0-' }]) {
    const reads = holdingReads('a')
    const server = await serve(t, new TestJoiner(), { storage: reads.storage })
    await server.send('POST', '/create_video/')
    await append(server, 1, 'a')
    await append(server, 1, 'b')
    await server.joiner.begun(1)
    reads.arm()
    const reading = server.client().send('GET', '/get_video/1/', { headers })
    await reads.asked
    server.joiner.go()
    await server.heard(1)
    reads.goOn()
    const { status, text } = await reading
    t.strictSame([status, text], ['range' in headers ? 206 : 200, 'a+b'])
  }
})

t.test('invariant 11: the limit counts a video whose clips are just being replaced by one file', async t => {
  const metadata = memoryMetadata()
  const asked = gate()
  const goOn = gate()
  let armed = false
  const held = changedMetadata(metadata, {
    get: async id => {
      const record = await metadata.get(id)
      if (armed && record?.internal === true) {
        armed = false
        asked.open()
        await goOn.passed
        return await metadata.get(id)
      }
      return record
    }
  })
  const server = await serve(t, new TestJoiner(), { metadata: held, maxBytes: 5 })
  await server.send('POST', '/create_video/')
  await append(server, 1, 'a')
  await append(server, 1, 'b')
  await server.joiner.begun(1)
  armed = true
  const [fits, tooMuch] = [server.client(), server.client()]
  const first = fits.send('POST', '/append_video/1/', { body: 'cd' })
  await asked.passed
  server.joiner.go()
  await server.heard(1)
  goOn.open()
  t.equal((await first).status, 200)
  t.equal((await tooMuch.send('POST', '/append_video/1/', { body: 'e' })).status, 413)
})

t.test('clips that wait are joined together, in their order', async t => {
  const server = await serve(t)
  await server.send('POST', '/create_video/')
  for (const clip of ['a', 'b', 'c', 'd']) await append(server, 1, clip)
  await server.joiner.begun(1)
  await append(server, 1, 'e')
  server.joiner.go()
  await server.joiner.begun(2)
  server.joiner.go()
  await server.heard(2)
  t.strictSame(server.joiner.inputs, [['a', 'b'], ['a+b', 'c', 'd', 'e']])
  t.equal(await read(server, 1), 'a+b+c+d+e')
})

t.test('only so many jobs work at a time, one for each video', async t => {
  const server = await serve(t, new TestJoiner(2))
  for (const id of [1, 2, 3, 4]) {
    await server.send('POST', '/create_video/')
    await append(server, id, 'a')
    await append(server, id, 'b')
  }
  await server.joiner.begun(2)
  for (let jobs = 3; jobs <= 4; jobs++) {
    server.joiner.go()
    await server.joiner.begun(jobs)
  }
  server.joiner.go()
  server.joiner.go()
  await server.heard(4)
  t.equal(server.joiner.most, 2)
  for (const id of [1, 2, 3, 4]) t.equal(await read(server, id), 'a+b')
})

t.test('a clip that cannot be joined leaves the video as it was, is told of, and does not hold up those after it', async t => {
  const kept: string[] = []
  const server = await serve(t, new TestJoiner(), {}, {
    onJoinFailed: async ({ clip }) => { kept.push((await buffer(server.app.chunkedUpload.read(clip))).toString()) }
  })
  await server.send('POST', '/create_video/')
  await append(server, 1, 'a')
  await append(server, 1, 'bad one')
  await server.joiner.begun(1)
  await append(server, 1, 'c')
  await append(server, 1, 'bad two')
  await append(server, 1, 'd')
  for (let job = 1; ; job++) {
    await server.joiner.begun(job)
    server.joiner.go()
    if (server.joiner.inputs.at(-1)?.join() === 'a+c,d') break
  }
  await server.heard(2)
  t.equal(await read(server, 1), 'a+c+d')
  t.strictSame(kept, ['bad one', 'bad two'], 'the host can still read what is about to be removed')
  t.equal((await inner(server)).length, 1)
  t.match(server.failures, [/a clip cannot be joined, it is removed/, /a clip cannot be joined/])
})

/** A video of one clip, and a second one that waits as there was no room to join it. */
async function keepWaiting (server: Served, first: string, second: string): Promise<void> {
  await server.send('POST', '/create_video/')
  await append(server, 1, first)
  await append(server, 1, second)
  await server.joiner.begun(1)
  server.joiner.go(new Error('no room'))
  while (server.failures.length === 0) await sleep(5)
}

t.test('other trouble keeps the clips for the next time', async t => {
  const server = await serve(t)
  await keepWaiting(server, 'a', 'b')
  t.match(server.failures, [/clips could not be joined, they are kept/])
  t.equal(await read(server, 1), 'a')
  await append(server, 1, 'c')
  await server.joiner.begun(2)
  server.joiner.go()
  await server.heard(1)
  t.equal(await read(server, 1), 'a+b+c')
  t.strictSame(server.told, ['joined 1'])
})

t.test('a video of which acknowledged bytes are lost takes no more clips: they would be acknowledged and never joined', async t => {
  for (const lost of ['the first clip', 'a clip that waits']) {
    await t.test(lost, async t => {
      const storage = diskStorage({ directory: t.testdir() })
      const server = await serve(t, new TestJoiner(), { storage })
      await keepWaiting(server, 'first', 'second')
      const clips = (await inner(server)).sort((one, other) => one.id < other.id ? -1 : 1)
      const clip = clips[lost === 'the first clip' ? 0 : 1]
      await truncate(clip === undefined ? '' : storage.localPath?.(clip) ?? '', 3)
      for (let turn = 0; turn < 2; turn++) t.equal((await append(server, 1, 'third')).status, 410)
      t.equal((await inner(server)).length, 2)
    })
  }
})

t.test('an empty body, a cut one and one beyond the limit leave no clip', async t => {
  const server = await serve(t, new TestJoiner(), { maxBytes: 5 })
  await server.send('POST', '/create_video/')
  await append(server, 1, 'abc')
  const answers = [
    await append(server, 1, ''),
    await server.send('POST', '/append_video/1/', { headers: { 'transfer-encoding': 'chunked' } }),
    await append(server, 1, 'def'),
    await server.send('POST', '/append_video/1/', { headers: { 'transfer-encoding': 'chunked' }, body: 'def' })
  ]
  t.strictSame(answers.map(({ status }) => status), [400, 400, 413, 413])
  t.match(answers[2]?.json, { error: 'Size exceeds the limit of 5 bytes' })
  t.match(answers[3]?.json, { error: 'Size exceeds the limit of 5 bytes' })
  t.equal((await inner(server)).length, 1)
  t.equal((await append(server, 1, 'de')).status, 200)
})

t.test('clips and the file that is made of them count in the quota', async t => {
  const server = await serve(t, new TestJoiner(), { maxStored: 10 })
  await server.send('POST', '/create_video/')
  t.equal((await append(server, 1, 'aaaa')).status, 200)
  const headers = { 'transfer-encoding': 'chunked' }
  const answers = await Promise.all(['bbbb', 'bbbb', 'bbbb'].map(async (body, number) => {
    return await server.client().send('POST', '/append_video/1/', { body, ...number > 0 && { headers } })
  }))
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 413, 413])
  await server.joiner.begun(1)
  server.joiner.go()
  await server.heard(1)
  t.equal(await read(server, 1), 'aaaa+bbbb')
  t.match(await append(server, 1, 'cc'), { status: 413, json: { error: /quota of 10 bytes/ } })
  t.equal((await append(server, 1, 'c')).status, 200)
})

t.test('clips are internal: no client can reach them, they do not count as open, and go with their video', async t => {
  const server = await serve(t, new TestJoiner(), { maxOpenUploads: 1 })
  const events: string[] = []
  for (const event of ['create', 'progress', 'complete'] as const) {
    server.app.chunkedUpload.events.on(event, (upload: Upload) => { events.push(`${event} ${upload.protocol}`) })
  }
  await server.send('POST', '/create_video/')
  for (const clip of ['a', 'b', 'c']) t.equal((await append(server, 1, clip)).status, 200)
  await server.joiner.begun(1)
  t.strictSame(events, ['create rawAppend'])
  t.equal((await server.send('GET', '/get_video/2/')).status, 404)
  server.joiner.go()
  await server.joiner.begun(2)
  server.joiner.go()
  await server.heard(2)
  for await (const video of server.app.chunkedUpload.list({ protocol: 'rawAppend' })) await server.app.chunkedUpload.remove(video.id)
  while ((await inner(server)).length > 0) await sleep(5)
  t.equal((await server.send('GET', '/get_video/1/')).status, 404)
})

t.test('invariant 12: a job that a stop of the server cuts short is done again by the next one', async t => {
  const directory = t.testdir()
  const adapters = { directory, storage: diskStorage({ directory }), metadata: fileMetadata({ directory: `${directory}/records` }) }
  const first = await serve(t, new TestJoiner(), adapters)
  await first.send('POST', '/create_video/')
  for (const clip of ['a', 'b', 'c']) await append(first, 1, clip)
  await first.joiner.begun(1)
  await first.app.close()

  const metadata = fileMetadata({ directory: `${directory}/records` })
  const second = await serve(t, new TestJoiner(), { ...adapters, metadata })
  await second.joiner.begun(1)
  t.equal(await read(second, 1), 'a')
  second.joiner.go()
  await second.heard(1)
  t.equal(await read(second, 1), 'a+b+c')
  t.equal((await inner(second)).length, 1)
})

t.test('invariant 12: whatever step a crash comes at, the next server finds a whole video and leaves nothing behind', async t => {
  for (let step = 1; ; step++) {
    const storage = memoryStorage()
    const metadata = memoryMetadata()
    let writes = 0
    let dead = false
    const dying = async <T>(work: () => Promise<T>): Promise<T> => {
      if (!dead && ++writes === step) dead = true
      if (dead) throw new Error('the process is gone')
      return await work()
    }
    const first = await serve(t, new TestJoiner(), {
      storage,
      metadata: {
        ...metadata,
        create: async (...args) => await (writes < 0 ? metadata.create(...args) : dying(async () => await metadata.create(...args))),
        update: async (...args) => await dying(async () => await metadata.update(...args)),
        delete: async (...args) => await dying(async () => await metadata.delete(...args))
      }
    })
    writes = -1000
    await first.send('POST', '/create_video/')
    await append(first, 1, 'a')
    writes = 0
    const acknowledged = (await append(first, 1, 'b')).status === 200
    while (first.told.length === 0 && first.failures.length === 0) {
      if (!acknowledged) break
      first.joiner.go()
      await sleep(2)
    }
    await first.app.close()
    const done = !dead

    const second = await serve(t, new TestJoiner(), { storage, metadata })
    const state = await read(second, 1)
    t.ok(state === 'a' || state === 'a+b', `step ${step}: ${state}`)
    if (acknowledged && state === 'a') {
      await second.joiner.begun(1)
      second.joiner.go()
      await second.heard(1)
      t.equal(await read(second, 1), 'a+b', `step ${step}`)
    }
    const left = async (): Promise<Upload[]> => (await inner(second)).filter(({ expiresAt }) => expiresAt === null)
    for (let tries = 0; tries < 100 && (await left()).length > 1; tries++) await sleep(10)
    t.ok((await left()).length <= (acknowledged ? 1 : 2), `step ${step}: nothing that stays for ever`)
    await second.app.close()
    if (done) break
  }
})

t.test('invariant 11: clips that come at the same time do not pass maxBytes together', async t => {
  const { passed, open } = gate()
  const memory = memoryStorage()
  let begun = 0
  const storage = changedStorage(memory, {
    write: async (...given) => {
      begun++
      await passed
      await memory.write(...given)
    }
  })
  const server = await serve(t, new TestJoiner(), { storage, maxBytes: 10 })
  await server.send('POST', '/create_video/')
  const clients = Array.from({ length: 8 }, () => server.client())
  const answers = Promise.all(clients.map(async client => await client.send('POST', '/append_video/1/', { body: 'abc' })))
  // Each has been let in by what was stored before all of them.
  while (begun < clients.length) await sleep(5)
  open()
  const statuses = (await answers).map(({ status }) => status).sort()
  t.same(statuses, [200, 200, 200, 413, 413, 413, 413, 413])
  t.equal((await inner(server)).length, 3, 'nothing of the others is left')
})
