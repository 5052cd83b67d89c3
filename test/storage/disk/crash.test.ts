import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { StoredUpload } from '../../../src/testing/storage/stored-upload.js'
import { withFailingFs } from '../../support/storage/failing-fs.js'
import type { ChangingCall } from '../../support/storage/failing-fs.js'

const fail = (code: string): never => { throw Object.assign(new Error(code), { code }) }

/** What a file system refuses: nothing, a second name, or anything that crosses into another device. */
const fileSystems: Array<[string, (call: ChangingCall, args: readonly unknown[]) => void]> = [
  ['links', () => {}],
  ['no links', call => { if (call === 'link') fail('EPERM') }],
  ['another device', (call, [from, to]) => {
    if ((call === 'link' || call === 'rename') && path.dirname(String(from)) !== path.dirname(String(to))) fail('EXDEV')
  }]
]

const filesBelow = (directory: string): string[] => readdirSync(directory, { recursive: true }).map(String)
  .filter(entry => statSync(path.join(directory, entry)).isFile()).sort()

class Crash extends Error {}

/** Runs `run` and kills it at a step: nothing happens on the disk after. True when it came to an end before that. */
async function survives (
  step: number, refuse: (call: ChangingCall, args: readonly unknown[]) => void, run: () => Promise<unknown>
): Promise<boolean> {
  let count = 0
  // An even step dies in front of a call, an odd one right behind it, before the caller learns the result.
  const die = (): void => { if (count++ >= step) throw new Crash() }
  try {
    await withFailingFs((call, args) => ({
      before: () => {
        die()
        refuse(call, args)
      },
      after: die
    }), run)
    return true
  } catch (error) {
    if (error instanceof Crash) return false
    throw error
  }
}

for (const [fileSystem, refuse] of fileSystems) {
  // The syncs are the same steps everywhere, and slow.
  for (const durability of fileSystem === 'links' ? ['process', 'disk'] as const : ['process'] as const) {
    for (const location of [undefined, 'some/where/a.bin']) {
      const what = `${fileSystem}, durability ${durability}, ${location ?? 'no location'}`

      t.test(`invariant 12: a finish that crashed at any step finishes at the next try (${what})`, async t => {
        const left = new Map<number, string[]>()
        for (let step = 0, over = false; !over; step++) {
          const directory = await mkdtemp(path.join(tmpdir(), 'disk-crash-'))
          const bytes = randomBytes(1_000)
          // Another file has the wanted name already, and one byte too many is in the file.
          const other = await StoredUpload.create(diskStorage({ directory }), { size: 3 })
          await other.write(0, [[Buffer.from('abc')]])
          await other.finish('some/where/a.bin')
          const stored = await StoredUpload.create(diskStorage({ directory, durability }), { size: null })
          await stored.write(0, [[bytes, randomBytes(1)]])
          stored.upload = { ...stored.upload, size: bytes.length, received: [[0, bytes.length]] }

          over = await survives(step, refuse, () => stored.finish(location))
          await withFailingFs((call, args) => ({ before: () => refuse(call, args) }), () => stored.finish(location))
          const files = filesBelow(directory)
          t.strictSame(readFileSync(path.join(directory, stored.location)), bytes, `step ${step}`)
          t.equal(String(readFileSync(path.join(directory, 'some/where/a.bin'))), 'abc')
          left.set(step, files.filter(file => file !== 'some/where/a.bin' && file !== stored.location))

          await stored.storage.remove(stored.complete)
          // A name that was reserved just before the crash, and not yet noted, is the only one that no record knows.
          const rest = filesBelow(directory).filter(file => file !== 'some/where/a.bin')
          t.ok(rest.every(file => file === 'some/where/a-1.bin' && statSync(path.join(directory, file)).size === 0), rest.join())
          rmSync(directory, { recursive: true })
        }
        if (fileSystem === 'links' || location === undefined) t.strictSame([...left.values()].flat(), [], 'nothing is left beside the file')
        else t.ok([...left.values()].flat().every(file => /\.location~?$|a-1\.bin$/.test(file)), 'a note is left until the upload is removed')
        t.ok(left.size > 2, `${left.size} steps`)
      })

      t.test(`invariant 12: an upload whose finish crashed at any step can be read and removed (${what})`, async t => {
        for (let step = 0, over = false; !over; step++) {
          const directory = await mkdtemp(path.join(tmpdir(), 'disk-crash-'))
          const stored = await StoredUpload.create(diskStorage({ directory, durability }), { size: 1_000 })
          await stored.write(0, [[randomBytes(1_000)]])
          over = await survives(step, refuse, () => stored.finish(location))
          await stored.storage.remove(over ? stored.complete : stored.upload)
          await stored.storage.remove(stored.upload)
          // As above: a name that was reserved, and not yet noted.
          const rest = filesBelow(directory)
          t.ok(rest.every(file => file === location && statSync(path.join(directory, file)).size === 0), `step ${step}: ${rest.join()}`)
          rmSync(directory, { recursive: true })
        }
      })
    }
  }
}

t.test('a place that was reserved is free again when the disk has no room to note it', async t => {
  const directory = t.testdir()
  const stored = await StoredUpload.create(diskStorage({ directory }), { size: 10 })
  const bytes = randomBytes(10)
  await stored.write(0, [[bytes]])
  const full = (call: ChangingCall): { before: () => void } => ({
    before: () => {
      if (call === 'link') fail('EPERM')
      if (call === 'writeFile') fail('ENOSPC')
    }
  })
  for (let turn = 0; turn < 3; turn++) {
    await t.rejects(withFailingFs(full, () => stored.finish('films/x.mp4')), { code: 'ENOSPC' })
    t.strictSame(filesBelow(directory).filter(file => file.startsWith('films')), [])
  }
  await stored.finish('films/x.mp4')
  t.equal(stored.location, 'films/x.mp4')
  t.strictSame(await stored.content(), bytes)
})
