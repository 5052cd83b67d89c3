import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { fileMetadata } from '../../../src/metadata/file/index.js'
import { newUpload } from '../../../src/testing/new-upload.js'
import { once } from '../../support/deadline.js'
import { startProgram } from '../../support/program.js'

const SCRIPT = fileURLToPath(new URL('../../support/record-process.ts', import.meta.url))

interface Writer {
  readonly child: ChildProcess
  acknowledged: number
}

t.test('invariant 12: no acknowledged change of a record is lost or undone while its writers are killed', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'records-'))
  const metadata = fileMetadata({ directory })
  const writers: Writer[] = []
  t.teardown(async () => {
    for (const { child } of writers) child.kill('SIGKILL')
    await metadata.close?.()
    await rm(directory, { recursive: true })
  })
  // Long enough for a rewrite of the file every few dozen changes.
  const { id } = await metadata.create(newUpload({ filename: 'x'.repeat(2000) }))

  const start = (): Writer => {
    const child = startProgram(SCRIPT, [directory, id])
    const writer: Writer = { child, acknowledged: 0 }
    writer.child.on('message', (count: number) => { writer.acknowledged = count })
    writers.push(writer)
    return writer
  }
  let alive = [start(), start(), start()]
  for (let round = 0; round < 4; round++) {
    const enough = 40 + Math.floor(Math.random() * 40)
    for (const writer of alive) while (writer.acknowledged < enough) await once(writer.child, 'message')
    const victim = alive[Math.floor(Math.random() * alive.length)]
    victim?.child.kill('SIGKILL')
    if (victim !== undefined) await once(victim.child, 'close')
    alive = [...alive.filter(writer => writer !== victim), start()]
  }
  for (const { child } of alive) {
    child.kill('SIGKILL')
    await once(child, 'close')
  }

  const upload = await metadata.get(id)
  for (const { child, acknowledged } of writers) {
    const count = Number(upload?.metadata[String(child.pid)] ?? 0)
    // The last one may have been written and not yet acknowledged.
    t.ok(count === acknowledged || count === acknowledged + 1, `${acknowledged} acknowledged, ${count} stored`)
  }
  const total = Object.values(upload?.metadata ?? {}).reduce<number>((sum, count) => sum + Number(count), 0)
  t.equal(upload?.version, total + 1, 'each version is one change')
})
