import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, chunkedUpload, contentRange, diskStorage, fileMetadata, memoryMetadata, memoryStorage, resumableHttp, tus
} from '../../src/index.js'

/** The message of the error with which the registration fails. */
async function refusal (t: Test, options: object, before: (app: FastifyInstance) => unknown = () => {}): Promise<string> {
  const app = Fastify()
  t.teardown(() => app.close())
  await before(app)
  // A host without types may write anything.
  const given: ChunkedUploadOptions = { ...'storage' in options ? {} : { directory: t.testdir() }, ...options }
  try {
    await app.register(chunkedUpload, { prefix: '/uploads', ...given })
    return 'registered'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

t.test('two protocols at one path: the message names both, the route and what to do', async t => {
  const text = await refusal(t, { protocols: [contentRange(), tus()] })
  t.match(text, /^chunked-upload: protocol "tus" finds a route in its way \(Method .+ already declared for route '\/uploads\/'\): /)
  t.match(text, 'it is of protocol "contentRange". Give one of the two a prefix of its own, as in { prefix: \'/tus\' }')
  t.match(await refusal(t, { protocols: [tus({ prefix: '/x' }), resumableHttp({ prefix: 'x/', name: 'ietf' })] }),
    /protocol "ietf" finds .* it is of protocol "tus"\. .* \{ prefix: '\/ietf' \}/)
  t.equal(await refusal(t, { protocols: [contentRange(), tus({ prefix: '/tus' })] }), 'registered')
})

t.test('a route of the host in the way: the message says that it is the app, be it another registration', async t => {
  const text = /protocol "contentRange" finds a route in its way \(Method .+ already declared for route '\/uploads\/?'\): the app has declared it\. Give/
  t.match(await refusal(t, {}, app => app.get('/uploads/', async () => 'mine')), text)
  t.match(await refusal(t, { name: 'second', directory: t.testdir() }, async app => {
    await app.register(chunkedUpload, { prefix: '/uploads', storage: memoryStorage() })
  }), text)
  t.equal(await refusal(t, {}, app => app.get('/upload', async () => 'mine')), 'registered')
})

t.test('what a list of protocols must not be is told with what to write', async t => {
  for (const [protocols, text] of [
    [[tus], 'option "protocols" has a function, where belongs what it returns: write tus(), not tus'],
    [contentRange, 'option "protocols" has a function, where belongs what it returns: write contentRange(), not contentRange'],
    [[() => tus()], 'write the function(), not the function'],
    [tus(), 'put this one into brackets, as in [tus()]'],
    [[tus(), {}], 'item 1 has no name, prefix and register'],
    [[tus(), tus({ prefix: '/b' })], 'has two protocols of the name "tus", by which uploads know theirs: ' +
      "give one of them another name and prefix, as in { name: 'tus2', prefix: '/tus2' }"]
  ] as const) t.match(await refusal(t, { protocols }), text)
})

t.test('an adapter that was not called is told the same way', async t => {
  for (const options of [{ storage: memoryStorage }, { metadata: memoryMetadata }]) {
    const [name] = Object.values(options).map(factory => factory.name)
    t.match(await refusal(t, options), `has a function, where belongs what it returns: write ${name}(), not ${name}`)
  }
})

t.test('a directory that nothing would use is refused, one that records use is not', async t => {
  const directory = t.testdir()
  const text = 'option "directory" has no effect beside your own `storage`'
  const storage = diskStorage({ directory })
  t.match(await refusal(t, { directory, storage: memoryStorage() }), `${text}: give it to these, as in diskStorage({ directory })`)
  t.match(await refusal(t, { directory, storage, metadata: fileMetadata({ directory }) }), `${text} and \`metadata\``)
  t.equal(await refusal(t, { directory, storage }), 'registered')
})
