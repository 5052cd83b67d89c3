import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { BodyVerifier, bodyDigestLengths } from '../../../src/engine/body/body-digest.js'
import { Checksums, checksumAlgorithms, isChecksumAlgorithm } from '../../../src/engine/checksum/running-checksum.js'
import { ChecksumReadBack } from '../../../src/engine/checksum/read-back.js'
import { HashThread } from '../../../src/engine/checksum/hash-thread.js'
import type { Storage } from '../../../src/storage/contract.js'
import { memoryStorage } from '../../../src/storage/memory.js'
import { newUpload } from '../../../src/testing/new-upload.js'
import { run } from '../../support/child.js'
import { changedStorage } from '../../support/engine.js'

const MIB = 1024 * 1024
const check = Buffer.from('123456789')

function md5 (bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

t.test('checksums have the values that everyone knows', async t => {
  const checksums = new Checksums()
  const known: ReadonlyArray<readonly [algorithm: string, value: string]> = [
    ['md5', createHash('md5').update(check).digest('hex')],
    ['sha1', createHash('sha1').update(check).digest('hex')],
    ['sha224', createHash('sha224').update(check).digest('hex')],
    ['sha256', createHash('sha256').update(check).digest('hex')],
    ['sha384', createHash('sha384').update(check).digest('hex')],
    ['sha512', createHash('sha512').update(check).digest('hex')],
    ['sha3_256', createHash('sha3-256').update(check).digest('hex')],
    ['sha3_512', createHash('sha3-512').update(check).digest('hex')],
    ['blake2b', createHash('blake2b512').update(check).digest('hex')],
    ['blake2s', createHash('blake2s256').update(check).digest('hex')],
    ['crc32', 'cbf43926'],
    ['crc32c', 'e3069283']
  ]
  for (const [algorithm, value] of known) {
    const running = await checksums.resume(algorithm, null)
    running.update([check.subarray(0, 4), check.subarray(4)])
    t.equal(running.digest(), value, algorithm)
  }
})

t.test('invariant 7: every checksum goes on from its saved state, also with another instance and beside others', async t => {
  const bytes = randomBytes(100_000)
  for (const algorithm of checksumAlgorithms) {
    const whole = await new Checksums().resume(algorithm, null)
    whole.update([bytes])
    const checksums = new Checksums()
    const first = await checksums.resume(algorithm, null)
    const other = await checksums.resume(algorithm, null)
    first.update([bytes.subarray(0, 33_333)])
    other.update([bytes.subarray(5)])
    t.equal(first.save().offset, 33_333)
    const saved = JSON.parse(JSON.stringify(first.save()))
    const second = await new Checksums().resume(algorithm, saved)
    second.update([bytes.subarray(33_333, 50_000)])
    second.update([bytes.subarray(50_000)])
    t.equal(second.digest(), whole.digest(), algorithm)
    t.equal(second.digest(), whole.digest(), 'a digest may be asked for twice')
    t.equal(second.offset, bytes.length)
  }
})

t.test('a state that this build cannot read starts again from 0', async t => {
  const checksums = new Checksums()
  for (const state of ['', 'AAAA', Buffer.alloc(156, 7).toString('base64'), (await checksums.resume('sha1', null)).save().state]) {
    const running = await checksums.resume('md5', { offset: 500, state })
    t.equal(running.offset, 0)
    running.update([check])
    t.equal(running.digest(), md5(check))
  }
})

t.test('unknown algorithms are refused', async t => {
  await t.rejects(new Checksums().resume('md6', null), { code: 'FST_CHUNKED_UPLOAD_CHECKSUM_ALGORITHM' })
  await t.rejects(new Checksums().resume('constructor', null), { code: 'FST_CHUNKED_UPLOAD_CHECKSUM_ALGORITHM' })
  t.notOk(isChecksumAlgorithm('toString'))
  t.ok(isChecksumAlgorithm('md5'))
})

t.test('a body is checked with every digest that came with it', async t => {
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32(check))
  const right = {
    md5: createHash('md5').update(check).digest(),
    sha1: createHash('sha1').update(check).digest(),
    sha256: createHash('sha256').update(check).digest(),
    sha512: createHash('sha512').update(check).digest(),
    crc32: crc
  }
  for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512', 'crc32'] as const) {
    t.equal(right[algorithm].length, bodyDigestLengths[algorithm])
    const zeros = Buffer.alloc(right[algorithm].length)
    for (const [value, ok] of [[right[algorithm], true], [undefined, true], [zeros, false], [Buffer.alloc(1), false]] as const) {
      const verifier = new BodyVerifier([{ algorithm: 'md5', expected: () => right.md5 }, { algorithm, expected: () => value }])
      verifier.update([check.subarray(0, 2), check.subarray(2)])
      if (ok) t.doesNotThrow(() => { verifier.check() })
      else t.throws(() => { verifier.check() }, { code: 'FST_CHUNKED_UPLOAD_CHECKSUM' })
    }
  }
})

