/** The file on this computer cannot be read any more: moved, changed, or on a disk that is gone. */
export class Unreadable extends Error {
  name = 'Unreadable'
}

/** The file's MD5, in a worker so that the page stays smooth. It goes along with the upload, chunk by chunk. */
export class Checksum {
  #worker = new Worker('/md5-worker.js')
  #digest
  #size

  constructor (file) {
    this.#size = file.size
    this.#digest = new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => data.digest ? resolve(data.digest) : reject(new Unreadable(data.error))
      this.#worker.onerror = () => reject(new Error('The checksum could not be computed.'))
    })
    this.#digest.catch(() => {})
    this.#worker.postMessage({ file })
  }

  /** Hash the bytes up to `end`. Bytes that are done are not read again. */
  upTo (end) {
    this.#worker.postMessage({ upTo: end })
  }

  /** Lower-case hex. Throws {@link Unreadable}. */
  digest () {
    this.#worker.postMessage({ upTo: this.#size, digest: true })
    return this.#digest
  }

  close () {
    this.#worker.terminate()
  }
}
