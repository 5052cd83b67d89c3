import type { Readable } from 'node:stream'
import type { BodyPace } from '../../body-pace.js'
import { LengthMismatch } from '../../errors.js'
import { readBody } from './read-body.js'

interface LengthRules {
  /** How slowly the body may come. */
  readonly pace: BodyPace
  /** Up to how many bytes of it are read where `stored` of them have passed. */
  readonly most: (stored: number) => number
}

/**
 * Stores a body. Of one that is not as long as announced the rest is read too, to tell how long it is.
 * @throws {LengthMismatch} with the real length, or one above `most` {@link BodyCut} {@link BodyStalled}, and what `store` throws
 */
export async function tellingLength<T> (body: Readable, { pace, most }: LengthRules, store: () => Promise<T>): Promise<T> {
  let bytes = 0
  // Listening alone would let it flow before the reader is there.
  body.pause()
  body.on('data', (data: Uint8Array) => { bytes += data.length })
  try {
    return await store()
  } catch (error) {
    if (!(error instanceof LengthMismatch)) throw error
    const limit = most(bytes)
    if (bytes <= limit) await readBody(body, pace, () => bytes <= limit)
    throw new LengthMismatch(bytes, error.expected)
  }
}