t.test('reading back', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'checksum-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const bytes = randomBytes(5 * MIB + 777)
  const path = join(directory, 'file')
  await writeFile(path, bytes)
  const upload = newUpload()
  let reads = 0
  let content = bytes
  let localPath = path
  const checksums = new Checksums()
  const inMemory: Storage = changedStorage(memoryStorage(), {
    read: (_, [start, end]) => {
      reads++
      return Readable.from((function * () {
        for (let position = start; position < Math.min(end, content.length); position += 65536) {
          yield content.subarray(position, Math.min(end, position + 65536))
        }
      })(), { objectMode: false })
    }
  })
  const onDisk = changedStorage(inMemory, { localPath: () => localPath })
  // Starting a worker from source takes a second or two: one is enough.
  const thread = new HashThread()
  const memoryReader = new ChecksumReadBack(inMemory, checksums, thread)
  const diskReader = new ChecksumReadBack(onDisk, checksums, thread)
  t.teardown(() => thread.close())
  t.afterEach(() => {
    content = bytes
    localPath = path
  })

  async function advance (reader: ChecksumReadBack, from: number, to: number): Promise<{ value: string, offset: number }> {
    const running = await checksums.resume('md5', null)
    if (from > 0) running.update([bytes.subarray(0, from)])
    const state = await reader.advance(upload, { algorithm: 'md5', from: from === 0 ? null : running.save(), to })
    return { offset: state.offset, value: (await checksums.resume('md5', state)).digest() }
  }

  for (const [name, reader] of [['with a local path', diskReader], ['without a local path', memoryReader]] as const) {
    for (const [from, to] of [[0, bytes.length], [123, 4 * MIB + 1], [bytes.length - 5, bytes.length], [0, 0]] as const) {
      await t.test(`invariant 7: ${name} from ${from} to ${to}`, async t => {
        t.strictSame(await advance(reader, from, to), { offset: to, value: md5(bytes.subarray(0, to)) })
      })
    }
  }

  await t.test('with a local path the worker reads the file, the storage is not asked', async t => {
    reads = 0
    await advance(diskReader, 0, bytes.length)
    t.equal(reads, 0)
  })

  await t.test('invariant 12: a file that a finish moved away is read through the storage', async t => {
    localPath = join(directory, 'moved')
    t.strictSame(await advance(diskReader, 0, bytes.length), { offset: bytes.length, value: md5(bytes) })
  })

  await t.test('bytes that are gone are lost, not hashed', async t => {
    localPath = join(directory, 'short')
    content = bytes.subarray(0, 2 * MIB)
    await writeFile(localPath, content)
    await t.rejects(advance(diskReader, 0, bytes.length), { name: 'StorageShort' })
    await t.rejects(advance(memoryReader, 0, bytes.length), { name: 'StorageShort' })
  })

  await t.test('a file that cannot be read says why', async t => {
    localPath = directory
    await t.rejects(advance(diskReader, 0, bytes.length), { code: 'EISDIR' })
  })

  await t.test('several uploads at once share the worker', async t => {
    const ends = Array.from({ length: 12 }, (_, index) => bytes.length - index * 100_000)
    const states = await Promise.all(ends.map(end => diskReader.advance(upload, { algorithm: 'md5', from: null, to: end })))
    for (const [index, state] of states.entries()) {
      t.equal((await checksums.resume('md5', state)).digest(), md5(bytes.subarray(0, ends[index])))
    }
  })

  await t.test('without a worker the checksum is computed here', async t => {
    for (const storage of [onDisk, inMemory]) {
      const closed = new HashThread()
      await closed.close()
      const reader = new ChecksumReadBack(storage, checksums, closed)
      const state = await reader.advance(upload, { algorithm: 'md5', from: null, to: bytes.length })
      t.equal((await checksums.resume('md5', state)).digest(), md5(bytes))
    }
  })

  await t.test('a worker that dies on the way is done without', async t => {
    const dying = new HashThread()
    const running = new ChecksumReadBack(onDisk, checksums, dying).advance(upload, { algorithm: 'md5', from: null, to: bytes.length })
    await dying.close()
    t.equal((await checksums.resume('md5', await running)).digest(), md5(bytes))
  })

  await t.test('an abort ends it early, with a state to go on from', async t => {
    const state = await memoryReader.advance(upload, { algorithm: 'md5', from: null, to: bytes.length }, { signal: AbortSignal.abort() })
    t.equal(state.offset, 0)
  })

  await t.test('the worker comes back after there was no file descriptor left for it', async t => {
    const script = join(directory, 'starved.mts')
    const module = JSON.stringify(new URL('../../../src/engine/checksum/hash-thread.ts', import.meta.url).href)
    await writeFile(script, `
      import { closeSync, openSync } from 'node:fs'
      import { HashThread } from ${module}
      const keptAlive = setInterval(() => {}, 1000)
      const open = []
      try {
        for (;;) open.push(openSync('/dev/null', 'r'))
      } catch ({ code }) {
        process.stdout.write(code + ' ')
      }
      const thread = new HashThread()
      const task = { algorithm: 'md5', state: null, source: { batch: [Buffer.from('123456789')] } }
      process.stdout.write(String(await thread.offer(task, 'body').state) + ' ')
      for (const descriptor of open) closeSync(descriptor)
      let state
      while (state === undefined) {
        await new Promise(resolve => { setTimeout(resolve, 50) })
        state = await thread.offer(task, 'body').state
      }
      process.stdout.write(String(state.offset))
      clearInterval(keptAlive)
    `)
    const command = ['-c', 'ulimit -n 128 && exec "$@"', 'sh', process.execPath, ...process.execArgv, script]
    const { stdout } = await run('sh', command, { cwd: fileURLToPath(new URL('../../..', import.meta.url)) })
    t.equal(stdout, 'EMFILE undefined 9')
  })

  await t.test('a worker that has been used does not keep the process alive', async t => {
    const script = join(directory, 'once.mts')
    const engine = (name: string): string => JSON.stringify(new URL(`../../../src/engine/${name}`, import.meta.url).href)
    await writeFile(script, `
      import { Checksums } from ${engine('checksum/running-checksum.ts')}
      import { ChecksumReadBack } from ${engine('checksum/read-back.ts')}
      import { HashThread } from ${engine('checksum/hash-thread.ts')}
      const storage = { localPath: () => ${JSON.stringify(path)}, read: () => { throw new Error('not the worker') } }
      const reader = new ChecksumReadBack(storage as never, new Checksums(), new HashThread())
      const state = await reader.advance({ id: 'x' } as never, { algorithm: 'md5', from: null, to: ${bytes.length} })
      process.stdout.write((await new Checksums().resume('md5', state)).digest())
    `)
    const { stdout } = await run(process.execPath, [...process.execArgv, script], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url))
    })
    t.equal(stdout, md5(bytes))
  })
})
