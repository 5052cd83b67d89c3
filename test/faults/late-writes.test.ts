import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { Upload } from 'tus-js-client'
import { chunkTasks, contentRange, diskStorage, formAppend, tus } from '../../src/index.js'
import { encryptedStorage } from '../../src/storage/encrypted/index.js'
import { type DiskFaults, withDiskFaults } from '../../src/testing/storage/disk-faults.js'
import { uploadIdOf } from '../../src/protocols/chunk-tasks/task-id.js'
import { create, sendChunk } from '../support/chunk-tasks.js'
import { fetch } from '../support/deadline.js'
import { bodyOf, bytesOf, callerOf, draftOf, engineOn, keepAlive } from '../support/engine.js'
import { chunkForm, field, startServer, type TestServer } from '../support/server.js'

// The disk of these tests ends its writes late and in any order: what is handed to it must stay as it is until it says that it has it.
const FAULTS: DiskFaults = { delay: ({ name }) => name.startsWith('write') ? 12 : 0, short: 0.1 }
const MIB = 1024 * 1024
const THREE = [0, 1, 2]

t.setTimeout(110_000)
keepAlive(t)

function sha256 (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function sha256Of ({ app }: TestServer, id: string): Promise<string> {
  const upload = await app.chunkedUpload.get(id)
  if (upload === undefined) throw new Error(`no upload ${id}`)
  return sha256(await bytesOf(app.chunkedUpload.read(upload)))
}

/** Bytes in which much looks like the beginning of a form's boundary. */
function likeForms (size: number): Buffer {
  const bytes = randomBytes(size)
  // Chance does not complete what is left out of it.
  const boundary = '\r\n--a-boundary-of-tests'
  for (let at = 0; at < size; at += 1 + bytes.readUInt8(at) * 20) bytes.write(boundary.slice(0, 1 + at % 16), at)
  return bytes
}

t.test('tus-js-client with four parallel parts, three files at once: each file and its checksum are those that were sent', async t => {
  const server = await startServer(t, { protocols: [tus({ checksum: 'sha256' })], downloads: true })
  const files = [randomBytes(24 * MIB), randomBytes(17 * MIB + 1), randomBytes(9 * MIB - 1)]
  await withDiskFaults(FAULTS, async () => {
    const urls = await Promise.all(files.map(async file => await new Promise<string>((resolve, reject) => {
      const upload: Upload = new Upload(file, {
        endpoint: `${server.url}/uploads/`,
        parallelUploads: 4,
        retryDelays: null,
        onSuccess: () => { resolve(upload.url ?? '') },
        onError: reject
      })
      upload.start()
    })))
    for (const [index, url] of urls.entries()) {
      const expected = sha256(files[index] ?? Buffer.alloc(0))
      const response = await fetch(url)
      t.equal(sha256(new Uint8Array(await response.arrayBuffer())), expected)
      t.match(await server.app.chunkedUpload.get(url.split('/').at(-1) ?? ''), { checksum: { value: expected } })
    }
  })
})

t.test('forms of contentRange, three files at once', async t => {
  const server = await startServer(t, { protocols: [contentRange({ checksum: 'sha256' })] })
  await withDiskFaults(FAULTS, async () => {
    await Promise.all(THREE.map(async () => {
      const client = server.client()
      const bytes = likeForms(11 * MIB + 7)
      let url = '/uploads/'
      for (let start = 0; start < bytes.length; start += 5 * MIB) {
        const end = Math.min(bytes.length, start + 5 * MIB)
        const form = chunkForm(bytes.subarray(start, end), `bytes ${start}-${end - 1}/${bytes.length}`)
        url = `/uploads/${field(await client.send('PUT', url, form), 'id')}`
      }
      const done = await client.send('POST', url, {
        headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sha256: sha256(bytes) })
      })
      t.equal(done.status, 200, done.text)
      t.equal(await sha256Of(server, field(done, 'id')), sha256(bytes))
    }))
  })
})

t.test('forms of formAppend, which spools what it cannot place yet, three files at once', async t => {
  const server = await startServer(t, { protocols: [formAppend()] })
  await withDiskFaults(FAULTS, async () => {
    await Promise.all(THREE.map(async () => {
      const client = server.client()
      const bytes = likeForms(9 * MIB + 7)
      let id = ''
      for (let start = 0; start < bytes.length; start += 4 * MIB) {
        // The id comes after the file, so that each chunk is spooled.
        const more = id === '' ? [] : [{ name: 'upload_id', content: id }]
        const answer = await client.send('POST', '/uploads/upload/', chunkForm(bytes.subarray(start, start + 4 * MIB), undefined, more))
        id = field(answer, 'upload_id')
      }
      t.equal(await sha256Of(server, id.replaceAll('-', '')), sha256(bytes))
    }))
  })
})

t.test('chunks of chunkTasks side by side, all of which come again and replace what was there', async t => {
  const server = await startServer(t, { protocols: [chunkTasks({ chunkSize: 3 * MIB })], user: () => 'ann' })
  const bytes = randomBytes(10 * MIB + 7)
  await withDiskFaults(FAULTS, async () => {
    const created = await create(server, { file_size: bytes.length, hash: '' })
    const task = field(created, 'task_id')
    t.equal(field(created, 'chunk_size'), String(3 * MIB))
    const send = async (content: Buffer): Promise<void> => {
      await Promise.all([3, 1, 0, 2].map(async index => {
        const chunk = content.subarray(index * 3 * MIB, (index + 1) * 3 * MIB)
        const answer = await sendChunk(server.client(), task, index, chunk)
        t.equal(answer.status, 200, answer.text)
      }))
    }
    await send(randomBytes(bytes.length))
    await send(bytes)
    const done = await server.send('POST', `/uploads/complete/${task}`)
    t.equal(done.status, 200, done.text)
    t.equal(await sha256Of(server, uploadIdOf(task)), sha256(bytes))
  })
})

t.test('chunks that are encrypted at rest, side by side', async t => {
  const storage = encryptedStorage(diskStorage({ directory: t.testdir() }), { scrypt: { cost: 16, blockSize: 8, parallelization: 1 } })
  const engine = engineOn({ storage })
  const [caller, bytes, chunkSize] = [callerOf(), randomBytes(11 * MIB + 9), 4 * MIB]
  const protocolState = { encryption: await storage.seal('x') }
  const { id } = await engine.create(caller, draftOf({ size: bytes.length, chunkSize, protocolState }))
  await withDiskFaults(FAULTS, async () => {
    await Promise.all([2, 0, 1].map(async index => {
      const chunk = bytes.subarray(index * chunkSize, (index + 1) * chunkSize)
      await engine.write(caller, id, { start: index * chunkSize, length: chunk.length, body: bodyOf(chunk), parallel: true, atomic: true })
    }))
    const { upload } = await engine.complete(caller, id)
    const key = await storage.unlock(upload, 'x')
    t.equal(sha256(await bytesOf(storage.read(upload, [0, bytes.length], { key }))), sha256(bytes))
  })
  await engine.shutdown()
})
