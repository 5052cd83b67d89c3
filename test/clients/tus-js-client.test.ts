import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { Upload, type UploadOptions } from 'tus-js-client'
import { fetch, within } from '../support/deadline.js'
import type { TestServer } from '../support/server.js'
import { startTus } from '../support/tus.js'
import { TusProcess } from '../support/tus-process.js'

const KB = 1024
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Uploads to its end, and gives the URL. */
async function uploaded (file: Buffer | Readable, options: UploadOptions, use: (upload: Upload) => void = () => {}): Promise<string> {
  return await within(new Promise<string>((resolve, reject) => {
    const upload: Upload = new Upload(file, {
      retryDelays: null,
      ...options,
      onSuccess: () => { resolve(upload.url ?? '') },
      onError: reject
    })
    use(upload)
    upload.start()
  }), 'an upload of tus-js-client')
}

async function stored (url: string): Promise<string> {
  const response = await fetch(url)
  return sha256(new Uint8Array(await response.arrayBuffer()))
}

const endpointOf = ({ url }: TestServer): string => `${url}/uploads/`

t.test('tus-js-client uploads whole files, in chunks, with the creation, by POST alone, of an unknown length and in parallel', async t => {
  const server = await startTus(t)
  const bytes = randomBytes(700 * KB)
  const cases: Array<readonly [string, UploadOptions]> = [
    ['whole', {}],
    ['in chunks', { chunkSize: 100 * KB }],
    ['with the creation', { uploadDataDuringCreation: true }],
    ['with the creation, in chunks', { uploadDataDuringCreation: true, chunkSize: 300 * KB }],
    ['by POST alone', { overridePatchMethod: true, chunkSize: 300 * KB }],
    ['of an unknown length', { uploadLengthDeferred: true, chunkSize: 300 * KB }],
    ['of an unknown length, with the creation', { uploadLengthDeferred: true, uploadDataDuringCreation: true, chunkSize: 300 * KB }],
    ['in parallel', { parallelUploads: 3 }],
    ['in parallel, in chunks', { parallelUploads: 2, chunkSize: 100 * KB }]
  ]
  for (const [name, options] of cases) {
    const metadata = { filename: `Ünï ${name}.bin`, filetype: 'image/png', empty: '' }
    const file = options.uploadLengthDeferred === true ? Readable.from([bytes], { objectMode: false }) : bytes
    const url = await uploaded(file, { endpoint: endpointOf(server), metadata, ...options })
    t.equal(await stored(url), sha256(bytes), name)
    const upload = await server.app.chunkedUpload.get(url.split('/').at(-1) ?? '')
    t.match(upload, { filename: `Ünï ${name}.bin`, contentType: 'image/png', metadata }, name)
  }
})

t.test('tus-js-client uploads an empty file', async t => {
  const server = await startTus(t)
  t.equal(await stored(await uploaded(Buffer.alloc(0), { endpoint: endpointOf(server) })), sha256(Buffer.alloc(0)))
})

t.test('tus-js-client resumes after an abort, by its object and by the URL', async t => {
  const server = await startTus(t)
  const bytes = randomBytes(900 * KB)
  const offsets: number[] = []
  const options: UploadOptions = {
    endpoint: endpointOf(server),
    chunkSize: 200 * KB,
    onAfterResponse: (request, response) => {
      if (request.getMethod() === 'HEAD') offsets.push(Number(response.getHeader('Upload-Offset')))
    }
  }
  const url = await uploaded(bytes, options, upload => {
    let aborted = false
    upload.options.onChunkComplete = () => {
      if (aborted) return
      aborted = true
      upload.abort().then(() => { upload.start() }, () => {})
    }
  })
  t.same(offsets, [200 * KB])
  t.equal(await stored(url), sha256(bytes))

  const half = await within(new Promise<string>((resolve, reject) => {
    const upload: Upload = new Upload(bytes, {
      ...options,
      onChunkComplete: () => { upload.abort().then(() => { resolve(upload.url ?? '') }, reject) },
      onError: reject
    })
    upload.start()
  }), 'an upload that is given up')
  t.equal(await uploaded(bytes, { ...options, uploadUrl: half }), half)
  t.equal(await stored(half), sha256(bytes))
})

t.test('tus-js-client terminates', async t => {
  const server = await startTus(t)
  const url = await uploaded(Buffer.from('abc'), { endpoint: endpointOf(server) })
  await Upload.terminate(url, {})
  t.equal((await fetch(url)).status, 404)
  const gone = await within(new Promise<string>((resolve, reject) => {
    const upload: Upload = new Upload(randomBytes(100 * KB), {
      endpoint: endpointOf(server),
      chunkSize: 10 * KB,
      onChunkComplete: () => { upload.abort(true).then(() => { resolve(upload.url ?? '') }, reject) },
      onError: reject
    })
    upload.start()
  }), 'an upload that is given up')
  t.equal((await fetch(gone)).status, 404)
})

t.test('invariant 1: tus-js-client goes on after the server was killed with -9, again and again', async t => {
  const server = new TusProcess(t, t.testdir())
  await server.start()
  const bytes = randomBytes(4000 * KB)
  let kills = 0
  const url = await uploaded(bytes, {
    endpoint: server.endpoint,
    chunkSize: 1000 * KB,
    // A start of the server may take long on a busy machine.
    retryDelays: [0, 100, 300, ...Array.from({ length: 60 }, () => 500)],
    onProgress: (sent, total) => {
      if (kills >= 2 || sent < (kills + 1) * total / 3) return
      kills++
      server.kill().then(async () => { await server.start() }).catch((error: unknown) => { t.fail(String(error)) })
    }
  })
  t.equal(kills, 2)
  t.equal(await stored(url), sha256(bytes))
})
