import { Refused, request } from '../request.js'

const CONNECTIONS = 4

/**
 * Chunks by number, in any order, several at a time. The file's hash comes first: a server that has such a file already needs no bytes.
 * `offset` counts the bytes that are there, wherever they are.
 */
export class ChunkTasks {
  checksum = 'first'
  /** One call of `append` sends all that is missing. */
  chunkSize = Infinity
  #base

  constructor (base = '/api/files/upload/') {
    this.#base = base
  }

  async create (file, _end, { checksum, ...options }) {
    const { task_id: id, file_exists: exists } = await request('POST', `${this.#base}create`, {
      ...options,
      body: JSON.stringify({
        hash: checksum,
        file_name: file.name,
        file_size: file.size,
        content_type: file.type || 'application/octet-stream'
      }),
      headers: { 'Content-Type': 'application/json' }
    })
    return exists ? { id: null, offset: file.size, complete: true } : { id, offset: 0 }
  }

  async append (id, file, before, _end, { signal, onProgress, onStored }) {
    const task = await request('GET', `${this.#base}resume/${id}`, { signal })
    const there = new Set(task.uploaded_chunks)
    const missing = Array.from({ length: task.chunks_count }, (_, index) => index).filter(index => !there.has(index))
    const lengthOf = index => Math.min(task.chunk_size, file.size - index * task.chunk_size)
    let stored = file.size - missing.reduce((bytes, index) => bytes + lengthOf(index), 0)
    onStored(stored)
    /** Bytes under way, by chunk. */
    const loading = new Map()
    const tell = () => onProgress([...loading.values()].reduce((bytes, loaded) => bytes + loaded, stored) - before)

    // The first connection that fails ends the others, so that nothing of this try is left when the next one starts.
    const failure = new AbortController()
    const either = AbortSignal.any([signal, failure.signal])
    const connection = async () => {
      while (missing.length > 0) {
        const index = missing.shift()
        const start = index * task.chunk_size
        const body = new FormData()
        body.append('chunk', file.slice(start, start + lengthOf(index)))
        await request('POST', `${this.#base}chunk/${id}/${index}`, {
          signal: either,
          body,
          onProgress: loaded => {
            loading.set(index, Math.min(loaded, lengthOf(index)))
            tell()
          }
        })
        loading.delete(index)
        stored += lengthOf(index)
        onStored(stored)
        tell()
      }
    }
    try {
      await Promise.all(Array.from({ length: CONNECTIONS }, connection))
    } finally {
      failure.abort()
    }
    return stored
  }

  async find (id, options) {
    try {
      const { file_size: size, chunk_size: chunkSize, uploaded_chunks: chunks } = await request('GET', `${this.#base}resume/${id}`, options)
      const offset = chunks.reduce((bytes, index) => bytes + Math.min(chunkSize, size - index * chunkSize), 0)
      return { offset, complete: false }
    } catch (error) {
      // A task that is complete is unknown too: the next one, of the same hash, will say so.
      if (error instanceof Refused && error.status === 404) return null
      throw error
    }
  }

  async complete (id, _checksum, options) {
    await request('POST', `${this.#base}complete/${id}`, options)
  }

  async remove (id, options) {
    await request('DELETE', `${this.#base}task/${id}`, options)
  }
}
