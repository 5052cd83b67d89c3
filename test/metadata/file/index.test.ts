import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fileMetadata } from '../../../src/metadata/file/index.js'
import { metadataSuite } from '../../../src/testing/metadata/suite.js'

metadataSuite((name, run) => t.test(name, run), async () => {
  const directory = await mkdtemp(join(tmpdir(), 'records-'))
  const opened = [fileMetadata({ directory })]
  const [metadata = fileMetadata({ directory })] = opened
  return {
    metadata,
    another: async () => {
      const other = fileMetadata({ directory })
      opened.push(other)
      return other
    },
    dispose: async () => {
      for (const instance of opened) await instance.close?.()
      await rm(directory, { recursive: true })
    }
  }
})
