import type { Upload } from './client.js'
import type { Peer } from './server-process.js'

/** What one peer needed for one kind of work: the best of several rounds, as noise only ever adds. */
export interface Figures {
  readonly mibPerSecond: number
  readonly cpuSecondsPerGib: number
  readonly peakMib: number
}

export interface Contender {
  /** A server of its own; undefined when there is none on this machine. */
  readonly start: () => Promise<Peer | undefined>
  readonly upload: Upload
}

const MIB = 2 ** 20

/**
 * Sends a file of `size` bytes to each contender in turn, `rounds` times, after a small one to warm up. Each round has servers of its own:
 * the garbage collector falls into one of two rhythms when a process starts, and stays there; the worse one costs half as much again.
 */
export async function race (contenders: readonly Contender[], size: number, rounds: number): Promise<Figures[]> {
  const figures = contenders.map(() => ({ mibPerSecond: 0, cpuSecondsPerGib: Infinity, peakMib: 0 }))
  for (let round = 0; round < rounds; round++) {
    for (const [index, { start, upload }] of contenders.entries()) {
      const best = figures[index]
      const peer = await start()
      if (best === undefined || peer === undefined) continue
      await (await upload(peer.port, 64 * MIB)).remove()
      const before = await peer.usage()
      const { seconds } = await upload(peer.port, size)
      const after = await peer.usage()
      await peer.stop()
      best.mibPerSecond = Math.max(best.mibPerSecond, size / MIB / seconds)
      best.cpuSecondsPerGib = Math.min(best.cpuSecondsPerGib, (after.cpuSeconds - before.cpuSeconds) / (size / MIB / 1024))
      best.peakMib = Math.max(best.peakMib, after.peakMiB)
    }
  }
  return figures
}

/** Runs `work` `count` times, `parallel` at once. @returns how many a second */
export async function perSecond (
  count: number, parallel: number, work: (worker: number, turn: number) => Promise<unknown>
): Promise<number> {
  const start = performance.now()
  await Promise.all(Array.from({ length: parallel }, async (_, worker) => {
    for (let turn = 0; turn < count / parallel; turn++) await work(worker, turn)
  }))
  return count / ((performance.now() - start) / 1000)
}
