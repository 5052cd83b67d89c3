import type { Readable } from 'node:stream'
import type { BodyPace } from '../../body-pace.js'
import { BodyCut, BodyStalled } from '../../errors.js'
import { watchPace } from './stall-watch.js'

/**
 * Gives `take` the data of a body, until it ends or `take` answers false: then the rest is left unread.
 * @throws {BodyCut} {@link BodyStalled}
 */
export async function readBody (body: Readable, pace: BodyPace, take: (data: Uint8Array) => boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const leave = (): void => {
      unwatch()
      body.off('data', onData).pause()
    }
    const onData = (data: Uint8Array): void => {
      if (take(data)) return
      leave()
      resolve()
    }
    const onCut = (cause?: unknown): void => { reject(cause instanceof BodyStalled ? cause : new BodyCut({ cause })) }
    body.on('data', onData).on('end', resolve).on('error', onCut).on('aborted', onCut).on('close', onCut)
    const unwatch = watchPace(body, pace, error => {
      leave()
      reject(error)
    })
    if (body.readableEnded) resolve()
    else if (body.destroyed) onCut()
    // A paused stream does not flow by a listener alone.
    else body.resume()
  })
}
