import compress from '@fastify/compress'
import multipart from '@fastify/multipart'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { gzipSync } from 'node:zlib'
import { chunkedUpload } from '../../src/plugin.js'
import { memoryMetadata } from '../../src/metadata/memory.js'
import { memoryStorage } from '../../src/storage/memory.js'
import { fetch } from '../support/deadline.js'
import { faults, hostOf } from '../support/host.js'

const BYTES = Buffer.alloc(3_000_000, 'ab')

function formWith (content: Uint8Array): FormData {
  const form = new FormData()
  form.set('note', 'first')
  form.set('file', new Blob([new Uint8Array(content)]), 'a.bin')
  return form
}

async function ours (app: FastifyInstance): Promise<void> {
  await app.register(chunkedUpload, { prefix: '/uploads', storage: memoryStorage(), metadata: memoryMetadata(), checksum: false })
}

/** A form of 2 chunks, a raw body, and JSON: what our routes must take in any host. */
async function provesOurs (t: Test, url: string): Promise<void> {
  const half = BYTES.length / 2
  const first = await fetch(`${url}/uploads/`, {
    method: 'PUT', headers: { 'content-range': `bytes 0-${half - 1}/${BYTES.length}` }, body: formWith(BYTES.subarray(0, half))
  })
  t.equal(first.status, 200)
  const { id } = await first.json() as { id: string }
  const second = await fetch(`${url}/uploads/${id}/`, {
    method: 'PUT',
    headers: { 'content-range': `bytes ${half}-${BYTES.length - 1}/${BYTES.length}`, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(BYTES.subarray(half))
  })
  t.equal(second.status, 200)
  t.match(await second.json(), { offset: BYTES.length })
  const done = await fetch(`${url}/uploads/${id}/`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
  t.equal(done.status, 200)
  t.match(await done.json(), { status: 2 })
}

const modes = [
  ['plain', {}],
  ['with attachFieldsToBody', { attachFieldsToBody: true }],
  ['with keyValues', { attachFieldsToBody: 'keyValues' }]
] as const
for (const [mode, options] of modes) {
  for (const order of ['before', 'after'] as const) {
    t.test(`a host with @fastify/multipart ${mode}, registered ${order} ours, keeps its own forms and serves ours`, async t => {
      const { listen, log } = await hostOf(t, async app => {
        if (order === 'after') await ours(app)
        await app.register(multipart, { ...options, limits: { fileSize: 1000, fields: 5 } })
        if (order === 'before') await ours(app)
        app.post('/own', async request => {
          if (mode !== 'plain') return Object.keys(request.body ?? {})
          const names: string[] = []
          for await (const part of request.parts()) {
            names.push(part.fieldname)
            if (part.type === 'file') await part.toBuffer()
          }
          return names
        })
      })
      const { url } = await listen()
      await provesOurs(t, url)
      const own = await fetch(`${url}/own`, { method: 'POST', body: formWith(Buffer.from('small')) })
      t.strictSame(await own.json(), ['note', 'file'])
      t.strictSame(faults(log), [])
    })
  }
}

t.test('a host with parsers of its own keeps them and serves ours', async t => {
  for (const type of ['application/octet-stream', '*', /^multipart\//]) {
    const { listen, log } = await hostOf(t, async app => {
      app.removeContentTypeParser('application/json')
      app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, _body, done) => { done(null, { own: 'json' }) })
      app.addContentTypeParser(type, { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) => ({ own: body.length }))
      await ours(app)
      app.post('/own', async request => request.body)
    })
    const { url } = await listen()
    await provesOurs(t, url)
    const own = await fetch(`${url}/own`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
    t.strictSame(await own.json(), { own: 'json' })
    t.strictSame(faults(log), [])
  }
})

t.test('a host with @fastify/compress gets compressed bodies stored as they are sent, and may compress replies', async t => {
  const { listen, log } = await hostOf(t, async app => {
    await app.register(compress, { threshold: 0 })
    await ours(app)
  })
  const { url } = await listen()
  await provesOurs(t, url)
  const packed = gzipSync(BYTES)
  const reply = await fetch(`${url}/uploads/`, {
    method: 'PUT',
    headers: {
      'content-range': `bytes 0-${packed.length - 1}/${packed.length}`,
      'content-type': 'application/octet-stream',
      'content-encoding': 'gzip'
    },
    body: new Uint8Array(packed)
  })
  t.equal(reply.status, 200)
  t.ok(reply.headers.get('content-encoding'))
  t.match(await reply.json(), { offset: packed.length })
  t.strictSame(faults(log), [])
})
