import { Refused, request } from '../request.js'

/**
 * Chunks as multipart forms, appended one after the other. The form field `offset` says where a chunk starts, so that one which is
 * sent again after a lost answer is not appended twice.
 */
export class FormAppend {
  #base

  constructor (base = '/api/') {
    this.#base = base
  }

  async create (file, end, options) {
    const { upload_id: id, offset } = await this.#send({ file: [typedSlice(file, 0, end), file.name], filename: file.name }, options)
    return { id, offset }
  }

  async append (id, file, start, end, options) {
    const { offset } = await this.#send({ upload_id: id, offset: [start], file: [typedSlice(file, start, end), file.name] }, options)
    return offset
  }

  /** The wire has no question for it. But an empty chunk for the place 0, which is there already, is answered with the record. */
  async find (id, options) {
    try {
      const { offset } = await this.#send({ upload_id: id, offset: [0], file: [new Blob(), 'nothing'] }, options)
      return { offset, complete: false }
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) throw error
      const videos = await request('GET', `${this.#base}videos/`, options)
      const video = videos.find(({ upload_id: uploadId }) => uploadId === id)
      return video === undefined ? null : { offset: video.offset, complete: true }
    }
  }

  async complete (id, _checksum, options) {
    await request('POST', `${this.#base}upload/complete/`, {
      ...options,
      body: JSON.stringify({ upload_id: id }),
      headers: { 'Content-Type': 'application/json' }
    })
  }

  /** The wire cannot: the server forgets the upload in its own time. */
  async remove () {}

  /** `fields`: text, or the arguments of FormData.append after the name. */
  #send (fields, options) {
    const body = new FormData()
    for (const [name, value] of Object.entries(fields)) body.append(name, ...[value].flat())
    return request('POST', `${this.#base}upload/`, { ...options, body })
  }
}

/** A slice has no type unless it is told: a server that takes some types only would refuse it. */
function typedSlice (file, start, end) {
  return file.slice(start, end, file.type)
}
