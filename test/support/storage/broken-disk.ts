import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import Fastify from 'fastify'
import { chunkedUpload, type ChunkedUploadOptions, diskStorage, memoryLocks, memoryMetadata } from '../../../src/index.js'
import { runSync } from '../child.js'

// Runs in a mount namespace of its own. argv: an empty directory. Says what a client hears on a disk that is full, then read-only.
const [, , directory = ''] = process.argv
const image = path.join(directory, 'image')
const disk = path.join(directory, 'disk')
mkdirSync(disk)
runSync('truncate', ['-s', '8M', image])
// So few inodes that there is soon none for another folder.
runSync('mkfs.ext4', ['-q', '-F', '-N', '48', image])
runSync('mount', ['-o', 'loop', image, disk])
const inMemory = { metadata: memoryMetadata(), locks: memoryLocks() }

interface Heard {
  readonly status: number
  readonly retry: boolean
}

/** What the creation of an upload is answered with. */
async function create (options: ChunkedUploadOptions): Promise<Heard> {
  const app = Fastify()
  await app.register(chunkedUpload, options)
  const headers = { 'content-range': 'bytes 0-9/20', 'content-type': 'application/octet-stream' }
  const { statusCode, headers: answer } = await app.inject({ method: 'PUT', url: '/', headers, payload: '0123456789' })
  await app.close()
  return { status: statusCode, retry: answer['retry-after'] !== undefined }
}

/** Takes all that is left: inodes, or blocks. */
function fill (what: 'inodes' | 'blocks'): void {
  const filler = path.join(disk, 'filler')
  mkdirSync(filler)
  try {
    if (what === 'inodes') for (let count = 0; ; count++) closeSync(openSync(path.join(filler, String(count)), 'w'))
    const file = openSync(path.join(filler, 'blocks'), 'w')
    try {
      for (;;) writeSync(file, Buffer.alloc(1024))
    } finally {
      closeSync(file)
    }
  } catch {
    // Full.
  }
}

const results: Record<string, unknown> = {}
for (const what of ['inodes', 'blocks'] as const) {
  fill(what)
  // The folder of the day has two above it that are missing.
  results[`${what}: bytes`] = await create({ ...inMemory, storage: diskStorage({ directory: disk, path: `${what}/a/b` }) })
  results[`${what}: records`] = await create({ directory: disk, storage: diskStorage({ directory: path.join(directory, 'elsewhere') }) })
  rmSync(path.join(disk, 'filler'), { recursive: true })
  results[`${what}: when there is room`] = await create({ ...inMemory, storage: diskStorage({ directory: disk, path: `${what}/a/b` }) })
}

runSync('mount', ['-o', 'remount,ro', disk])
const refusalOf = async (options: ChunkedUploadOptions): Promise<unknown> => await create(options).catch(({ code }) => code)
results['read-only: at the start'] = await refusalOf({ directory: disk })
const elsewhere = diskStorage({ directory: path.join(directory, 'elsewhere') })
results['read-only: of records'] = await refusalOf({ directory: disk, storage: elsewhere })
// As if it had become so while the server ran.
const storage = { ...diskStorage({ directory: disk }), prepare: async () => {} }
results['read-only: while the server runs'] = await create({ ...inMemory, storage })
runSync('umount', [disk])
console.log(JSON.stringify(results))
