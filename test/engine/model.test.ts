import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { UploadEngine } from '../../src/engine/upload-engine.js'
import { memoryLocks } from '../../src/locks/memory.js'
import { fileMetadata } from '../../src/metadata/file/index.js'
import { memoryMetadata } from '../../src/metadata/memory.js'
import { diskStorage } from '../../src/storage/disk/index.js'
import { memoryStorage } from '../../src/storage/memory.js'
import { bodyOf, callerOf, codeOf, draftOf, engineOn, hangingBody, keepAlive, stored, until, adaptersOf } from '../support/engine.js'

/** Small enough that random positions often meet. */
const SIZE = 24
const CHUNK = 6
/** Ends a run that found nothing on a slow machine. */
const TIME = 9000
const caller = callerOf()
keepAlive(t)

interface ModelUpload {
  readonly id: string
  readonly size: number | null
  /** What was acknowledged, byte by byte. */
  readonly bytes: Map<number, number>
  complete: boolean
  expired: boolean
  /** The highest offset that anybody was told. */
  offset: number
}

interface Model {
  readonly uploads: ModelUpload[]
}

interface Real {
  engine: UploadEngine
  restart (): Promise<void>
  /** How many uploads occupy storage. */
  count (): Promise<number>
}

function contiguous ({ bytes }: ModelUpload): number {
  let offset = 0
  while (bytes.has(offset)) offset++
  return offset
}

function contentOf (upload: ModelUpload): Buffer {
  return Buffer.from(Array.from({ length: contiguous(upload) }, (_, index) => upload.bytes.get(index) ?? 0))
}

/** Everything that is true after each step. */
async function verify (model: Model, { engine, count }: Real): Promise<void> {
  for (const upload of model.uploads) {
    const record = await engine.get(caller, upload.id)
    const offset = contiguous(upload)
    const received = record.received.flatMap(([start, end]) => Array.from({ length: end - start }, (_, index) => start + index))
    check(received.join() === [...upload.bytes.keys()].sort((a, b) => a - b).join(), 'what the record says is what was acknowledged')
    check(offset >= upload.offset, 'invariant 2: offsets never go back')
    upload.offset = offset
    for (const [start, end] of record.received) {
      const bytes = await stored(engine, record, [start, end])
      check(bytes.every((byte, index) => byte === upload.bytes.get(start + index)), 'invariant 1: what was acknowledged is there')
    }
    check(record.status === (upload.complete ? 'complete' : 'uploading'), 'the state is the same')
    if (upload.complete) check(record.checksum?.value === md5(contentOf(upload)), 'invariant 5: the checksum is that of the file')
    else check((record.checksumState?.offset ?? 0) <= offset, 'invariant 7: the checksum is not ahead of the bytes')
  }
  check(await count() === model.uploads.length, 'storage holds nothing else')
}

function check (truth: boolean, message: string): void {
  if (!truth) throw new Error(message)
}

