import t from 'tap'
import { contentRange, memoryMetadata, memoryStorage, type Storage } from '../../../src/index.js'
import { TEN, countUploads, detail } from '../../support/content-range.js'
import { type Message, chunkForm, field, startServer } from '../../support/server.js'

const raw: Message = { headers: { 'content-type': 'video/mp4', 'content-range': 'bytes 10-19/20' }, body: TEN }

for (const [code, status, words] of [
  ['ENOSPC', 507, 'Storage is full'], ['EIO', 503, 'Storage is not available']
] as const) {
  t.test(`invariant 13: a storage that fails with ${code} answers ${status}, and what was acknowledged stays`, async t => {
    const storage = memoryStorage()
    let fails = false
    const write: Storage['write'] = async (...args) => {
      if (fails) throw Object.assign(new Error(code), { code })
      await storage.write(...args)
    }
    const server = await startServer(t, {
      protocols: [contentRange()], storage: { ...storage, write }, metadata: memoryMetadata()
    }, { mayFail: true })
    const path = `/uploads/${field(await server.send('PUT', '/uploads/', chunkForm(TEN, 'bytes 0-9/20')), 'id')}/`
    fails = true
    for (const [method, url, message] of [
      ['PUT', path, chunkForm(TEN, 'bytes 10-19/20')],
      ['PUT', path, raw],
      ['PUT', '/uploads/', chunkForm(TEN, 'bytes 0-9/20')],
      ['POST', '/uploads/', chunkForm(TEN, undefined)]
    ] as const) {
      const answer = await server.send(method, url, message)
      t.equal(answer.status, status)
      t.strictSame(answer.json, detail(words))
      if (status === 503) t.match(answer.headers['retry-after'], /^\d+$/)
      t.equal((await server.send('OPTIONS', '/uploads/')).status, 204, 'the connection can be used again')
      t.match((await server.send('GET', path)).json, { offset: 10 })
    }
    t.equal(await countUploads(server), 1, 'of new uploads nothing is left')
    fails = false
    t.match((await server.send('PUT', path, raw)).json, { offset: 20 })
  })
}
