import { Refused, request } from '../request.js'

/** tus 1.0.0: POST makes an upload and brings its first bytes, PATCH appends, HEAD tells where to go on. */
export class Tus {
  #base

  constructor (base = '/tus/') {
    this.#base = base
  }

  async create (file, end, options) {
    return await this.#send('POST', this.#base, file, 0, end, {
      headers: {
        'Upload-Length': file.size,
        'Upload-Metadata': `filename ${base64(file.name)},filetype ${base64(file.type)}`
      },
      answer: field => ({ id: field('Location'), offset: Number(field('Upload-Offset')) }),
      ...options
    })
  }

  async append (id, file, start, end, options) {
    return await this.#send('PATCH', id, file, start, end, {
      headers: { 'Upload-Offset': start },
      answer: field => Number(field('Upload-Offset')),
      ...options
    })
  }

  async find (id, options) {
    try {
      return await request('HEAD', id, {
        headers: { 'Tus-Resumable': '1.0.0' },
        answer: field => ({ offset: Number(field('Upload-Offset')), complete: field('Upload-Offset') === field('Upload-Length') }),
        ...options
      })
    } catch (error) {
      if (error instanceof Refused && [403, 404, 410].includes(error.status)) return null
      throw error
    }
  }

  /** The last byte completes the upload. */
  async complete () {}

  async remove (id, options) {
    await request('DELETE', id, { headers: { 'Tus-Resumable': '1.0.0' }, ...options })
  }

  #send (method, url, file, start, end, { headers, ...options }) {
    return request(method, url, {
      ...options,
      body: file.slice(start, end),
      headers: { 'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream', ...headers }
    })
  }
}

/** The base64 of the text's UTF-8. */
function base64 (text) {
  return btoa(String.fromCodePoint(...new TextEncoder().encode(text)))
}
