import { addAbortSignal, Readable } from 'node:stream'
import type { Upload } from '../upload.js'
import { StorageLost } from './contract.js'
import type { Storage } from './contract.js'
import { locationFile } from './disk/paths.js'
import { assertForeign } from './disk/own-files.js'
import { unlimited } from './unlimited.js'

/** Bytes of one chunk of a read stream. */
const readSize = 64 * 1024

/** Keeps all bytes in memory: for tests, and for hosts that take small files and need not keep them. */
export function memoryStorage (): Storage {
  const files = new Map<string, MemoryFile>()
  const locations = new Set<string>()

  function fileOf ({ id }: Upload): MemoryFile {
    const file = files.get(id)
    if (file === undefined) throw new StorageLost('The file is gone')
    return file
  }

  return {
    capabilities: unlimited,
    volatile: true,

    async create ({ id }) {
      if (files.has(id)) throw new Error(`Upload ${id} is already there`)
      files.set(id, new MemoryFile())
      return null
    },

    async write (upload, start, batches, progress) {
      let end = start
      for await (const batch of batches) {
        // Looked up each time: a removal in between must not be written over.
        const file = fileOf(upload)
        for (const bytes of batch) {
          file.put(end, bytes)
          end += bytes.byteLength
        }
        progress.confirm(end)
      }
      fileOf(upload)
    },

    async finish (upload) {
      // The same rule as on disk, so that a test against memory finds what a disk would refuse.
      const wanted = upload.target === undefined ? upload.id : targetOf(upload.target, upload)
      const file = fileOf(upload)
      if (file.length < upload.size) throw new StorageLost(`The file has ${file.length} of ${upload.size} bytes`)
      file.length = upload.size
      if (file.location !== undefined && file.wanted === wanted) return file.location
      if (file.location !== undefined) locations.delete(file.location)
      let place = wanted
      for (let suffix = 1; locations.has(place); suffix++) place = `${wanted}-${suffix}`
      locations.add(place)
      file.location = place
      file.wanted = wanted
      return place
    },

    checkTarget (upload) {
      if (upload.target !== undefined) targetOf(upload.target, upload)
    },

    read (upload, [start, end], { signal } = {}) {
      const bytes = Readable.from(slices(() => fileOf(upload), start, end), { objectMode: false })
      return signal === undefined ? bytes : addAbortSignal(signal, bytes)
    },

    async remove (upload) {
      const location = files.get(upload.id)?.location
      if (location !== undefined) locations.delete(location)
      files.delete(upload.id)
    },

    async concat (upload, parts, progress, signal) {
      let end = 0
      for (const part of parts) {
        if (signal.aborted) return
        const bytes = fileOf(part).bytes(0, part.size)
        fileOf(upload).put(end, bytes)
        end += bytes.byteLength
        progress.confirm(end)
      }
    }
  }
}

function targetOf (target: string, { id }: Upload): string {
  const file = locationFile(target)
  assertForeign(file, { id, endings: ['.part', '.done'] })
  return file
}

class MemoryFile {
  length = 0
  location: string | undefined
  /** What the location was made of. */
  wanted: string | undefined
  #buffer = Buffer.alloc(0)

  put (start: number, bytes: Uint8Array): void {
    const end = start + bytes.byteLength
    if (end > this.#buffer.byteLength) {
      // Doubling keeps the cost of a byte constant.
      const grown = Buffer.alloc(Math.max(end, this.#buffer.byteLength * 2))
      this.#buffer.copy(grown)
      this.#buffer = grown
    }
    this.#buffer.set(bytes, start)
    this.length = Math.max(this.length, end)
  }

  bytes (start: number, end: number): Buffer {
    if (end > this.length) throw new StorageLost(`The file ends at byte ${this.length}`)
    return this.#buffer.subarray(start, end)
  }
}

function * slices (file: () => MemoryFile, start: number, end: number): Generator<Buffer> {
  for (let position = start; position < end; position += readSize) {
    // A copy, since the bytes may be replaced while the reader still holds them.
    yield Buffer.from(file().bytes(position, Math.min(end, position + readSize)))
  }
}
