import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createHttp2Server, type Http2ServerRequest } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { BodyReader } from '../../../src/engine/body/body-reader.js'
import { connectHttp2, connectSocket, fetch, once } from '../../support/deadline.js'
import { OpenBody, bodyOf, keepAlive, until } from '../../support/engine.js'

const MIB = 1024 * 1024
keepAlive(t)

function sourceOf (body: Readable, { limit = Infinity, stallTimeout = 0 } = {}): BodyReader {
  return new BodyReader(body, { limit, stallTimeout })
}

async function read (source: BodyReader): Promise<Buffer[]> {
  const batches: Buffer[] = []
  for await (const batch of source) batches.push(Buffer.concat(batch))
  return batches
}

/** Timers that this process still has. */
function timers (): number {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
}

t.test('a fast body comes in batches of about 1 MiB', async t => {
  const bytes = randomBytes(5 * MIB + 12345)
  const source = sourceOf(bodyOf(bytes))
  const batches = await read(source)
  t.ok(Buffer.concat(batches).equals(bytes))
  t.ok(batches.slice(0, -1).every(batch => batch.length >= MIB && batch.length <= MIB + 64 * 1024))
  t.equal(source.ended, 'end')
  t.equal(source.bytes, bytes.length)
})

t.test('the buffers of a body are handed on as they are, not copied', async t => {
  const pieces = [randomBytes(100), randomBytes(200)]
  const batches: Uint8Array[] = []
  for await (const batch of sourceOf(Readable.from(pieces, { objectMode: false }))) batches.push(...batch)
  t.equal(batches[0], pieces[0])
  t.equal(batches[1], pieces[1])
})

t.test('a slow body is handed on without waiting for its end', async t => {
  const body = new OpenBody().send(Buffer.from('abc'))
  const source = sourceOf(body)
  const batches = source[Symbol.asyncIterator]()
  const first = await batches.next()
  t.equal(first.done === true ? '' : Buffer.concat(first.value).toString(), 'abc')
  body.send(Buffer.from('de'))
  const second = await batches.next()
  t.equal(second.done === true ? '' : Buffer.concat(second.value).toString(), 'de')
  body.end()
  t.strictSame(await batches.next(), { done: true, value: undefined })
})

t.test('invariant 6: a body is paused while a full batch waits for the storage, and goes on after it', async t => {
  const body = bodyOf(randomBytes(8 * MIB))
  const source = sourceOf(body)
  await until(() => body.isPaused())
  t.ok(source.bytes >= MIB && source.bytes <= MIB + 64 * 1024, `${source.bytes} bytes wait`)
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  t.ok(source.bytes <= MIB + 64 * 1024, 'no more bytes are taken')
  t.equal((await read(source)).reduce((sum, { length }) => sum + length, 0), 8 * MIB)
})

t.test('begins tells whether a byte came', async t => {
  const body = new OpenBody()
  const source = sourceOf(body)
  const begins = source.begins()
  body.send(Buffer.from('x'))
  t.equal(await begins, true)
  t.equal(await source.begins(), true)
  source.stop('abandoned')
  t.equal(await sourceOf(Readable.from([])).begins(), false)
  t.equal(await sourceOf(new OpenBody().cut()).begins(), false)
  const stopped = sourceOf(new OpenBody())
  const never = stopped.begins()
  stopped.stop('taken')
  t.equal(await never, false)
})

for (const [name, limit, length, ended, kept] of [
  ['one byte over the limit ends the body, and the limit is kept', 10, 11, 'overflow', 10],
  ['exactly the limit is no overflow', 10, 10, 'end', 10],
  ['an empty body fits a limit of 0', 0, 0, 'end', 0],
  ['a byte does not fit a limit of 0', 0, 1, 'overflow', 0]
] as const) {
  t.test(`invariant 11: ${name}`, async t => {
    const bytes = randomBytes(length)
    const source = sourceOf(bodyOf(bytes, 4), { limit })
    t.ok(Buffer.concat(await read(source)).equals(bytes.subarray(0, kept)))
    t.equal(source.ended, ended)
    t.equal(source.bytes, kept)
  })
}

for (const why of ['taken', 'shutdown', 'stalled', 'cut'] as const) {
  t.test(`what came before a body ended as "${why}" is still handed on`, async t => {
    const body = new OpenBody().send(Buffer.from('abc'))
    const source = sourceOf(body)
    await source.begins()
    source.stop(why)
    t.equal(Buffer.concat(await read(source)).toString(), 'abc')
    t.equal(source.ended, why)
    t.ok(body.isPaused(), 'it is left paused')
    t.notOk(body.destroyed, 'and not destroyed')
    t.equal(body.listenerCount('data'), 0)
  })
}

