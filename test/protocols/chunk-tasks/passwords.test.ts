import t from 'tap'
import { diskStorage } from '../../../src/index.js'
import { encryptedStorage } from '../../../src/storage/encrypted/index.js'
import type { PasswordAsker } from '../../../src/storage/encrypted/index.js'
import { connectSocket, once } from '../../support/deadline.js'
import { gate, until } from '../../support/engine.js'
import { PATH, complete, hashOf, members, newTask, randomBytes, sendChunk, serveTasks, upload } from '../../support/chunk-tasks.js'
import { type Answer, type TestServer, json } from '../../support/server.js'

const PASSWORD = 'open sesame'
const bytes = randomBytes(5000)

async function fileOf (server: TestServer, user: string): Promise<string> {
  return String(members(await upload(server, bytes, { encrypt_password: PASSWORD, hash: hashOf('md5', bytes) }, user))['id'])
}

async function download (server: Pick<TestServer, 'send'>, file: string, user: string, password: string): Promise<Answer> {
  return await server.send('GET', `${PATH}/file/${file}`, { headers: { 'x-user': user, 'x-encrypt-password': password } })
}

t.test('wrong passwords of one user do not hold up those of another, and only so many wait', async t => {
  const directory = t.testdir()
  const storage = encryptedStorage(diskStorage({ directory }), { scrypt: { cost: 2 ** 14, blockSize: 8, parallelization: 1 } })
  let asked = 0
  let guessed = 0
  /** Guesses that were checked between each of ann's questions and its answer. */
  const between: number[] = []
  const encryption = {
    ...storage,
    unlock: async (...[upload, password, asker]: Parameters<typeof storage.unlock>) => {
      asked++
      const before = guessed
      try {
        return await storage.unlock(upload, password, asker)
      } finally {
        if (asker?.user === 'mal') guessed++
        else between.push(guessed - before)
      }
    }
  }
  const server = await serveTasks(t, { encryption }, { storage, downloads: true })
  const [mine, other] = [await fileOf(server, 'mal'), await fileOf(server, 'ann')]
  // Chunks out of order, so that the completion needs the password, too.
  const task = await newTask(server, {
    file_size: bytes.length, chunk_size: 2500, encrypt_password: PASSWORD, hash: hashOf('sha1', bytes)
  })
  for (const index of [1, 0]) await sendChunk(server, task, index, bytes.subarray(index * 2500, (index + 1) * 2500))

  const answers: Answer[] = []
  const guesses = Promise.all(Array.from({ length: 80 }, async () => {
    answers.push(await download(server.client(), mine, 'mal', 'guess'))
  }))
  await until(() => asked === 80)
  const [read, completed] = await Promise.all([
    download(server.client(), other, 'ann', PASSWORD), complete(server.client(), task, 'ann', json({ encrypt_password: PASSWORD }))
  ])
  t.match(read, { status: 200, text: bytes.toString('utf8') })
  t.equal(completed.status, 200)
  await guesses
  const refused = answers.filter(({ status }) => status === 429)
  const wrong = answers.filter(({ status }) => status === 403)
  t.equal(refused.length + wrong.length, 80)
  t.ok(refused.length > 0, `${refused.length} refused`)
  t.match(refused[0], { headers: { 'retry-after': '1' }, json: { code: 'TOO_MANY_PASSWORDS', status: 429 } })
  t.equal(between.length, 2)
  for (const guesses of between) t.ok(guesses < 10, `${guesses} of ${wrong.length} guesses came before`)
})

t.test('a password whose client has left is not checked', async t => {
  const directory = t.testdir()
  const storage = encryptedStorage(diskStorage({ directory }), { scrypt: { cost: 16, blockSize: 8, parallelization: 1 } })
  const waits = gate()
  const left = gate()
  const stop = (asker?: PasswordAsker): Promise<never> => new Promise((_resolve, reject) => {
    t.match(asker, { user: 'ann', address: '127.0.0.1' })
    asker?.signal?.addEventListener('abort', () => {
      left.open()
      reject(Object.assign(new Error('left'), { statusCode: 400 }))
    })
    waits.open()
  })
  let stops = false
  const encryption = {
    ...storage,
    seal: async (password: string, asker?: PasswordAsker) => stops ? await stop(asker) : await storage.seal(password, asker),
    unlock: async (...[upload, password, asker]: Parameters<typeof storage.unlock>) => {
      return stops ? await stop(asker) : await storage.unlock(upload, password, asker)
    }
  }
  const server = await serveTasks(t, { encryption }, { storage, downloads: true })
  const file = await fileOf(server, 'ann')
  stops = true
  const socket = connectSocket(server.port)
  await once(socket, 'connect')
  socket.write(`GET ${PATH}/file/${file} HTTP/1.1\r\nHost: a.example\r\nX-User: ann\r\nX-Encrypt-Password: x\r\n\r\n`)
  await waits.passed
  socket.destroy()
  await left.passed
  t.pass('it hears of that')
})
