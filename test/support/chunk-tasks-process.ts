// A server that speaks chunkTasks in a process of its own, for tests that kill it or run two on one directory, which is its argument. With
// `dying` after it, the process kills itself when half of what replaces a chunk is written. With `encrypted` it encrypts at rest; the
// secret of its checksum states follows, if it has one.
import Fastify from 'fastify'
import { chunkTasks, chunkedUpload } from '../../src/index.js'
import { fileLocks } from '../../src/locks/file/index.js'
import { fileMetadata } from '../../src/metadata/file/index.js'
import type { Storage } from '../../src/storage/contract.js'
import { diskStorage } from '../../src/storage/disk/index.js'
import { encryptedStorage } from '../../src/storage/encrypted/index.js'
import { usersByHeader } from './server.js'

const [, , directory = '', fate = '', stateSecret] = process.argv
const disk = diskStorage({ directory })
const dying: Storage = {
  ...disk,
  write: async (upload, start, batches, progress) => {
    if (upload.replacing === undefined) return await disk.write(upload, start, batches, progress)
    const half = async function * (): AsyncGenerator<readonly Uint8Array[]> {
      const { value: [first = new Uint8Array()] = [] } = await batches[Symbol.asyncIterator]().next()
      yield [first.subarray(0, first.length / 2)]
    }
    await disk.write(upload, start, half(), progress)
    process.kill(process.pid, 'SIGKILL')
  }
}
const vault = encryptedStorage(disk, { scrypt: { cost: 16, blockSize: 8, parallelization: 1 }, stateSecret })
const storages: Readonly<Record<string, Storage>> = { dying, encrypted: vault }
const app = Fastify({ logger: { level: 'error' } })
usersByHeader(app)
await app.register(chunkedUpload, {
  prefix: '/uploads',
  storage: storages[fate] ?? disk,
  metadata: fileMetadata({ directory: `${directory}/records` }),
  locks: fileLocks({ directory: `${directory}/locks` }),
  protocols: [chunkTasks(fate === 'encrypted' ? { encryption: vault, minChunkSize: 1 } : {})]
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.(Number(new URL(url).port))
