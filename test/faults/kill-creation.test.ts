import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { deleteExpired } from '../../src/engine/expiry.js'
import { fileMetadata } from '../../src/metadata/file.js'
import { diskStorage } from '../../src/storage/disk.js'
import { childEnv } from '../support/child-env.js'
import { engineOn } from '../support/engine.js'

const program = fileURLToPath(new URL('../support/storage/dying-creation.ts', import.meta.url))

for (const call of ['metadata.create', 'storage.create', 'metadata.update']) {
  for (const when of ['before', 'behind']) {
    t.test(`invariant 12: a server killed ${when} ${call} of a creation leaves no bytes that are never swept`, async t => {
      const directory = t.testdir()
      const { signal, stderr } = spawnSync(process.execPath, ['--import', 'tsx', program, directory, call, when], {
        encoding: 'utf8', env: childEnv
      })
      t.equal(signal, 'SIGKILL', stderr)
      const parts = (): string[] => readdirSync(directory, { recursive: true }).map(String).filter(name => name.endsWith('.part'))
      const made = call === 'metadata.update' || (call === 'storage.create' && when === 'behind')
      t.equal(parts().length, made ? 1 : 0)

      const engine = engineOn({ storage: diskStorage({ directory }), metadata: fileMetadata({ directory: `${directory}/records` }) })
      const written = call === 'metadata.create' && when === 'before' ? 0 : 1
      t.match(await deleteExpired(engine), { files: written, records: written })
      t.strictSame(parts(), [])
      await engine.shutdown()
    })
  }
}
