import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { contentRange, memoryStorage, type Protocol, resumableHttp, tus } from '../../../src/index.js'
import { bytesOf, changedStorage, gate, until } from '../../support/engine.js'
import { RawHttp } from '../../support/raw-http.js'
import { field, startServer, type TestServer } from '../../support/server.js'

const TUS = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }

interface Wire {
  readonly protocol: Protocol
  /** Makes an upload of two chunks, and gives its path. */
  readonly create: (server: TestServer, size: number) => Promise<string>
  readonly method: string
  readonly headers: (start: number, end: number, size: number) => Record<string, string | number>
  readonly statuses: readonly [number, number]
}

const wires: Readonly<Record<string, Wire>> = {
  tus: {
    protocol: tus(),
    create: async ({ send }, size) => {
      const { headers } = await send('POST', '/uploads', { headers: { 'tus-resumable': '1.0.0', 'upload-length': size } })
      return String(headers.location)
    },
    method: 'PATCH',
    headers: start => ({ ...TUS, 'upload-offset': start }),
    statuses: [204, 204]
  },
  resumableHttp: {
    protocol: resumableHttp(),
    create: async ({ send }, size) => {
      const { headers } = await send('POST', '/uploads', { headers: { 'upload-complete': '?0', 'upload-length': size } })
      return new URL(String(headers.location), 'http://test').pathname
    },
    method: 'PATCH',
    headers: (start, end, size) => ({
      'content-type': 'application/partial-upload', 'upload-offset': start, 'upload-complete': end === size ? '?1' : '?0'
    }),
    statuses: [204, 200]
  },
  contentRange: {
    protocol: contentRange(),
    create: async ({ send }, size) => {
      const answer = await send('PUT', '/uploads/', { headers: { 'content-range': `bytes 0-0/${size}` }, body: 'x' })
      return new URL(field(answer, 'url')).pathname
    },
    method: 'PUT',
    headers: (start, end, size) => ({ 'content-range': `bytes ${start}-${end - 1}/${size}` }),
    statuses: [200, 200]
  }
}

interface SlowHost extends TestServer {
  /** Requests that have arrived. */
  readonly arrived: () => number
  /** Lets the bytes of the first append through. */
  readonly open: () => void
}

/** A host whose own decoder, say, holds back the body of the first append, while all of that has arrived. */
async function slowHost (t: Test, protocol: Protocol): Promise<SlowHost> {
  const { passed, open } = gate()
  let arrived = 0
  let appends = 0
  const server = await startServer(t, { protocols: [protocol] }, {
    mayFail: true,
    before: app => {
      app.server.on('request', () => { arrived++ })
      app.addHook('preParsing', async ({ headers, method }, _reply, payload) => {
        const append = method !== 'POST' && method !== 'HEAD' && !String(headers['content-range']).startsWith('bytes 0-0/')
        if (!append || appends++ > 0) return payload
        const held = new PassThrough()
        passed.then(() => { payload.pipe(held) }, () => {})
        return held
      })
    }
  })
  return { ...server, arrived: () => arrived, open }
}

for (const [name, wire] of Object.entries(wires)) {
  t.test(`${name}: an append does not take the upload away from the one before it on the same connection`, async t => {
    const server = await slowHost(t, wire.protocol)
    const first = name === 'contentRange' ? 1 : 0
    const path = await wire.create(server, first + 6)
    const before = server.arrived()
    const client = await RawHttp.connect(server.port)
    const { method, headers } = wire
    client.request(method, path, { ...headers(first, first + 3, first + 6), 'content-length': 3 }, 'abc')
    client.request(method, path, { ...headers(first + 3, first + 6, first + 6), 'content-length': 3 }, 'def')
    await until(() => server.arrived() === before + 2)
    // Long enough for a second request that does not wait to do its harm.
    await sleep(100)
    server.open()
    t.same([(await client.reply()).status, (await client.reply()).status], wire.statuses)
    const upload = await server.app.chunkedUpload.get(path.split('/').filter(Boolean).at(-1) ?? '')
    const stored = upload === undefined ? '' : String(await bytesOf(server.app.chunkedUpload.read(upload, [0, first + 6])))
    t.equal(stored, `${'x'.repeat(first)}abcdef`)
    client.socket.end()
  })

  t.test(`${name}: the first of two appends comes first, however long the host takes to know its user`, async t => {
    let asked = 0
    const user = async (): Promise<null> => {
      if (asked++ === 1) await sleep(50)
      return null
    }
    const server = await startServer(t, { protocols: [wire.protocol], user })
    const first = name === 'contentRange' ? 1 : 0
    const path = await wire.create(server, first + 6)
    const client = await RawHttp.connect(server.port)
    const { method, headers } = wire
    client.request(method, path, { ...headers(first, first + 3, first + 6), 'content-length': 3 }, 'abc')
    client.request(method, path, { ...headers(first + 3, first + 6, first + 6), 'content-length': 3 }, 'def')
    t.same([(await client.reply()).status, (await client.reply()).status], wire.statuses)
    client.socket.end()
  })
}

t.test('a HEAD on the connection of a PATCH tells what that one has stored, and does not stop it', async t => {
  const server = await slowHost(t, tus())
  const path = await wires.tus?.create(server, 3) ?? ''
  const before = server.arrived()
  const client = await RawHttp.connect(server.port)
  client.request('PATCH', path, { ...TUS, 'upload-offset': 0, 'content-length': 3 }, 'abc')
  client.request('HEAD', path, { 'tus-resumable': '1.0.0' })
  await until(() => server.arrived() === before + 2)
  await sleep(100)
  server.open()
  t.equal((await client.reply()).status, 204)
  const { status, headers } = await client.reply()
  t.match([status, headers['upload-offset']], [200, '3'])
  client.socket.end()
})

t.test('invariant 8: requests that wait end with their connection, and other connections go on', async t => {
  const memory = memoryStorage()
  const { passed, open } = gate()
  const storage = changedStorage(memory, {
    write: async (...given) => {
      await passed
      await memory.write(...given)
    }
  })
  const server = await startServer(t, { protocols: [tus()], storage }, { mayFail: true })
  const path = await wires.tus?.create(server, 6) ?? ''
  const client = await RawHttp.connect(server.port)
  let arrived = 0
  server.app.server.on('request', () => { arrived++ })
  client.request('PATCH', path, { ...TUS, 'upload-offset': 0, 'content-length': 3 }, 'abc')
  for (let more = 0; more < 20; more++) client.request('HEAD', path, { 'tus-resumable': '1.0.0' })
  await until(() => arrived === 21)
  client.reset()
  await client.closed
  open()
  const told = await server.send('HEAD', path, { headers: { 'tus-resumable': '1.0.0' } })
  t.match([told.status, told.headers['upload-offset']], [200, '3'])
  const last = await server.send('PATCH', path, { headers: { ...TUS, 'upload-offset': 3 }, body: 'def' })
  t.equal(last.status, 204)
})