function md5 (bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** One step; `pick` chooses the upload. */
abstract class Step implements fc.AsyncCommand<Model, Real> {
  constructor (protected readonly pick: number) {}

  protected upload (model: Readonly<Model>): ModelUpload | undefined {
    return model.uploads[this.pick % Math.max(1, model.uploads.length)]
  }

  check (model: Readonly<Model>): boolean {
    return this.upload(model) !== undefined
  }

  async run (model: Model, real: Real): Promise<void> {
    const upload = this.upload(model)
    if (upload !== undefined) await this.step(model, real, upload)
    await verify(model, real)
  }

  protected abstract step (model: Model, real: Real, upload: ModelUpload): Promise<void>

  abstract toString (): string
}

class Create implements fc.AsyncCommand<Model, Real> {
  constructor (readonly size: number | null) {}

  check (): boolean {
    return true
  }

  async run (model: Model, real: Real): Promise<void> {
    const draft = draftOf({ size: this.size, chunkSize: CHUNK, checksum: { algorithm: 'md5', value: null } })
    const { id } = await real.engine.create(caller, draft)
    model.uploads.push({ id, size: this.size, bytes: new Map(), complete: false, expired: false, offset: 0 })
    await verify(model, real)
  }

  toString (): string {
    return `create(${this.size})`
  }
}

interface Body {
  readonly start: number
  readonly bytes: Uint8Array
}

/** What has to become of a body, told by the model alone. */
function outcome (upload: ModelUpload, { start, bytes }: Body, parallel: boolean): string {
  if (upload.complete) return 'COMPLETE'
  if (upload.expired) return 'EXPIRED'
  const startsThere = parallel ? start === upload.size || !upload.bytes.has(start) : start === contiguous(upload)
  const overlaps = start !== upload.size && bytes.some((_, index) => upload.bytes.has(start + index))
  if (!startsThere || overlaps) return 'OFFSET'
  return upload.size !== null && start + bytes.length > upload.size ? 'BEYOND_SIZE' : 'ok'
}

function acknowledge (upload: ModelUpload, { start, bytes }: Body): void {
  bytes.forEach((byte, index) => upload.bytes.set(start + index, byte))
}

class Write extends Step {
  constructor (
    pick: number, readonly at: number | 'end', readonly bytes: Uint8Array, readonly parallel: boolean, readonly atomic: boolean
  ) {
    super(pick)
  }

  protected async step (_: Model, { engine }: Real, upload: ModelUpload): Promise<void> {
    const body = { start: this.at === 'end' ? contiguous(upload) : this.at, bytes: this.bytes }
    const expected = outcome(upload, body, this.parallel)
    const code = await codeOf(engine.write(caller, upload.id, {
      start: body.start, body: bodyOf(this.bytes, 3), length: this.bytes.length, parallel: this.parallel, atomic: this.atomic
    }))
    check(code === expected, `write says ${code}, not ${expected}`)
    if (code === 'ok') acknowledge(upload, body)
  }

  override toString (): string {
    return `write(${this.pick}, ${this.at}, [${this.bytes.join()}], ${this.parallel ? 'parallel' : ''} ${this.atomic ? 'atomic' : ''})`
  }
}

class CutWrite extends Step {
  constructor (pick: number, readonly bytes: Uint8Array, readonly atomic: boolean, readonly how: 'cut' | 'settle') {
    super(pick)
  }

  protected async step (_: Model, { engine }: Real, upload: ModelUpload): Promise<void> {
    const start = contiguous(upload)
    if (this.bytes.length === 0 || outcome(upload, { start, bytes: this.bytes }, false) !== 'ok') return
    const body = hangingBody(this.bytes)
    const writing = codeOf(engine.write(caller, upload.id, { start, body, atomic: this.atomic }))
    await until(() => body.readableDidRead)
    if (this.how === 'cut') body.cut()
    else await engine.stopWriters(caller, upload.id)
    check(await writing === (this.how === 'cut' ? 'BODY_CUT' : 'TAKEN_OVER'), 'a cut body fails')
    if (!this.atomic) acknowledge(upload, { start, bytes: this.bytes })
  }

  override toString (): string {
    return `${this.how}(${this.pick}, [${this.bytes.join()}], ${this.atomic ? 'atomic' : ''})`
  }
}

/** The same range several times at once, and others beside it. */
class WriteTogether extends Step {
  constructor (pick: number, readonly chunks: readonly number[], readonly bytes: Uint8Array) {
    super(pick)
  }

  protected async step (_: Model, { engine }: Real, upload: ModelUpload): Promise<void> {
    if (upload.size === null || upload.complete || upload.expired) return
    const { size } = upload
    const bodies = this.chunks.map(chunk => ({
      start: chunk * CHUNK, bytes: this.bytes.subarray(chunk * CHUNK, Math.min(size, (chunk + 1) * CHUNK))
    })).filter(({ bytes }) => bytes.length > 0)
    const before = bodies.map(body => outcome(upload, body, true))
    const codes = await Promise.all(bodies.map(({ start, bytes }) =>
      codeOf(engine.write(caller, upload.id, { start, body: bodyOf(bytes, 2), parallel: true, atomic: true, length: bytes.length }))))
    for (const [index, body] of bodies.entries()) {
      const winners = codes.filter((code, other) => code === 'ok' && bodies[other]?.start === body.start).length
      check(winners === (before[index] === 'ok' ? 1 : 0), `invariant 3: ${winners} writers of one range`)
      if (codes[index] === 'ok') acknowledge(upload, body)
      else check(codes[index] === 'OFFSET', `the others hear of the offset, not ${codes[index]}`)
    }
  }

  override toString (): string {
    return `together(${this.pick}, ${this.chunks.join()}, [${this.bytes.join()}])`
  }
}

class Complete extends Step {
  constructor (pick: number, readonly checksum: 'none' | 'right' | 'wrong') {
    super(pick)
  }

  protected async step (_: Model, { engine }: Real, upload: ModelUpload): Promise<void> {
    const whole = upload.size === null || contiguous(upload) === upload.size
    const expected = upload.complete
      ? 'COMPLETE'
      : upload.expired ? 'EXPIRED' : !whole ? 'INCOMPLETE' : this.checksum === 'wrong' ? 'CHECKSUM' : 'ok'
    const content = contentOf(upload)
    const given = { none: {}, right: { checksum: md5(content) }, wrong: { checksum: md5(Buffer.concat([content, Buffer.from('x')])) } }
    let calls = 0
    const hooks = { onComplete: async () => { calls++; return undefined } }
    const codes = await Promise.all([1, 2].map(() => codeOf(engine.complete(callerOf({ hooks }), upload.id, given[this.checksum]))))
    check(codes.includes(expected), `complete says ${codes.join()}, not ${expected}`)
    check(codes.filter(code => code === 'ok').length === (expected === 'ok' ? 1 : 0) && calls === (expected === 'ok' ? 1 : 0), 'once')
    if (expected !== 'ok') return
    upload.complete = true
    // What an upload of unknown size has behind a gap is no part of the file.
    for (const position of upload.bytes.keys()) if (position >= content.length) upload.bytes.delete(position)
  }

  override toString (): string {
    return `complete(${this.pick}, ${this.checksum})`
  }
}

class Remove extends Step {
  protected async step (model: Model, { engine }: Real, upload: ModelUpload): Promise<void> {
    await engine.remove(caller, upload.id)
    check(await codeOf(engine.get(caller, upload.id)) === 'NOT_FOUND', 'it is gone')
    model.uploads.splice(model.uploads.indexOf(upload), 1)
  }

  override toString (): string {
    return `remove(${this.pick})`
  }
}

class Expire extends Step {
  protected async step (_: Model, { engine }: Real, upload: ModelUpload): Promise<void> {
    await engine.update(caller, upload.id, () => ({ expiresAt: 1 }))
    upload.expired = true
  }

  override toString (): string {
    return `expire(${this.pick})`
  }
}

class Sweep extends Step {
  protected async step (model: Model, { engine }: Real): Promise<void> {
    const over = model.uploads.filter(upload => upload.expired && !upload.complete)
    const { files } = await engine.deleteExpired()
    check(files === over.length, `the sweeper removes ${files}, not ${over.length}`)
    for (const upload of over) model.uploads.splice(model.uploads.indexOf(upload), 1)
  }

  override toString (): string {
    return 'sweep'
  }
}

class Restart extends Step {
  protected async step (_: Model, real: Real): Promise<void> {
    await real.restart()
  }

  override toString (): string {
    return 'restart'
  }
}

const pick = fc.nat(3)
const bytes = fc.uint8Array({ minLength: 0, maxLength: 9 })
const position = fc.oneof({ weight: 3, arbitrary: fc.constant('end' as const) }, fc.nat(SIZE + 2))
const commands = [
  fc.constantFrom(null, SIZE, SIZE, SIZE - 1, 0).map(size => new Create(size)),
  fc.tuple(pick, position, bytes, fc.boolean(), fc.boolean()).map(parts => new Write(...parts)),
  fc.tuple(pick, position, bytes, fc.boolean(), fc.boolean()).map(parts => new Write(...parts)),
  fc.tuple(pick, bytes, fc.boolean(), fc.constantFrom('cut' as const, 'settle' as const)).map(parts => new CutWrite(...parts)),
  fc.tuple(pick, fc.array(fc.nat(SIZE / CHUNK), { minLength: 1, maxLength: 8 }), fc.uint8Array({ minLength: SIZE, maxLength: SIZE }))
    .map(parts => new WriteTogether(...parts)),
  fc.tuple(pick, fc.constantFrom('none' as const, 'right' as const, 'wrong' as const)).map(parts => new Complete(...parts)),
  pick.map(which => new Remove(which)),
  pick.map(which => new Expire(which)),
  pick.map(which => new Sweep(which)),
  pick.map(which => new Restart(which))
]

async function play (make: () => Promise<Real & { dispose (): Promise<void> }>, numRuns: number): Promise<void> {
  await fc.assert(fc.asyncProperty(fc.commands(commands, { maxCommands: 40, size: 'max' }), async steps => {
    const real = await make()
    try {
      await fc.asyncModelRun(() => ({ model: { uploads: [] }, real }), steps)
    } finally {
      await real.engine.shutdown()
      await real.dispose()
    }
  }), { numRuns, interruptAfterTimeLimit: TIME, markInterruptAsFailure: false })
}

t.test('any sequence of operations keeps to the model, in memory', async () => {
  await play(async () => {
    const parts = { storage: memoryStorage(), metadata: memoryMetadata() }
    const real = {
      engine: engineOn(parts),
      restart: async () => {
        await real.engine.shutdown()
        real.engine = engineOn({ ...parts, locks: memoryLocks() })
      },
      count: async () => (await parts.metadata.list({ limit: 1000 })).uploads.length,
      dispose: async () => {}
    }
    return real
  }, 120)
})

t.test('any sequence of operations keeps to the model, on disk', async () => {
  await play(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'model-'))
    const parts = (): Parameters<typeof engineOn>[0] => ({
      storage: diskStorage({ directory: join(directory, 'files') }), metadata: fileMetadata({ directory: join(directory, 'records') })
    })
    const real = {
      engine: engineOn(parts()),
      restart: async () => {
        await real.engine.shutdown()
        await adaptersOf(real.engine).metadata.close?.()
        real.engine = engineOn(parts())
      },
      count: async () => {
        const names = await readdir(join(directory, 'files'), { recursive: true }).catch(() => [])
        return names.filter(name => /\.(part|done)$/.test(name)).length
      },
      dispose: async () => {
        await adaptersOf(real.engine).metadata.close?.()
        await rm(directory, { recursive: true })
      }
    }
    return real
  }, 60)
})
