import { diskStorage } from '../../../src/storage/disk/index.js'
import { fileMetadata } from '../../../src/metadata/file/index.js'
import { callerOf, changedMetadata, changedStorage, draftOf, engineOn } from '../engine.js'

// Creates an upload and is killed on the way. argv: directory, the call at which, in front of it or behind it, and the life of the upload.
const [directory, call, when, expiresIn] = process.argv.slice(2)
if (directory === undefined) throw new Error('Which directory?')
const [disk, files] = [diskStorage({ directory }), fileMetadata({ directory: `${directory}/records` })]

/** `work`, with a death at the wanted place. */
async function dying<T> (name: string, work: () => Promise<T>): Promise<T> {
  if (name === call && when === 'before') process.kill(process.pid, 'SIGKILL')
  const result = await work()
  if (name === call) process.kill(process.pid, 'SIGKILL')
  return result
}

await engineOn({
  storage: changedStorage(disk, { create: upload => dying('storage.create', () => disk.create(upload)) }),
  metadata: changedMetadata(files, { create: (upload, options) => dying('metadata.create', () => files.create(upload, options)) })
}).create(callerOf(), draftOf({ expiresIn: Number(expiresIn) }))
