import { encodeExtended } from '../format.js'
import { Refused, request } from '../request.js'

/**
 * The plugin's default protocol: PUT with Content-Range for each chunk, POST with the file's MD5 at the end.
 * Every protocol of the page has these methods. `checksum` says when the file's MD5 is wanted: by the
 * first request or the last one; without it there is nothing to compare. `refusesEmpty`: its server takes no file without a byte.
 */
export class ContentRange {
  checksum = 'last'
  refusesEmpty = true
  #base

  /** `base`: where the plugin is mounted, with a final slash. */
  constructor (base = '/uploads/') {
    this.#base = base
  }

  /** Starts an upload with the bytes from 0 to `end`. */
  async create (file, end, options) {
    const { id, offset } = await this.#put(this.#base, file, 0, end, {
      ...options,
      headers: { 'Content-Disposition': `attachment; filename*=UTF-8''${encodeExtended(file.name)}` }
    })
    return { id, offset }
  }

  /** Sends the bytes from `start` to `end`; resolves with the new offset. */
  async append (id, file, start, end, options) {
    const { offset } = await this.#put(this.#url(id), file, start, end, options)
    return offset
  }

  /** How far the server is; null when it does not have this upload (any more). */
  async find (id, options) {
    try {
      const { offset, status, expires } = await request('GET', this.#url(id), options)
      if (status === 2) return { offset, complete: true }
      return expires !== null && Date.parse(expires) <= Date.now() ? null : { offset, complete: false }
    } catch (error) {
      if (error instanceof Refused && (error.status === 404 || error.status === 410)) return null
      throw error
    }
  }

  /** All bytes are there: asks the server to compare the checksum and keep the file. */
  async complete (id, checksum, options) {
    await request('POST', this.#url(id), {
      ...options,
      body: JSON.stringify({ md5: checksum }),
      headers: { 'Content-Type': 'application/json' }
    })
  }

  /** Throws the upload away. */
  async remove (id, options) {
    await request('DELETE', this.#url(id), options)
  }

  #url (id) {
    return `${this.#base}${encodeURIComponent(id)}`
  }

  #put (url, file, start, end, { headers, ...options }) {
    return request('PUT', url, {
      ...options,
      body: file.slice(start, end),
      headers: {
        ...headers,
        // A slice has lost its type. With a Content-Range of its length the body is a chunk, also of a JSON file.
        'Content-Type': file.type || 'application/octet-stream',
        'Content-Range': `bytes ${start}-${end - 1}/${file.size}`
      }
    })
  }
}
