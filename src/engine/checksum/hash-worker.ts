import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import type { ChecksumState } from '../../upload.js'
import { Checksums } from './running-checksum.js'

/** A piece of work, one at a time: hash the file at `path` from `state.offset` to `to`, or the given `batch`. */
export interface HashTask {
  readonly algorithm: string
  readonly state: ChecksumState | null
  readonly source: { readonly path: string, readonly to: number } | { readonly batch: readonly Uint8Array[] }
}

/** The answer: the state after the last byte hashed; `code` names a failed read. */
export type HashAnswer =
  | { readonly state: ChecksumState }
  | { readonly error: string, readonly code?: string }

const READ_BYTES = 1024 * 1024
const checksums = new Checksums()

async function hash ({ algorithm, state, source }: HashTask): Promise<ChecksumState> {
  const running = await checksums.resume(algorithm, state)
  if ('batch' in source) {
    running.update(source.batch)
    return running.save()
  }
  const file = openSync(source.path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, source.to - running.offset)))
    while (running.offset < source.to) {
      const count = readSync(file, buffer, 0, Math.min(buffer.length, source.to - running.offset), running.offset)
      if (count === 0) break
      running.update([buffer.subarray(0, count)])
    }
  } finally {
    closeSync(file)
  }
  return running.save()
}

parentPort?.on('message', (task: HashTask) => {
  hash(task).then(
    (state): HashAnswer => ({ state }),
    ({ message, code }: NodeJS.ErrnoException): HashAnswer => ({ error: message, ...code !== undefined && { code } })
  ).then(answer => parentPort?.postMessage(answer), () => {})
})
