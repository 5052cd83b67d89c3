import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, contentRange, formAppend, memoryMetadata, memoryStorage, resumableHttp, tus
} from '../../src/index.js'
import type { UploadChecksum } from '../../src/types.js'
import { allRecords } from '../support/records.js'
import { form, startServer } from '../support/server.js'

const BODY = 'abc'
const digest = (algorithm: string): UploadChecksum => ({ algorithm, value: createHash(algorithm).update(BODY).digest('hex') })

/** The checksum in the record of a whole upload, by protocol. */
async function kept (t: Test, options: ChunkedUploadOptions): Promise<Readonly<Record<string, unknown>>> {
  const metadata = memoryMetadata()
  const { send } = await startServer(t, { storage: memoryStorage(), metadata, ...options })
  await send('PUT', '/uploads/range/', { headers: { 'content-range': 'bytes 0-2/3' }, body: BODY })
  await send('POST', '/uploads/tus', {
    headers: { 'tus-resumable': '1.0.0', 'upload-length': 3, 'content-type': 'application/offset+octet-stream' }, body: BODY
  })
  await send('POST', '/uploads/http', { headers: { 'upload-complete': '?1' }, body: BODY })
  const { headers, body } = form([{ name: 'file', filename: 'a.mp4', type: 'video/mp4', content: BODY }])
  await send('POST', '/uploads/form/upload/', { headers: { ...headers, 'content-range': 'bytes 0-2/3' }, body })
  const records = await allRecords(metadata)
  return Object.fromEntries(records.filter(({ internal }) => internal !== true).map(({ protocol, checksum }) => [protocol, checksum]))
}

const protocols = (checksum?: false): ChunkedUploadOptions['protocols'] => [
  contentRange({ prefix: 'range' }), tus({ prefix: 'tus', checksum }), resumableHttp({ prefix: 'http', checksum }),
  formAppend({ prefix: 'form', checksum })
]

t.test('a checksum that the host asks for by name is kept by protocols that have no use for one, too', async t => {
  for (const checksum of ['sha256', 'md5']) {
    const found = await kept(t, { protocols: protocols(), checksum })
    t.match(found, { tus: digest(checksum), resumableHttp: digest(checksum), formAppend: { algorithm: checksum } })
    t.match(found.contentRange, { algorithm: checksum })
  }
})

t.test('a protocol may say otherwise, and without a word of the host only those keep one that speak of it', async t => {
  for (const options of [{ protocols: protocols(false), checksum: 'sha256' }, { protocols: protocols() }]) {
    const { contentRange, ...others } = await kept(t, options)
    t.match(contentRange, { algorithm: String })
    t.same(others, { tus: null, resumableHttp: null, formAppend: null })
  }
})
