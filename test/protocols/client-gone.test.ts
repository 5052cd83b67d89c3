import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { contentRange, memoryMetadata, memoryStorage, resumableHttp } from '../../src/index.js'
import { connectSocket, once } from '../support/deadline.js'
import { changedStorage, gate, until } from '../support/engine.js'
import { chunkForm, field, form, startServer } from '../support/server.js'

const content = Buffer.alloc(50_000, 'x')
const digestOf = (algorithm: string): string => createHash(algorithm).update(content).digest('base64')

t.test('a file is read no further for a client that has left', async t => {
  for (const protocol of ['content-range', 'resumable-http'] as const) {
    await t.test(protocol, async t => {
      const metadata = memoryMetadata()
      const memory = memoryStorage()
      const [reading, left] = [gate(), gate()]
      let read = 0
      const storage = changedStorage(memory, {
        read: (upload, range) => Readable.from((async function * () {
          for await (const data of memory.read(upload, range)) {
            for (let start = 0; start < data.length; start += 10) {
              if (read === 1000) {
                reading.open()
                await left.passed
              }
              await new Promise(resolve => { setImmediate(resolve) })
              read += 10
              yield data.subarray(start, start + 10)
            }
          }
        })(), { objectMode: false, highWaterMark: 1 })
      })
      const protocols = [contentRange(), resumableHttp({ prefix: '/rhttp' })]
      const { port, send } = await startServer(t, { metadata, storage, protocols }, {
        before: app => { app.addHook('onRequest', async ({ raw: { socket } }) => { socket.once('close', left.open) }) }
      })
      const ask = async (): Promise<string> => {
        if (protocol === 'resumable-http') {
          return [
            'POST /uploads/rhttp HTTP/1.1', 'Host: a.example', 'Upload-Draft-Interop-Version: 6', 'Upload-Complete: ?1',
            `Repr-Digest: sha-256=:${digestOf('sha256')}:, sha-512=:${digestOf('sha512')}:`, `Content-Length: ${content.length}`, '', ''
          ].join('\r\n') + content.toString()
        }
        const id = field(await send('PUT', '/uploads/', chunkForm(content, `bytes 0-${content.length - 1}/${content.length}`)), 'id')
        const upload = await metadata.get(id)
        if (upload === undefined) throw new Error('it is there')
        await metadata.update({ ...upload, checksumState: null, version: upload.version + 1 })
        const { headers, body } = form([{ name: 'md5', content: createHash('md5').update(content).digest('hex') }])
        const type = String(headers['content-type'])
        return [
          `POST /uploads/${id} HTTP/1.1`, 'Host: a.example', `Content-Type: ${type}`, `Content-Length: ${body.length}`, '', ''
        ].join('\r\n') + body.toString()
      }
      const socket = connectSocket(port)
      await once(socket, 'connect')
      socket.write(await ask())
      await reading.passed
      socket.destroy()
      await left.passed
      let before = -1
      await until(async () => {
        const same = read === before
        before = read
        await new Promise(resolve => { setTimeout(resolve, 100) })
        return same
      })
      t.ok(read < content.length, `${read} bytes`)
    })
  }
})
