import { createGunzip, gunzipSync, gzipSync } from 'node:zlib'
import { randomBytes } from 'node:crypto'
import compress from '@fastify/compress'
import t from 'tap'
import { chunkTasks, contentRange, formAppend, rawAppend, resumableHttp, tus } from '../../src/index.js'
import { fetch } from '../support/deadline.js'
import { appending, creation, locationOf, send } from '../support/resumable-client.js'
import { resumableServer, sha256 } from '../support/resumable-server.js'

const file = gzipSync(Buffer.concat([Buffer.alloc(100_000), randomBytes(1000)]))
const half = Math.floor(file.length / 2)
const coded = { 'content-encoding': 'gzip', 'content-type': 'text/plain' }
const protocols = [resumableHttp(), tus({ prefix: '/tus' })]
const tusCreation = { 'tus-resumable': '1.0.0', 'upload-length': String(file.length) }
const tusHeaders = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream', 'content-encoding': 'gzip' }

t.test('offsets count bytes as they are sent, also where @fastify/compress decodes bodies', async t => {
  const server = await resumableServer(t, {
    plugin: { downloads: true, protocols }, before: app => app.register(compress, { global: true })
  })
  const first = await send(server.url, { method: 'POST', headers: creation(9, false, coded), body: file.subarray(0, half) })
  t.equal(first.headers['upload-offset'], String(half))
  const url = locationOf(server.url, first)
  const lastFields = appending(9, half, true, { 'content-encoding': 'gzip' })
  const last = await send(url, { method: 'PATCH', headers: lastFields, body: file.subarray(half) })
  t.equal(last.status, 200)
  t.equal(await server.sha256(url), sha256(file))
  for (const [range, status] of [[undefined, 200], ['bytes=10-19', 206]] as const) {
    const fields = { 'accept-encoding': 'br', ...range !== undefined && { range } }
    const { status: answered, headers } = await send(url, { method: 'GET', headers: fields })
    t.equal(answered, status)
    t.equal(headers['content-encoding'], 'gzip', 'a download gives the coding back')
    t.equal(headers['content-length'], String(range === undefined ? file.length : 10))
  }

  const made = await send(`${server.url}/tus`, { method: 'POST', headers: tusCreation })
  const tusUrl = locationOf(server.url, made)
  for (const [start, end] of [[0, half], [half, file.length]] as const) {
    const headers = { ...tusHeaders, 'upload-offset': String(start) }
    const reply = await send(tusUrl, { method: 'PATCH', headers, body: file.subarray(start, end) })
    t.equal(reply.headers['upload-offset'], String(end))
  }
  t.equal(await server.sha256(tusUrl), sha256(file))
})

t.test('contentRange stores what is sent, whole or by Content-Range, and a download gives the coding back', async t => {
  const server = await resumableServer(t, {
    plugin: { downloads: true, protocols: [contentRange({ checksum: false, requireComplete: true })] },
    before: app => app.register(compress, { global: true })
  })
  const fields = (start: number, end: number) => ({ ...coded, 'content-range': `bytes ${start}-${end - 1}/${file.length}` })
  const first = await send(`${server.url}/`, { method: 'PUT', headers: fields(0, half), body: file.subarray(0, half) })
  const { id } = JSON.parse(first.text)
  await send(`${server.url}/${id}/`, { method: 'PUT', headers: fields(half, file.length), body: file.subarray(half) })
  const completed = await send(`${server.url}/${id}/`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
  t.equal(completed.status, 200, completed.text)
  t.equal(await server.sha256(id), sha256(file))
  const url = `${server.url}/${id}/file/`
  t.equal((await send(url, { method: 'GET' })).headers['content-encoding'], 'gzip')
  const plain = new Uint8Array(await (await fetch(url)).arrayBuffer())
  t.equal(sha256(plain), sha256(gunzipSync(file)), 'a client that knows the coding gets the file')
})

for (const [protocol, method, path, type] of [
  [contentRange(), 'POST', '/', 'multipart/form-data; boundary=x'],
  [formAppend(), 'POST', '/upload/', 'multipart/form-data; boundary=x'],
  [chunkTasks(), 'POST', '/create/', 'application/json'],
  [rawAppend(), 'POST', '/append_video/1/', 'video/mp4']
] as const) {
  t.test(`${protocol.name}: a coded body that has to be looked into is 415, with a word on what to do`, async t => {
    const server = await resumableServer(t, { plugin: { protocols: [protocol] }, before: app => app.register(compress, { global: true }) })
    if (protocol.name === 'rawAppend') await send(`${server.url}/create_video/`, { method: 'POST' })
    const headers = { 'content-encoding': 'gzip', 'content-type': type }
    const reply = await send(`${server.url}${path}`, { method, headers, body: gzipSync('{}') })
    t.match([reply.status, reply.text], [415, /send it uncompressed/])
  })
}

t.test('what another hook of the host has decoded is refused, and nothing of it is stored', async t => {
  const server = await resumableServer(t, {
    plugin: { protocols },
    before: app => app.addHook('preParsing', async (request, _reply, payload) => {
      return request.headers['content-encoding'] === 'gzip' ? payload.pipe(createGunzip()) : payload
    })
  })
  const creating = await send(server.url, { method: 'POST', headers: creation(9, true, coded), body: file })
  t.match([creating.status, creating.text], [415, /without Content-Encoding/])
  const made = await send(`${server.url}/tus`, { method: 'POST', headers: tusCreation })
  const url = locationOf(server.url, made)
  const reply = await send(url, { method: 'PATCH', headers: { ...tusHeaders, 'upload-offset': '0' }, body: file })
  t.equal(reply.status, 415)
  t.strictSame((await server.upload(url))?.received, [])
})
