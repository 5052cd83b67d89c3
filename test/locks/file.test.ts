import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fileLocks } from '../../src/locks/file.js'
import { lockSuite } from '../../src/testing/lock-suite.js'

lockSuite((name, run) => t.test(name, run), async () => {
  const directory = await mkdtemp(join(tmpdir(), 'locks-'))
  const first = fileLocks({ directory })
  const opened = [first]
  return {
    locks: first,
    another: async () => {
      const other = fileLocks({ directory })
      opened.push(other)
      return other
    },
    dispose: async () => {
      for (const instance of opened) await instance.close?.()
      await rm(directory, { recursive: true })
    }
  }
})
