import type { Readable } from 'node:stream'

/**
 * Watches a body that flows: `onStall` hears, once, that nothing has come for `timeout` ms. A body that is paused waits for its reader, not
 * for its client, unless `isWanted` knows better.
 * @param timeout ms; 0 for no limit
 * @returns ends the watch
 */
export function watchStall (body: Readable, timeout: number, onStall: () => void, isWanted = (): boolean => false): () => void {
  if (timeout === 0) return () => {}
  const timer = setTimeout(() => {
    if (body.isPaused() && !isWanted()) timer.refresh()
    else {
      stop()
      onStall()
    }
  }, timeout).unref()
  const onData = (): void => { timer.refresh() }
  const stop = (): void => {
    clearTimeout(timer)
    body.off('data', onData).off('end', stop).off('close', stop)
  }
  body.on('data', onData).on('end', stop).on('close', stop)
  return stop
}
