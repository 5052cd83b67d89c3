import { Readable } from 'node:stream'
import { type Caller, internalCaller } from '../../engine/index.js'
import { BodyCut, BodyStalled, QuotaExceeded, SizeLimitExceeded } from '../../errors.js'
import { offsetOf } from '../../upload.js'
import type { Mount } from './mount.js'

/** Bytes of a part that wait in memory for the fields that say where they belong. */
const MEMORY_BYTES = 256 * 1024

/** Where spooled parts go, and the ms after which one that was left behind expires. */
export type Spool = Pick<Mount, 'engine' | 'spoolExpiry'>

/** A part that was read before its place was known. */
export interface SpooledPart {
  /** Bytes. */
  readonly length: number
  /** Bytes that count in a quota until the part is discarded. */
  readonly counted: number
  open (): Readable
  /** Lets go of the bytes. Never throws: what cannot be removed now expires. */
  discard (): Promise<void>
}

/**
 * Reads a part to its end: small ones into memory, others into an upload of their own, in the same storage.
 * @throws {BodyCut} {@link BodyStalled} {@link SizeLimitExceeded} {@link QuotaExceeded} and what else a write throws; nothing is left then
 */
export async function spoolPart (mount: Spool, caller: Caller, body: Readable): Promise<SpooledPart> {
  const start: Buffer[] = []
  let length = 0
  try {
    for await (const data of body.iterator({ destroyOnReturn: false })) {
      start.push(data)
      length += start.at(-1)?.length ?? 0
      if (length > MEMORY_BYTES) break
    }
  } catch (cause) {
    throw cause instanceof BodyStalled ? cause : new BodyCut({ cause })
  }
  const bytes = Buffer.concat(start)
  if (length <= MEMORY_BYTES) {
    return { length, counted: 0, open: () => Readable.from([bytes], { objectMode: false }), discard: async () => {} }
  }
  body.unshift(bytes)
  return await intoStorage(mount, caller, body)
}

async function intoStorage ({ engine, spoolExpiry }: Spool, client: Caller, body: Readable): Promise<SpooledPart> {
  const caller = internalCaller(client)
  // There may be a place for it that is reserved. More than all that the user may have never has one.
  const { maxBytes, maxStored } = client
  const maxLength = maxStored ?? Infinity
  const created = await engine.create(caller, {
    filename: '',
    contentType: null,
    metadata: {},
    protocolState: {},
    size: null,
    chunkSize: null,
    checksum: null,
    expiresIn: spoolExpiry,
    oneRequest: true,
    serial: false
  })
  const discard = async (): Promise<void> => { await engine.remove(caller, created.id).catch(() => {}) }
  try {
    const { upload } = await engine.write(caller, created.id, { start: 0, body, atomic: true, maxLength })
    const length = offsetOf(upload)
    return { length, counted: length, open: () => engine.read(upload, [0, length]), discard }
  } catch (error) {
    await discard()
    const isOver = maxStored !== null &&
      (error instanceof QuotaExceeded || (error instanceof SizeLimitExceeded && maxStored < (maxBytes ?? Infinity)))
    throw isOver ? new QuotaExceeded(maxStored, maxStored + 1) : error
  }
}
