import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { diskStorage } from '../../../src/storage/disk/index.js'
import type { DiskStorageOptions } from '../../../src/storage/disk/index.js'
import { storageSuite } from '../../../src/testing/storage/suite.js'

const variants: Array<[string, DiskStorageOptions]> = [
  ['with defaults', {}],
  ['durable, without folders, the same name from first to last', { durability: 'disk', path: '', incompleteExt: '', completeExt: '' }],
  ['durable, with a folder of its own for each upload', { durability: 'disk', path: upload => `of/${upload.id}` }]
]

for (const [name, options] of variants) {
  t.test(name, async t => {
    storageSuite((name, run) => t.test(name, run), async () => {
      const directory = await mkdtemp(path.join(tmpdir(), 'disk-suite-'))
      const storage = diskStorage({ ...options, directory })
      return {
        storage,
        truncate: async (upload, size) => { await truncate(storage.localPath?.(upload) ?? '', size) },
        stored: async () => {
          const entries = await readdir(directory, { recursive: true, withFileTypes: true })
          return entries.filter(entry => entry.isFile()).map(({ name }) => name)
        },
        dispose: () => rm(directory, { recursive: true })
      }
    })
  })
}
