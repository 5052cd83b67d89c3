import type { Readable } from 'node:stream'
import { type BodyPace, PaceWatch } from '../../body-pace.js'

/**
 * Watches a body that flows: `onLate` hears, once, that it comes too slowly. A body that is paused waits for its reader, not for its
 * client, unless `isWanted` knows better.
 * @returns ends the watch
 */
export function watchPace (body: Readable, pace: BodyPace, onLate: (error: Error) => void, isWanted = (): boolean => false): () => void {
  const watch = new PaceWatch(pace, error => {
    stop()
    onLate(error)
  }, () => body.isPaused() && !isWanted())
  const onData = ({ length }: Uint8Array): void => { watch.took(length) }
  const onPause = (): void => { watch.pause() }
  const onResume = (): void => { watch.resume() }
  const stop = (): void => {
    watch.stop()
    body.off('data', onData).off('pause', onPause).off('resume', onResume).off('end', stop).off('close', stop)
  }
  if (body.isPaused()) watch.pause()
  body.on('data', onData).on('pause', onPause).on('resume', onResume).on('end', stop).on('close', stop)
  return stop
}
