import { existsSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import { chunkTasks, chunkedUpload, contentRange, formAppend, rawAppend, resumableHttp, tus } from '../../src/index.js'
import { childEnv } from '../support/child-env.js'
import { runSync } from '../support/child.js'
import { nodeCommand } from '../support/program.js'
import { requireExt4 } from '../support/requires.js'
import { chunkForm, json, startServer } from '../support/server.js'

t.test('invariant 13: an ext4 that is full is 507 wherever a folder has to be made, a read-only one is 500 for good', async t => {
  const shell = requireExt4(t, t.testdir())
  if (shell === undefined) return
  const script = fileURLToPath(new URL('../support/storage/broken-disk.ts', import.meta.url))
  const [command, ...args] = nodeCommand(script, [t.testdir()], { shell })
  const output = runSync(command, args, { env: childEnv })
  const [full, works] = [{ status: 507 }, { status: 200, retry: false }]
  t.match(JSON.parse(output), {
    'inodes: bytes': full,
    'inodes: records': full,
    'inodes: when there is room': works,
    'blocks: bytes': full,
    'blocks: records': full,
    'blocks: when there is room': works,
    'read-only: at the start': 'FST_CHUNKED_UPLOAD_DIRECTORY',
    'read-only: of records': 'FST_CHUNKED_UPLOAD_DIRECTORY',
    'read-only: while the server runs': { status: 500, retry: false }
  })
})

t.test('a server on a directory that can never be used does not start, and says why', async t => {
  const directory = t.testdir({ file: 'x' })
  const wrong = [path.join(directory, 'file'), path.join(directory, 'file/a'), ...existsSync('/proc/self') ? ['/proc/nope'] : []]
  for (const unusable of wrong) {
    const app = Fastify()
    await t.rejects(async () => { await app.register(chunkedUpload, { directory: unusable }) }, {
      code: 'FST_CHUNKED_UPLOAD_DIRECTORY', message: `directory "${unusable}" cannot be used: `
    })
    await app.close()
  }
  const app = Fastify()
  await app.register(chunkedUpload, { directory: path.join(directory, 'not/yet') })
  await app.ready()
  await app.close()
})

t.test('invariant 13: what the host has to mend is 500 in each protocol, without a word of trying again, and is in the log', async t => {
  const small = json({ hash: '', file_name: 'a.bin', file_size: 10, content_type: 'application/octet-stream' })
  const creations = [
    [contentRange(), 'PUT', '/uploads/', chunkForm('0123456789', 'bytes 0-9/20')],
    [formAppend(), 'POST', '/uploads/upload/', chunkForm('0123456789', undefined)],
    [tus(), 'POST', '/uploads', { headers: { 'tus-resumable': '1.0.0', 'upload-length': '10' } }],
    [resumableHttp(), 'POST', '/uploads', { headers: { 'upload-draft-interop-version': '6', 'upload-complete': '?0' }, body: 'x' }],
    [chunkTasks(), 'POST', '/uploads/create', { ...small, headers: { ...small.headers } }],
    [rawAppend(), 'POST', '/uploads/create_video', {}]
  ] as const
  for (const [protocol, method, url, message] of creations) {
    const server = await startServer(t, {
      protocols: [protocol], path: 'day', user: () => 'ann'
    }, { mayFail: true, directory: t.testdir() })
    // A file takes the place of the folder of the day.
    writeFileSync(path.join(server.directory, 'day'), 'x')
    const answer = await server.send(method, url, message)
    t.equal(answer.status, 500, `${protocol.name}: ${answer.text}`)
    t.equal(answer.headers['retry-after'], undefined, protocol.name)
    t.match(server.failures.join('\n'), /ENOTDIR/, protocol.name)
    renameSync(path.join(server.directory, 'day'), path.join(server.directory, 'file'))
    const again = await server.send(method, url, message)
    t.ok(again.status < 300, `${protocol.name}: ${again.status} ${again.text}`)
  }
})

t.test('invariant 9: a file name of the client’s that no file system takes is shortened', async t => {
  const server = await startServer(t, { protocols: [tus()], location: ({ filename }) => `films/${filename}` })
  for (const turn of [0, 1]) {
    const name = `${'写'.repeat(160)}.txt`
    const answer = await server.send('POST', '/uploads', {
      headers: {
        'tus-resumable': '1.0.0',
        'upload-length': '6',
        'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
        'content-type': 'application/offset+octet-stream'
      },
      body: `film ${turn}`
    })
    t.ok(answer.status < 300, answer.text)
  }
  t.ok(existsSync(path.join(server.directory, `films/${'写'.repeat(83)}.txt`)))
  t.ok(existsSync(path.join(server.directory, `films/${'写'.repeat(83)}-1.txt`)))
})
