import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import * as tus from 'tus-js-client'
import { ResumableClient } from '../support/resumable-client.js'
import { type ResumableServer, resumableServer, sha256 } from '../support/resumable-server.js'

const file = randomBytes(1_000_000)

/** The only upload there is. */
async function only ({ app }: ResumableServer) {
  const found = []
  for await (const upload of app.chunkedUpload.list()) found.push(upload)
  const [upload] = found
  if (upload === undefined || found.length > 1) throw new Error(`${found.length} uploads`)
  return upload
}

/** The client's types do not know of its drafts. */
interface DraftOptions extends tus.UploadOptions {
  readonly protocol: 'ietf-draft-03' | 'ietf-draft-05'
}

/** Uploads with tus-js-client until it says that it is done. */
async function uploadWithTus (source: Buffer | Readable, options: DraftOptions): Promise<tus.Upload> {
  return await new Promise((resolve, reject) => {
    const upload = new tus.Upload(source, { retryDelays: [0, 20, 50], ...options, onError: reject, onSuccess: () => { resolve(upload) } })
    upload.start()
  })
}

for (const protocol of ['ietf-draft-03', 'ietf-draft-05'] as const) {
  const cases: ReadonlyArray<readonly [string, Partial<tus.UploadOptions>]> = [
    ['in one request after the creation', {}],
    ['in chunks', { chunkSize: 150_000 }],
    ['with the creation', { uploadDataDuringCreation: true }],
    ['with the creation, in chunks', { uploadDataDuringCreation: true, chunkSize: 300_000 }],
    ['with POST for PATCH', { overridePatchMethod: true, chunkSize: 600_000 }]
  ]
  for (const [how, options] of cases) {
    t.test(`tus-js-client, ${protocol}: ${how}`, async t => {
      const server = await resumableServer(t)
      await uploadWithTus(file, { endpoint: server.url, protocol, metadata: { filename: 'a.bin' }, ...options })
      const upload = await only(server)
      t.equal(upload.status, 'complete')
      t.equal(await server.sha256(upload.id), sha256(file))
    })
  }

  t.test(`tus-js-client, ${protocol}: a stream whose length is not known before its end`, async t => {
    const server = await resumableServer(t)
    const source = Readable.from([file.subarray(0, 400_000), file.subarray(400_000)], { objectMode: false })
    await uploadWithTus(source, { endpoint: server.url, protocol, uploadLengthDeferred: true, chunkSize: 300_000 })
    const upload = await only(server)
    t.equal(upload.size, file.length)
    t.equal(await server.sha256(upload.id), sha256(file))
  })

  t.test(`tus-js-client, ${protocol}: aborted, and resumed by its URL`, async t => {
    const server = await resumableServer(t)
    const url = await new Promise<string>((resolve, reject) => {
      const options: DraftOptions = {
        endpoint: server.url,
        protocol,
        chunkSize: 200_000,
        onError: reject,
        onChunkComplete: (_size, accepted) => {
          if (accepted < 400_000) return
          upload.abort().then(() => { resolve(upload.url ?? '') }, reject)
        }
      }
      const upload = new tus.Upload(file, options)
      upload.start()
    })
    const before = await only(server)
    t.equal(before.status, 'uploading')
    t.ok((before.received[0]?.[1] ?? 0) >= 400_000)
    await uploadWithTus(file, { uploadUrl: url, protocol })
    t.equal((await only(server)).status, 'complete')
    t.equal(await server.sha256(url), sha256(file))
  })

  t.test(`tus-js-client, ${protocol}: a server that was away for a moment`, async t => {
    let failures = 2
    const server = await resumableServer(t, {
      before: app => {
        app.addHook('onRequest', async (request, reply) => {
          if (request.method === 'PATCH' && failures-- > 0) await reply.code(503).send('away')
        })
      }
    })
    await uploadWithTus(file, { endpoint: server.url, protocol, chunkSize: 250_000 })
    t.equal(await server.sha256((await only(server)).id), sha256(file))
  })
}

t.test('a client of the newest draft: one request', async t => {
  const server = await resumableServer(t)
  const client = new ResumableClient({ url: server.url, headers: { 'content-type': 'image/png' } })
  const reply = await client.upload(file)
  t.equal(reply.status, 201)
  t.equal(reply.headers['upload-complete'], '?1')
  t.strictSame(client.requests, ['POST 201'])
  t.equal(await server.sha256((await only(server)).id), sha256(file))
})

t.test('a client of the newest draft: connections that break twice', async t => {
  const server = await resumableServer(t)
  const client = new ResumableClient({ url: server.url, cuts: [300_000, 200_000] })
  const reply = await client.upload(file)
  t.equal(reply.status, 200)
  // What the server had in hand when the connection broke may still come in after a HEAD: then 409 tells the offset.
  t.strictSame(client.requests.filter(request => request.endsWith('cut')), ['POST cut', 'PATCH cut'])
  t.equal(client.requests.at(-1), 'PATCH 200')
  t.equal(await server.sha256((await only(server)).id), sha256(file))
})

t.test('a client of the newest draft keeps to the limit that the server announces', async t => {
  const server = await resumableServer(t, { protocol: { maxAppendSize: 400_000 } })
  const client = new ResumableClient({ url: server.url })
  t.equal((await client.upload(file)).status, 200)
  t.strictSame(client.requests, ['POST 201', 'HEAD 204', 'PATCH 204', 'PATCH 204', 'PATCH 200'])
  t.equal(await server.sha256((await only(server)).id), sha256(file))
})

t.test('a client of the newest draft: a route of the host', async t => {
  const server = await resumableServer(t, {
    after: app => {
      app.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })
      app.put('/avatar', { config: { resumable: true } }, async request => {
        const hash = []
        for await (const bytes of request.body as Readable) hash.push(bytes)
        return sha256(Buffer.concat(hash))
      })
    }
  })
  const client = new ResumableClient({
    url: `${server.origin}/avatar`, method: 'PUT', headers: { 'content-type': 'image/png' }, cuts: [500_000]
  })
  const reply = await client.upload(file)
  t.equal(reply.status, 200)
  t.equal(reply.text, sha256(file))
})
