import type { Readable } from 'node:stream'
import { callAdapter, internalCaller } from '../../engine/index.js'
import { QuotaExceeded, UploadBusy } from '../../errors.js'
import type { ByteRange } from '../../upload.js'
import type { Caller } from '../contract.js'
import type { Mount, OpenTask } from './mount.js'

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
  { uploads: { engine }, settings }: Mount, caller: Caller, { task: { upload, state }, range: [start, end], body }: PlacedChunk
): Promise<void> {
  if (state.encryption !== null) return
  const length = end - start
  const inner = internalCaller(caller)
  const { id } = await engine.create(inner, {
    filename: upload.filename,
    contentType: null,
    metadata: {},
    protocolState: {},
    size: length,
    chunkSize: null,
    checksum: null,
    expiresIn: settings.expirationDelta ?? ASIDE_TIME,
    serial: false
  }).catch((error: unknown) => {
    // Chunks that are kept aside at the same time have it, for a moment.
    throw error instanceof QuotaExceeded ? new UploadBusy({ cause: error }) : error
  })
  let handedOver = false
  try {
    const { upload: aside } = await engine.write(inner, id, { start: 0, length, body, atomic: true })
    // What is just being replaced is neither the old chunk nor the new one: nothing can be equal to it.
    const isSame = async (): Promise<boolean> => await sameBytes(engine.read(upload, [start, end]), engine.read(aside, [0, length]))
    if (upload.replacing === undefined && await callAdapter(isSame)) return
    handedOver = true
    await engine.replace(caller, upload.id, start, aside)
  } finally {
    if (!handedOver) await engine.remove(inner, id).catch(() => {})
  }
}

/** Whether two streams of equal length have the same bytes. */
async function sameBytes (one: Readable, other: Readable): Promise<boolean> {
  // It may fail before it is asked for its first bytes.
  other.on('error', () => {})
  try {
    const others = other[Symbol.asyncIterator]()
    let rest: Uint8Array = new Uint8Array()
    for await (const bytes of one) {
      for (let left: Uint8Array = bytes; left.length > 0;) {
        if (rest.length === 0) {
          const next: IteratorResult<Uint8Array> = await others.next()
          if (next.done === true) return false
          rest = next.value
        }
        const length = Math.min(left.length, rest.length)
        if (Buffer.compare(left.subarray(0, length), rest.subarray(0, length)) !== 0) return false
        left = left.subarray(length)
        rest = rest.subarray(length)
      }
    }
    return true
  } finally {
    one.destroy()
    other.destroy()
  }
}
