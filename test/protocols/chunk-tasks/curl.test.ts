import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { diskStorage } from '../../../src/index.js'
import { encryptedStorage } from '../../../src/storage/encrypted/index.js'
import { run } from '../../support/child.js'
import { hashOf, randomBytes, serveTasks } from '../../support/chunk-tasks.js'
import { requireProgram } from '../../support/requires.js'

t.test('the document\'s three steps with curl, an instant upload, and the file back, in clear and encrypted', async t => {
  const curl = requireProgram(t, ['curl'])
  if (curl === undefined) return
  const directory = t.testdir()
  const encryption = encryptedStorage(diskStorage({ directory }), { scrypt: { cost: 16, blockSize: 8, parallelization: 1 } })
  const options = { encryption, requireUser: true, prefix: '/api/files/upload' }
  const server = await serveTasks(t, options, { storage: encryption, downloads: true })
  const base = `${server.url}/uploads/api/files/upload`
  const ask = async (...args: string[]): Promise<string> => {
    const { stdout } = await run(curl, ['-sS', '-H', 'x-user: ann', ...args], { encoding: 'latin1' })
    return stdout
  }
  const bytes = randomBytes(2_500_000)
  for (const encrypted of [false, true]) {
    const task = {
      hash: hashOf('sha256', bytes),
      file_name: 'holiday.jpg',
      file_size: bytes.length,
      content_type: 'image/jpeg',
      chunk_size: 1_000_000,
      ...encrypted && { encrypt_password: 'ä secret' }
    }
    const create = ['-H', 'content-type: application/json', '-d', JSON.stringify(task), `${base}/create`]
    const answer: unknown = JSON.parse(await ask(...create))
    t.match(answer, { file_exists: false, task_id: /^[\w-]{21}$/, chunk_size: 1_000_000, chunks_count: 3 })
    const id = /"task_id":"([^"]+)"/.exec(JSON.stringify(answer))?.[1] ?? ''
    for (const index of [0, 1, 2]) {
      const path = join(directory, `chunk${index}`)
      await writeFile(path, bytes.subarray(index * 1_000_000, (index + 1) * 1_000_000))
      t.equal(await ask('-F', `chunk=@${path}`, '-w', '%{http_code}', `${base}/chunk/${id}/${index}`), '200', 'an empty body')
    }
    const file: unknown = JSON.parse(await ask('-X', 'POST', `${base}/complete/${id}`))
    t.match(file, { id, name: 'holiday.jpg', hash: task.hash, is_encrypted: encrypted })
    if (!encrypted) {
      t.strictSame(JSON.parse(await ask(...create)), { file_exists: true, file, task_id: null, chunk_size: null, chunks_count: null })
    } else t.match(JSON.parse(await ask(`${base}/file/${id}`)), { code: 'FORBIDDEN', status: 403 })

    const password = encrypted ? ['-H', `x-encrypt-password: ${encodeURIComponent('ä secret')}`] : []
    const back = async (...args: string[]): Promise<Buffer> => Buffer.from(await ask(...password, ...args, `${base}/file/${id}`), 'latin1')
    t.ok((await back()).equals(bytes))
    t.ok((await back('-r', '999990-2000009')).equals(bytes.subarray(999_990, 2_000_010)))
    const parts = await back('-r', '0-9,2400000-2400009')
    t.ok(parts.includes(bytes.subarray(0, 10)) && parts.includes(bytes.subarray(2_400_000, 2_400_010)), 'several ranges at once')
    t.match(await ask('-I', ...password, `${base}/file/${id}`), /content-length: 2500000/i)
  }
})

t.test('files are downloaded by their owner alone, while their time is not over, and only where downloads are on', async t => {
  const { get, newTask, upload } = await import('../../support/chunk-tasks.js')
  const server = await serveTasks(t, {}, { downloads: true })
  const missing = JSON.stringify({
    code: 'NOT_FOUND', message: "The requested resource 'File' was not found.", status: 404, detail: 'File'
  })
  const idOf = async (wanted = {}): Promise<string> => /"id":"([^"]+)"/.exec((await upload(server, Buffer.from('abc'), wanted)).text)?.[1] ?? ''
  const id = await idOf()
  t.equal((await get(server, `file/${id}/`)).text, 'abc')
  t.equal((await get(server, `file/${id}`, 'bob')).text, missing)
  t.equal((await get(server, `file/${await newTask(server)}`)).text, missing)
  t.equal((await get(server, `file/${await idOf({ expired_at: '2001-01-01' })}`)).text, missing)
  const off = await serveTasks(t)
  t.equal((await get(off, 'file/abc')).status, 404)
})
