import t from 'tap'
import { chunkTasks, type ChunkedUploadOptions, contentRange, formAppend, tus } from '../../src/index.js'
import { MD5_OF_TEN, TEN } from '../support/content-range.js'
import { form, json, startServer } from '../support/server.js'
import { startTus } from '../support/tus.js'

const refusal = (): Error => Object.assign(new Error('not this one'), { statusCode: 422 })

interface Seen {
  readonly filename: string
  readonly size: number | null
  readonly again: boolean
}

/** Refuses names that end in `.php`, more than 10 bytes, and pools; notes what it was asked. */
function hostOf (seen: Seen[]): ChunkedUploadOptions {
  return {
    onCreate: ({ filename, size, protocolState }, { upload }) => {
      seen.push({ filename, size, again: upload !== undefined })
      if (filename.endsWith('.php') || (size ?? 0) > 10 || typeof protocolState['pool_id'] === 'string') throw refusal()
    }
  }
}

t.test('a name that comes after the bytes of a form is put to the host', async t => {
  const seen: Seen[] = []
  const server = await startServer(t, { protocols: [contentRange()], ...hostOf(seen) })
  const whole = (name: string) => form([
    { name: 'file', filename: 'ok.png', content: TEN }, { name: 'md5', content: MD5_OF_TEN }, { name: 'filename', content: name }
  ])
  const first = (name: string) => {
    const { headers, body } = form([{ name: 'file', filename: 'ok.png', content: TEN }, { name: 'filename', content: name }])
    return { headers: { ...headers, 'content-range': 'bytes 0-9/10' }, body }
  }
  for (const [method, message] of [['POST', whole], ['PUT', first]] as const) {
    t.equal((await server.send(method, '/uploads/', message('evil.php'))).status, 422)
    for await (const { filename } of server.app.chunkedUpload.list()) t.fail(`${filename} is there`)
    t.equal((await server.send(method, '/uploads/', message('good.png'))).status, 200)
    for await (const { id, filename } of server.app.chunkedUpload.list()) {
      t.equal(filename, 'good.png')
      await server.app.chunkedUpload.remove(id)
    }
  }
  t.strictSame(seen.map(({ filename, again }) => `${filename} ${again}`), [
    'ok.png false', 'evil.php true', 'ok.png false', 'good.png true', 'ok.png false', 'evil.php true', 'ok.png false', 'good.png true'
  ])
})

t.test('so are a size that comes late, and a pool after a file', async t => {
  const seen: Seen[] = []
  const server = await startTus(t, hostOf(seen))
  const path = await server.create(null)
  t.equal((await server.patch(path, 0, 'abc', { 'upload-length': '11' })).status, 422)
  t.equal(await server.offset(path), 0)
  t.equal((await server.patch(path, 0, 'abc', { 'upload-length': '9' })).status, 204)
  t.equal((await server.patch(path, 3, 'abcdef', { 'upload-length': '9' })).status, 204, 'what is known is not asked again')
  t.strictSame(seen.map(({ size, again }) => [size, again]), [[null, false], [11, true], [9, true]])

  const tasks = await startServer(t, { protocols: [chunkTasks()], ...hostOf([]) })
  const file = { name: 'file', filename: 'a.txt', content: TEN }
  const pool = { name: 'pool_id', content: '0b9f0a4e-1111-4222-8333-444455556666' }
  t.equal((await tasks.send('POST', '/uploads/direct', form([file, pool]))).status, 422)
  t.equal((await tasks.send('POST', '/uploads/direct', form([file]))).status, 200)
})

t.test('what the host makes of a late name counts, and a type that it gives must be an allowed one', async t => {
  const server = await startServer(t, {
    protocols: [contentRange()],
    allowedTypes: ['image/*'],
    onCreate: ({ filename }) => ({ metadata: { seen: filename }, contentType: `image/${filename.slice(-3)}` })
  })
  const png = (name: string) => form([
    { name: 'file', filename: 'ok.png', type: 'image/png', content: TEN }, { name: 'md5', content: MD5_OF_TEN },
    { name: 'filename', content: name }
  ])
  t.equal((await server.send('POST', '/uploads/', png('b.gif'))).status, 200)
  for await (const upload of server.app.chunkedUpload.list()) {
    t.match(upload, { filename: 'b.gif', metadata: { seen: 'b.gif' }, contentType: 'image/gif' })
  }
  const other = await startServer(t, {
    protocols: [tus()], allowedTypes: ['image/*'], onCreate: () => ({ contentType: 'text/html' })
  })
  const headers = { 'tus-resumable': '1.0.0', 'upload-length': '1', 'upload-metadata': 'filetype aW1hZ2UvcG5n' }
  t.equal((await other.send('POST', '/uploads/', { headers })).status, 415)
})

t.test('names are cleaned before the host sees them, whatever the protocol; the metadata have them as they came', async t => {
  const told = '../../../etc/pass\r\nwd'
  const seen: string[] = []
  const server = await startServer(t, {
    protocols: [
      tus({ prefix: '/tus' }),
      chunkTasks({ prefix: '/tasks', authorize: ({ fileName }) => { seen.push(fileName); return true } }),
      contentRange({ prefix: '/ranges' }),
      formAppend({ prefix: '/form' })
    ],
    onCreate: ({ filename }) => { seen.push(filename) }
  })
  const metadata = `filename ${Buffer.from(told).toString('base64')}`
  await server.send('POST', '/uploads/tus/', { headers: { 'tus-resumable': '1.0.0', 'upload-length': '1', 'upload-metadata': metadata } })
  await server.send('POST', '/uploads/tasks/create', json({ hash: '', file_name: told, file_size: 1, content_type: 'a/b' }))
  const { headers, body } = form([{ name: 'filename', content: told }, { name: 'file', filename: 'a', content: 'a' }])
  await server.send('PUT', '/uploads/ranges/', { headers: { ...headers, 'content-range': 'bytes 0-0/2' }, body })
  await server.send('POST', '/uploads/form/upload/', { headers, body })
  // A name of a part cannot have a line break.
  const part = form([{ name: 'file', filename: '../../../etc/passwd', content: 'a' }])
  await server.send('PUT', '/uploads/ranges/', { headers: { ...part.headers, 'content-range': 'bytes 0-0/2' }, body: part.body })
  await server.send('POST', '/uploads/form/upload/', part)
  await server.send('POST', '/uploads/tasks/direct', part)
  t.ok(seen.length >= 8)
  t.strictSame(new Set(seen), new Set(['passwd']))
  const kept: unknown[] = []
  for await (const { filename, metadata } of server.app.chunkedUpload.list()) {
    t.equal(filename, 'passwd')
    kept.push(metadata['filename'])
  }
  const ofPart = '../../../etc/passwd'
  t.strictSame(kept, [told, told, told, told, ofPart, ofPart, ofPart])
})