for (const why of ['lost', 'abandoned'] as const) {
  t.test(`invariant 3: what came before a body ended as "${why}" no longer reaches the storage`, async t => {
    const source = sourceOf(new OpenBody().send(Buffer.from('abc')))
    await source.begins()
    source.stop(why)
    t.strictSame(await read(source), [])
    t.equal(source.ended, why)
  })
}

t.test('a body ends once: what comes later does not change why', async t => {
  const body = new OpenBody()
  const source = sourceOf(body)
  source.stop('taken')
  source.stop('lost')
  body.cut()
  await new Promise(resolve => { body.once('close', resolve) })
  t.equal(source.ended, 'taken')
  t.equal(source.cause, undefined)
})

t.test('a reader that breaks off abandons the body', async t => {
  const body = bodyOf(randomBytes(4 * MIB))
  const source = sourceOf(body)
  const batches = source[Symbol.asyncIterator]()
  await batches.next()
  await batches.return?.()
  t.equal(source.ended, 'abandoned')
  t.ok(body.isPaused())
})

t.test('a body that brings nothing stalls, and a byte starts the time anew', async t => {
  const body = new OpenBody()
  const source = sourceOf(body, { stallTimeout: 200 })
  for (let sent = 0; sent < 5; sent++) {
    await new Promise(resolve => { setTimeout(resolve, 60) })
    body.send(Buffer.from('x'))
  }
  t.equal(source.ended, undefined, 'it went on for longer than the timeout')
  await until(() => source.ended !== undefined)
  t.equal(source.ended, 'stalled')
})

t.test('a body that waits for the storage does not stall', async t => {
  const source = sourceOf(bodyOf(randomBytes(4 * MIB)), { stallTimeout: 30 })
  await new Promise(resolve => { setTimeout(resolve, 150) })
  t.equal(source.ended, undefined)
  await read(source)
  t.equal(source.ended, 'end')
})

t.test('invariant 3: an idle body yields to a polite claim, a flowing one once it idles', async t => {
  const body = new OpenBody().send(Buffer.from('abc'))
  const source = sourceOf(body)
  let sending = true
  const sent = (async () => {
    for (let count = 0; count < 15; count++) {
      await new Promise(resolve => { setTimeout(resolve, 100) })
      body.send(Buffer.from('x'))
    }
    sending = false
  })()
  source.yieldWhenIdle()
  source.yieldWhenIdle()
  await until(() => {
    if (source.ended !== undefined && sending) t.fail('it yielded while bytes came')
    return source.ended !== undefined
  })
  await sent
  t.equal(source.ended, 'taken')
  source.yieldWhenIdle()
  t.equal(source.bytes, 18)
})

t.test('streams that are over before they are read', async t => {
  const ended = Readable.from([Buffer.from('x')])
  await read(sourceOf(ended))
  const again = sourceOf(ended)
  t.strictSame(await read(again), [])
  t.equal(again.ended, 'end')

  const error = new Error('broken')
  const destroyed = new OpenBody().destroy(error)
  const cut = sourceOf(destroyed)
  t.strictSame(await read(cut), [])
  t.equal(cut.ended, 'cut')
  t.equal(cut.cause, error)
  await new Promise(resolve => { destroyed.once('close', resolve) })
})

t.test('invariant 8: a late error of a stream that is no longer read is no crash', async t => {
  for (const why of ['taken', 'abandoned', 'overflow'] as const) {
    const body = new OpenBody().send(Buffer.from('abc'))
    const source = sourceOf(body)
    source.stop(why)
    body.destroy(new Error('late'))
    await new Promise(setImmediate)
    t.equal(source.ended, why)
  }
})

t.test('a stream that closes without an end is cut', async t => {
  const body = new OpenBody().send(Buffer.from('abc'))
  const source = sourceOf(body)
  await source.begins()
  body.destroy()
  t.equal(Buffer.concat(await read(source)).toString(), 'abc')
  t.equal(source.ended, 'cut')
})

