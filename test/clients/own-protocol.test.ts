import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { fetch } from '../support/deadline.js'
import { endProgram, lineOf, type Program, startProgram } from '../support/program.js'
import { RawHttp } from '../support/raw-http.js'

const example = fileURLToPath(new URL('../../examples/own-protocol.ts', import.meta.url))
const loader = `--import=${new URL('../../scripts/run-typescript.mjs', import.meta.url).href}`

/** The example as a user runs it, on the same files at each start. */
async function start (directory: string): Promise<{ readonly program: Program, readonly port: number }> {
  const program = startProgram(example, [], { loader, env: { PORT: '0', DATA_DIR: directory } })
  const [, port = ''] = await lineOf(program, /:(\d+)\/files\/NAME$/)
  return { program, port: Number(port) }
}

const sender = (port: number) => async (
  method: string, headers: Readonly<Record<string, string>> = {}, body?: Uint8Array<ArrayBuffer>
): Promise<Response> => await fetch(`http://127.0.0.1:${port}/files/film.mp4`, {
  method, headers: { authorization: 'Bearer ann', ...headers }, ...body !== undefined && { body }
})

async function offsetSoon (send: ReturnType<typeof sender>, least: number): Promise<number> {
  const deadline = Date.now() + 20_000
  while (Date.now() < deadline) {
    const reply = await send('HEAD')
    const offset = Number(reply.headers.get('upload-offset') ?? 0)
    if (reply.status === 202 && offset >= least) return offset
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`no offset of ${least} in time`)
}

t.test('the example of a protocol goes on after a cut connection and after kill -9', async (t: Test) => {
  const directory = t.testdir()
  const file = randomBytes(3_000_000)
  const total = file.length
  const first = await start(directory)
  t.teardown(() => endProgram(first.program, 'SIGKILL'))
  const send = sender(first.port)

  const cut = await RawHttp.connect(first.port)
  cut.request('PUT', '/files/film.mp4', {
    authorization: 'Bearer ann', 'content-length': total, 'content-range': `bytes 0-${total - 1}/${total}`
  }, file.subarray(0, 1_000_000))
  cut.socket.end()
  await cut.closed
  const before = await offsetSoon(send, 1)
  t.ok(before <= 1_000_000, 'what the cut connection brought is there')

  const next = { 'content-range': `bytes ${before}-${before + 499_999}/${total}` }
  const middle = await send('PUT', next, file.slice(before, before + 500_000))
  t.equal(middle.status, 202)
  t.equal(middle.headers.get('upload-offset'), String(before + 500_000))
  const wrong = await send('PUT', { 'content-range': `bytes 0-9/${total}` }, file.slice(0, 10))
  t.equal(wrong.status, 409)
  t.equal(wrong.headers.get('upload-offset'), String(before + 500_000))
  await endProgram(first.program, 'SIGKILL')

  const second = await start(directory)
  t.teardown(() => endProgram(second.program, 'SIGKILL'))
  const again = sender(second.port)
  const offset = await offsetSoon(again, before + 500_000)
  t.equal(offset, before + 500_000, 'what was acknowledged is there')
  const last = await again('PUT', { 'content-range': `bytes ${offset}-${total - 1}/${total}` }, file.slice(offset))
  t.equal(last.status, 201)
  t.equal((await again('HEAD')).status, 200)
  t.ok(file.equals(Buffer.from(await (await again('GET')).arrayBuffer())))

  t.equal((await again('GET', { authorization: 'Bearer bob' })).status, 404, 'names are one\'s own')
  t.equal((await again('PUT', { 'content-range': `bytes 0-9/${total}` }, file.slice(0, 10))).status, 409, 'finished files stay')
  t.equal((await again('DELETE')).status, 204)
  t.equal((await again('GET')).status, 404)
})

t.test('the example of a protocol takes a file in one request, and says what is wrong with others', async (t: Test) => {
  const { program, port } = await start(t.testdir())
  t.teardown(() => endProgram(program, 'SIGKILL'))
  const send = sender(port)
  t.equal((await send('PUT', { 'content-range': 'bytes 5-2/9' }, randomBytes(3))).status, 400)
  t.equal((await send('PATCH')).status, 405)
  t.equal((await fetch(`http://127.0.0.1:${port}/files/film.mp4`, { method: 'PUT', body: 'abc' })).status, 401)
  const whole = await send('PUT', {}, randomBytes(10))
  t.equal(whole.status, 201)
  t.equal(whole.headers.get('upload-offset'), '10')
})

t.test('the example of a protocol completes what only lacks its end', async (t: Test) => {
  const { program, port } = await start(t.testdir())
  t.teardown(() => endProgram(program, 'SIGKILL'))
  const send = sender(port)
  t.equal((await send('PUT', { 'content-range': 'bytes 0-4/*' }, randomBytes(5))).status, 202)
  const early = await send('PUT', { 'content-range': 'bytes */4' })
  t.equal(early.status, 413, 'there are more bytes than that')
  t.equal((await send('PUT', { 'content-range': 'bytes */5' })).status, 201)
})
