import t from 'tap'
import { offsetOf } from '../../../src/upload.js'
import { bodyOf, bytesOf, callerOf, codeOf, draftOf, engineOn, hangingBody, randomBytes, stored, until } from '../../support/engine.js'

const ann = callerOf({ user: 'ann' })
const BIG = 300 * 1024

async function all<T> (listed: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of listed) items.push(item)
  return items
}

t.test('a small body is spooled in memory, a larger one in the storage, and nothing is left of either', async t => {
  for (const [size, counted] of [[0, 0], [1000, 0], [BIG, BIG]] as const) {
    const engine = engineOn()
    const bytes = randomBytes(size)
    const spooled = await engine.spool(ann, bodyOf(bytes), 60_000)
    t.match(spooled, { length: size, counted })
    for (let read = 0; read < 2; read++) t.ok((await bytesOf(spooled.open())).equals(bytes), 'read again')
    t.equal((await all(engine.scan({}))).length, counted === 0 ? 0 : 1)
    await spooled.discard()
    t.strictSame(await all(engine.scan({})), [])
    await spooled.discard()
  }
})

t.test('a body that is too large for the caller, or breaks off, leaves nothing in the spool', async t => {
  const engine = engineOn()
  for (const [limits, code] of [
    [{ maxBytes: BIG - 1 }, 'TOO_LARGE'], [{ maxStored: BIG - 1 }, 'QUOTA'], [{ maxBytes: BIG, maxStored: BIG - 1 }, 'QUOTA']
  ] as const) {
    t.equal(await codeOf(engine.spool({ ...ann, ...limits }, bodyOf(randomBytes(BIG)), 60_000)), code)
  }
  for (const size of [10, BIG]) {
    const body = hangingBody(randomBytes(size))
    const spooling = codeOf(engine.spool(ann, body, 60_000))
    await until(() => body.readableDidRead)
    body.cut()
    t.equal(await spooling, 'BODY_CUT')
  }
  t.strictSame(await all(engine.scan({})), [])
})

t.test('clients and listings of a mount do not see scratch uploads, other mounts not even as scratch', async t => {
  const engine = engineOn({ maxOpenUploads: 1 })
  const hooks = { onCreate: async () => { throw new Error('the host is not asked') } }
  engine.on('create', () => { t.fail('the host is not told') })
  const scratch = engine.scratch(callerOf({ user: 'ann', hooks }))
  const { id } = await scratch.create({ expiresIn: 60_000 })
  await scratch.create({ expiresIn: 60_000 })
  t.equal(offsetOf(await scratch.write(id, { start: 0, body: bodyOf(Buffer.from('hello')) })), 5)
  t.equal(await codeOf(engine.get(ann, id)), 'NOT_FOUND')
  t.equal(await codeOf(engine.scratch(callerOf({ protocol: 'other' })).get(id)), 'NOT_FOUND')
  t.equal((await all(engine.list(ann))).length, 0)
  t.equal((await all(scratch.list())).length, 2)
  t.equal((await scratch.keep(id)).expiresAt, null)
  await scratch.remove(id)
  t.equal(await codeOf(scratch.get(id)), 'NOT_FOUND')
})

t.test('bytes are replaced by a whole body only, and by equal ones not at all', async t => {
  const engine = engineOn()
  const upload = await engine.create(ann, draftOf({ size: 2 * BIG }))
  const [old, next] = [randomBytes(2 * BIG), randomBytes(BIG)]
  const { upload: written } = await engine.write(ann, upload.id, { start: 0, body: bodyOf(old) })
  if (written.status !== 'uploading') throw new Error('it is not completed')
  const range = [BIG, 2 * BIG] as const
  const replace = async (bytes: Buffer): Promise<string> => {
    return await codeOf(engine.replaceBytes(ann, written, { range, body: bodyOf(bytes), expiresIn: 60_000 }))
  }
  const isThere = async (bytes: Buffer): Promise<boolean> => (await stored(engine, await engine.get(ann, upload.id))).equals(bytes)

  t.equal(await replace(next.subarray(1)), 'LENGTH')
  t.ok(await isThere(old))
  t.equal(await replace(old.subarray(BIG)), 'ok')
  t.equal((await engine.get(ann, upload.id)).version, written.version, 'the record is as it was')
  t.equal(await replace(next), 'ok')
  t.ok(await isThere(Buffer.concat([old.subarray(0, BIG), next])))
  t.equal((await all(engine.scan({}))).length, 1, 'nothing is left aside')
})