t.test('a child stream as form parsers make it pauses its parent and ends alone', async t => {
  const parent = bodyOf(randomBytes(6 * MIB))
  const child = new PassThrough()
  parent.pipe(child)
  const source = sourceOf(child)
  await until(() => child.isPaused())
  t.ok(source.bytes <= MIB + 128 * 1024)
  t.equal(Buffer.concat(await read(source)).length, 6 * MIB)
  t.equal(source.ended, 'end')
})

t.test('no timer is left behind a body', async t => {
  await new Promise(setImmediate)
  const before = timers()
  const body = new OpenBody().send(Buffer.from('abc'))
  const source = sourceOf(body, { stallTimeout: 60_000 })
  await source.begins()
  source.yieldWhenIdle()
  source.stop('taken')
  await read(source)
  t.ok(timers() <= before, 'all are cleared')
  sourceOf(new OpenBody().destroy(), { stallTimeout: 60_000 })
  t.ok(timers() <= before, 'none is started for a body that is over')
})

t.test('with real sockets', async t => {
  let request: ((body: IncomingMessage, source: BodyReader) => void) | undefined
  const server = createServer((incoming, reply) => {
    const source = sourceOf(incoming)
    request?.(incoming, source)
    reply.on('error', () => {})
    read(source).then(batches => { reply.end(`${source.ended} ${batches.reduce((sum, { length }) => sum + length, 0)}`) }, () => {})
  })
  server.listen(0)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo

  async function open (length: number): Promise<{ socket: Socket, source: BodyReader, body: IncomingMessage }> {
    const arrived = new Promise<{ source: BodyReader, body: IncomingMessage }>(resolve => {
      request = (body, source) => { resolve({ body, source }) }
    })
    const socket = connectSocket(port)
    await once(socket, 'connect')
    socket.write(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
    return { socket, ...await arrived }
  }

  await t.test('a large body comes whole', async t => {
    request = undefined
    const bytes = randomBytes(20 * MIB)
    const reply = await fetch(`http://localhost:${port}`, { method: 'PUT', body: bytes })
    t.equal(await reply.text(), `end ${bytes.length}`)
  })

  await t.test('a connection that breaks is a cut with its cause', async t => {
    const { socket, source } = await open(100)
    socket.write('abc')
    await until(() => source.bytes === 3)
    socket.destroy()
    await until(() => source.ended !== undefined)
    t.equal(source.ended, 'cut')
    await until(() => source.cause !== undefined)
    t.match(source.cause, { code: 'ECONNRESET' })
  })

  await t.test('a client that half-closes early is a cut', async t => {
    const { socket, source } = await open(100)
    socket.end('abc')
    await until(() => source.ended !== undefined)
    t.equal(source.ended, 'cut')
    socket.destroy()
  })

  await t.test('a client is slowed down while nobody reads', async t => {
    request = undefined
    let source: BodyReader | undefined
    const slow = createServer(incoming => { source = sourceOf(incoming) })
    slow.listen(0)
    await once(slow, 'listening')
    const socket = connectSocket((slow.address() as AddressInfo).port)
    socket.on('error', () => {})
    socket.write(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${64 * MIB}\r\n\r\n`)
    let written = 0
    while (written < 64 && socket.write(Buffer.alloc(MIB))) written++
    await until(() => source !== undefined && source.bytes >= MIB)
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
    t.ok((source?.bytes ?? Infinity) <= MIB + 128 * 1024, 'the rest waits in the sockets')
    socket.destroy()
    await until(() => source?.ended === 'cut')
    slow.closeAllConnections()
    slow.close()
  })
})

t.test('a request of HTTP/2 that is given up is a cut, even where its end came first', async t => {
  const sources: BodyReader[] = []
  const server = createHttp2Server((incoming: Http2ServerRequest) => { sources.push(sourceOf(incoming)) })
  server.listen(0)
  await once(server, 'listening')
  const client = connectHttp2(`http://localhost:${(server.address() as AddressInfo).port}`)
  client.on('error', () => {})
  const open = async (): Promise<ReturnType<typeof client.request>> => {
    const count = sources.length
    const stream = client.request({ ':method': 'PUT', ':path': '/' })
    stream.on('error', () => {})
    stream.write('abc')
    await until(() => sources[count]?.bytes === 3)
    return stream
  }
  // The client of Node ends the body before it resets the stream.
  const stream = await open()
  stream.close(8)
  await until(() => sources[0]?.ended === 'cut')
  await open()
  client.destroy()
  await until(() => sources[1]?.ended !== undefined)
  t.equal(sources[1]?.ended, 'cut')
  server.close()
})
