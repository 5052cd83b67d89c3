import type { Readable } from 'node:stream'
import type { ByteRange } from '../../upload.js'
import type { OpenTask, TaskContext } from './mount.js'

/** ms after which a chunk that was kept aside, and could be neither put in its place nor removed, is swept where tasks never expire. */
const ASIDE_TIME = 7 * 86_400_000

/** A chunk on its way to its place. */
export interface PlacedChunk {
  readonly task: OpenTask
  readonly range: ByteRange
  readonly body: Readable
}

/**
 * A chunk that is there already comes again. It is kept aside until it is whole, so that one which is cut or too long loses nothing; then
 * it takes the old one's place, if it differs. Of an encrypted file nothing can be compared, and nothing may be kept aside in clear: there
 * the old one stays.
 */
export async function replaceChunk (
  context: TaskContext, { task: { upload, state }, range, body }: PlacedChunk
): Promise<void> {
  if (state.encryption !== null) return
  const { engine, settings } = context.mount
  const expiresIn = settings.expirationDelta ?? ASIDE_TIME
  await engine.replaceBytes(await context.caller(), upload, { range, body, expiresIn })
}
