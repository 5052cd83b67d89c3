import type { Readable } from 'node:stream'
import { BodyCut, BodyStalled } from '../errors.js'
import { watchStall } from './stall-watch.js'

/**
 * Gives `take` the data of a body, until it ends or `take` answers false: then the rest is left unread.
 * @param stallTimeout ms without a byte after which the client counts as gone; 0 for never
 * @throws {BodyCut} {@link BodyStalled}
 */
export async function readBody (body: Readable, stallTimeout: number, take: (data: Uint8Array) => boolean): Promise<void> {
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
    const onCut = (cause?: unknown): void => { reject(new BodyCut({ cause })) }
    body.on('data', onData).on('end', resolve).on('error', onCut).on('aborted', onCut).on('close', onCut)
    const unwatch = watchStall(body, stallTimeout, () => {
      leave()
      reject(new BodyStalled(stallTimeout))
    })
    if (body.readableEnded) resolve()
    else if (body.destroyed) onCut()
    // One that somebody has paused does not flow by a listener alone.
    else body.resume()
  })
}
