import { Refused, request } from '../request.js'
import { nap } from '../retry.js'

/** ms in which a body that was whole when its request was aborted is stored. */
const STORED_AFTER = 1000

/**
 * Raw bodies, appended one after the other to a video that has a number and no end. A repeat would be appended twice, so that every
 * try asks first how long the video is.
 */
export class RawAppend {
  /** A video without a byte is there for appending alone: it can be neither seen nor downloaded. */
  refusesEmpty = true
  #base

  constructor (base = '/') {
    this.#base = base
  }

  async create (_file, _end, options) {
    const { video_id: id } = await request('POST', `${this.#base}create_video/`, options)
    return { id: String(id), offset: 0 }
  }

  async append (id, file, start, end, options) {
    await request('POST', `${this.#base}append_video/${id}/`, {
      ...options,
      body: file.slice(start, end),
      headers: { 'Content-Type': 'application/octet-stream' }
    })
    return end
  }

  /**
   * The length of the video is where to go on, once it stays the same: the server may still be storing a body whose request was
   * aborted, and the wire has no offset by which it could refuse the same bytes again.
   */
  async find (id, options) {
    let before = await this.#length(id, options)
    while (before !== null) {
      await nap(STORED_AFTER, options.signal).over
      const now = await this.#length(id, options)
      if (now?.offset === before.offset) break
      before = now
    }
    return before
  }

  async #length (id, options) {
    try {
      const offset = await request('HEAD', `${this.#base}get_video/${id}/`, { ...options, answer: field => Number(field('Content-Length')) })
      return { offset, complete: false }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      if (error.status === 400) return { offset: 0, complete: false } // there is such a video, and nothing in it
      if (error.status === 404) return null
      throw error
    }
  }

  /** A video is never complete. */
  async complete () {}

  /** The wire cannot. */
  async remove () {}
}
