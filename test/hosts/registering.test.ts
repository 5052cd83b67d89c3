import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  type ChunkedUploadOptions, chunkedUpload, contentRange, diskStorage, fileMetadata, memoryMetadata, memoryStorage, tus
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
  t.match(text, /^chunked-upload: protocol "tus" cannot declare a route \(Method .+ already declared for route '\/uploads\/'\): /)
  t.match(text, 'protocol "contentRange" has it. Give one of the two a prefix of its own, as in { prefix: \'/tus\' }')
  t.match(await refusal(t, { protocols: [tus({ prefix: '/x' }), tus({ prefix: 'x/', name: 'ietf' })] }),
    /protocol "ietf" cannot .* protocol "tus" has it\. .* \{ prefix: '\/ietf' \}/)
  t.equal(await refusal(t, { protocols: [contentRange(), tus({ prefix: '/tus' })] }), 'registered')
})

t.test('a route of the app or of another registration at the same path: the message says so', async t => {
  const text = /protocol "contentRange" cannot declare a route \(Method .+ for route '\/uploads\/?'\): the app or another registration has it\. Give/
  t.match(await refusal(t, {}, app => app.get('/uploads/', async () => 'mine')), text)
  t.match(await refusal(t, { name: 'second', directory: t.testdir() }, async app => {
    await app.register(chunkedUpload, { prefix: '/uploads', storage: memoryStorage() })
  }), text)
  t.equal(await refusal(t, {}, app => app.get('/upload', async () => 'mine')), 'registered')
})

t.test('what a list of protocols must not be is told with what to write', async t => {
  for (const [protocols, text] of [
    [[tus], 'option "protocols" has an item that is the function tus: call it, as in tus()'],
    [contentRange, 'option "protocols" is the function contentRange: call it, as in contentRange()'],
    [[() => tus()], 'is a function: call it'],
    [tus(), 'put brackets around it, as in [tus()]'],
    [[tus(), {}], 'item 1 has no name, prefix and register'],
    [[tus(), tus({ prefix: '/b' })], 'has two protocols with the name "tus", which uploads keep: ' +
      "give one of them another name and prefix, as in { name: 'tus2', prefix: '/tus2' }"]
  ] as const) t.match(await refusal(t, { protocols }), text)
})

t.test('an adapter that was not called is told the same way', async t => {
  for (const options of [{ storage: memoryStorage }, { metadata: memoryMetadata }]) {
    const [name] = Object.values(options).map(factory => factory.name)
    t.match(await refusal(t, options), `is the function ${name}: call it, as in ${name}()`)
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
