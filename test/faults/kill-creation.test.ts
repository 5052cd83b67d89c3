import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { UploadEngine } from '../../src/engine/index.js'
import { fileMetadata } from '../../src/metadata/file/index.js'
import { diskStorage } from '../../src/storage/disk/index.js'
import { bodyOf, callerOf, codeOf, engineOn, stored } from '../support/engine.js'
import { endOf } from '../support/child.js'
import { childEnv } from '../support/child-env.js'
import { nodeCommand } from '../support/program.js'

const program = fileURLToPath(new URL('../support/storage/dying-creation.ts', import.meta.url))

/** Where a server dies, and whether a record and a file are there then. */
const deaths: Array<[call: string, when: string, records: 0 | 1, files: 0 | 1]> = [
  ['metadata.create', 'before', 0, 0],
  ['metadata.create', 'behind', 1, 0],
  ['storage.create', 'behind', 1, 1]
]

/** A server dies within the creation of an upload; the next one finds what it has left. */
async function afterDeath (
  t: Test, call: string, when: string, expiresIn: number
): Promise<{ engine: UploadEngine, parts: () => string[] }> {
  const directory = t.testdir()
  const [command, ...args] = nodeCommand(program, [directory, call, when, String(expiresIn)])
  const { signal, stderr } = endOf(command, args, { env: childEnv })
  t.equal(signal, 'SIGKILL', stderr)
  const engine = engineOn({ storage: diskStorage({ directory }), metadata: fileMetadata({ directory: `${directory}/records` }) })
  t.teardown(() => engine.shutdown())
  const parts = (): string[] => readdirSync(directory, { recursive: true }).map(String).filter(name => name.endsWith('.part'))
  return { engine, parts }
}

for (const [call, when, records, files] of deaths) {
  t.test(`invariant 12: what a server leaves that is killed ${when} ${call} of a creation is swept`, async t => {
    const { engine, parts } = await afterDeath(t, call, when, 1)
    t.equal(parts().length, files)
    t.match(await engine.deleteExpired(), { files: records, records })
    t.strictSame(parts(), [])
  })
}

/** Its id, as anybody who may list uploads learns it. */
async function onlyId (engine: UploadEngine): Promise<string> {
  const ids: string[] = []
  for await (const { id } of engine.scan({})) ids.push(id)
  return ids.join()
}

t.test('invariants 1 and 12: an upload whose creator was killed after it can be written and completed', async t => {
  const { engine } = await afterDeath(t, 'storage.create', 'behind', 60_000)
  const id = await onlyId(engine)
  const bytes = Buffer.from('hello')
  await engine.write(callerOf(), id, { start: 0, body: bodyOf(bytes), size: 5 })
  const { upload } = await engine.complete(callerOf(), id)
  t.strictSame(await stored(engine, upload), bytes)
})

t.test('invariant 1: nothing is acknowledged of an upload that has no file yet', async t => {
  const { engine } = await afterDeath(t, 'metadata.create', 'behind', 60_000)
  const id = await onlyId(engine)
  t.equal(await codeOf(engine.write(callerOf(), id, { start: 0, body: bodyOf(Buffer.from('hello')), size: 5 })), 'GONE')
  await engine.remove(callerOf(), id)
  t.equal(await codeOf(engine.get(callerOf(), id)), 'NOT_FOUND')
})
