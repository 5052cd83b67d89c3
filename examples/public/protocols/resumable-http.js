import { encodeExtended } from '../format.js'
import { Refused, request } from '../request.js'

/**
 * Resumable Uploads for HTTP, the IETF's draft: an ordinary POST that says with Upload-Complete whether more follows, PATCH appends,
 * HEAD tells where to go on.
 */
export class ResumableHttp {
  #base

  constructor (base = '/resumable/') {
    this.#base = base
  }

  async create (file, end, options) {
    return await this.#send('POST', this.#base, file, 0, end, {
      headers: {
        'Upload-Length': file.size,
        'Content-Type': file.type || 'application/octet-stream',
        'Content-Disposition': `attachment; filename*=UTF-8''${encodeExtended(file.name)}`
      },
      answer: field => ({ id: field('Location'), offset: end === file.size ? end : Number(field('Upload-Offset')) }),
      ...options
    })
  }

  async append (id, file, start, end, options) {
    return await this.#send('PATCH', id, file, start, end, {
      headers: { 'Upload-Offset': start, 'Content-Type': 'application/partial-upload' },
      answer: field => end === file.size ? end : Number(field('Upload-Offset')),
      ...options
    })
  }

  async find (id, options) {
    try {
      return await request('HEAD', id, {
        answer: field => ({ offset: Number(field('Upload-Offset')), complete: field('Upload-Complete') === '?1' }),
        ...options
      })
    } catch (error) {
      if (error instanceof Refused && (error.status === 404 || error.status === 410)) return null
      throw error
    }
  }

  /** The last request said that it is the last one. */
  async complete () {}

  async remove (id, options) {
    await request('DELETE', id, options)
  }

  #send (method, url, file, start, end, { headers, ...options }) {
    return request(method, url, {
      ...options,
      body: file.slice(start, end),
      headers: { 'Upload-Complete': end === file.size ? '?1' : '?0', ...headers }
    })
  }
}
