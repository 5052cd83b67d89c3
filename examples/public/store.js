/** What makes two files the same one, as far as a page may know. */
export function fingerprint ({ name, size, lastModified }) {
  return `${lastModified}/${size}/${name}`
}

/**
 * The unfinished uploads, remembered across reloads in IndexedDB: { key, name, size, lastModified, id, offset,
 * paused, handle, protocol }.
 * `handle` (FileSystemFileHandle, where the browser has such) opens the file again without asking the user to find it.
 * Where IndexedDB is not available, nothing is remembered and everything else works.
 */
export class Store {
  #database

  /** All entries, oldest first. */
  async all () {
    const entries = await this.#ask('readonly', entries => entries.getAll()) ?? []
    return entries.sort((a, b) => a.addedAt - b.addedAt)
  }

  async put (entry) {
    await this.#ask('readwrite', entries => entries.put(entry))
  }

  async delete (key) {
    await this.#ask('readwrite', entries => entries.delete(key))
  }

  async #ask (mode, question) {
    try {
      this.#database ??= open()
      const database = await this.#database
      return await result(question(database.transaction('uploads', mode).objectStore('uploads')))
    } catch (error) {
      console.warn('Unfinished uploads are not remembered:', error)
    }
  }
}

function open () {
  const asked = indexedDB.open('chunked-upload', 1)
  asked.onupgradeneeded = () => asked.result.createObjectStore('uploads', { keyPath: 'key' })
  return result(asked)
}

function result (asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
}
