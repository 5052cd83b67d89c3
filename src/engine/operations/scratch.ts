import { Readable } from 'node:stream'
import { BodyCut, BodyStalled, QuotaExceeded, SizeLimitExceeded, UploadBusy } from '../../errors.js'
import { type ByteRange, type Upload, type UploadingUpload, offsetOf } from '../../upload.js'
import { sameBytes } from '../body/same-bytes.js'
import type { WriteRequest } from '../body/write-request.js'
import { type Caller, internalCaller, type UploadDraft } from '../caller.js'
import type { EngineContext } from '../context.js'
import { callAdapter } from '../call-adapter.js'
import { update } from './amend.js'
import { create } from './create.js'
import { current } from './read.js'
import { remove } from './remove.js'
import { replace } from './replace.js'
import { write } from './write.js'

/** Bytes of a body that wait in memory before they go to the storage. */
const MEMORY_BYTES = 256 * 1024

/** What a scratch upload is given; `expiresIn` in ms, null for never. */
export type ScratchDraft = Pick<UploadDraft, 'expiresIn'> & Partial<Pick<UploadDraft, 'filename' | 'contentType' | 'size' | 'oneRequest'>>

const EMPTY = {
  filename: '',
  contentType: null,
  metadata: {},
  protocolState: {},
  size: null,
  chunkSize: null,
  checksum: null,
  serial: false
} as const

/** Whose the bytes are, and how many there may be. */
export type ScratchOwner = Pick<Caller, 'user' | 'maxBytes' | 'maxStored'>

/** A body that was read before its place was known. */
export interface SpooledBody {
  /** Bytes. */
  readonly length: number
  /** Bytes that count in a quota until the body is discarded. */
  readonly counted: number
  open (): Readable
  /** Lets go of the bytes. Never throws: what cannot be removed now expires. */
  discard (): Promise<void>
}

/**
 * Uploads that only serve others of a mount, such as a part whose place is not known yet. They are unknown to the mount's clients, do not
 * count as open ones, and the host is neither asked nor told of them. Their bytes count in their owner's quota. Where no owner is named it
 * is the caller that they were asked for; its quota holds twice over, as the bytes have a place of their own there.
 */
export interface ScratchUploads {
  /** Makes an empty one. @throws {SizeLimitExceeded} {@link QuotaExceeded} */
  create (draft: ScratchDraft, owner?: ScratchOwner): Promise<Upload>
  /** Stores a body in a scratch upload. @throws as a write */
  write (id: string, request: WriteRequest, owner?: ScratchOwner): Promise<Upload>
  /** @throws {UploadNotFound} also for uploads that are not scratch ones */
  get (id: string): Promise<Upload>
  /** Lets the upload stay until it is removed. @throws {UploadNotFound} */
  keep (id: string): Promise<Upload>
  /** @throws {UploadNotFound} {@link UploadGone} */
  remove (id: string): Promise<void>
  /** All of the mount's. */
  list (): AsyncGenerator<Upload, void, undefined>
}

export function scratchUploads (context: EngineContext, client: Caller): ScratchUploads {
  const { records } = context
  const caller = internalCaller(client)
  return {
    create: async (draft, owner) => await create(context, { ...caller, ...owner }, { ...EMPTY, ...draft }),
    write: async (id, request, owner) => (await write(context, { ...caller, ...owner }, id, request)).upload,
    get: async id => await current(context, await records.get(caller, id)),
    keep: async id => await update(context, caller, id, () => ({ expiresAt: null })),
    remove: async id => { await remove(context, caller, id, {}) },
    list: () => records.every({ protocol: caller.protocol ?? '', internal: true, status: 'uploading' })
  }
}

/**
 * Reads a body to its end: a small one into memory, another into a scratch upload in the same storage.
 * @param expiresIn ms after which one that was left there expires
 * @throws {BodyCut} {@link BodyStalled} {@link SizeLimitExceeded} {@link QuotaExceeded} and what else a write throws; nothing is left then
 */
export async function spool (context: EngineContext, client: Caller, body: Readable, expiresIn: number): Promise<SpooledBody> {
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
  return await intoStorage(context, client, body, expiresIn)
}

async function intoStorage (context: EngineContext, client: Caller, body: Readable, expiresIn: number): Promise<SpooledBody> {
  const scratch = scratchUploads(context, client)
  // There may be a place for it that is reserved. More than all that the user may have never has one.
  const { maxBytes, maxStored } = client
  const maxLength = maxStored ?? Infinity
  const { id } = await scratch.create({ expiresIn, oneRequest: true })
  const discard = async (): Promise<void> => { await scratch.remove(id).catch(() => {}) }
  try {
    const upload = await scratch.write(id, { start: 0, body, atomic: true, maxLength })
    const length = offsetOf(upload)
    return { length, counted: length, open: () => context.storage.read(upload, [0, length]), discard }
  } catch (error) {
    await discard()
    const isOver = maxStored !== null &&
      (error instanceof QuotaExceeded || (error instanceof SizeLimitExceeded && maxStored < (maxBytes ?? Infinity)))
    throw isOver ? new QuotaExceeded(maxStored, maxStored + 1) : error
  }
}

/** Bytes that are to take the place of others. */
export interface Replacement {
  readonly range: ByteRange
  /** Must have as many bytes as the range. */
  readonly body: Readable
  /** ms after which what was kept aside, and could be neither put in its place nor removed, is swept. */
  readonly expiresIn: number
}

/**
 * Puts a body in the place of stored bytes, if it differs from them. It is kept aside until it is whole, so that one which is cut or too
 * long loses nothing.
 * @throws {UploadBusy} no room for it now, and as a write and a replacement
 */
export async function replaceBytes (
  context: EngineContext, caller: Caller, upload: UploadingUpload, { range: [start, end], body, expiresIn }: Replacement
): Promise<void> {
  const scratch = scratchUploads(context, caller)
  const length = end - start
  const { filename } = upload
  const { id } = await scratch.create({ filename, size: length, expiresIn }).catch((error: unknown) => {
    // Bodies that are kept aside at the same time have it, for a moment.
    throw error instanceof QuotaExceeded ? new UploadBusy({ cause: error }) : error
  })
  let handedOver = false
  try {
    const aside = await scratch.write(id, { start: 0, length, body, atomic: true })
    // What is just being replaced is neither old nor new: nothing can be equal to it.
    const isSame = async (): Promise<boolean> => {
      return await sameBytes(context.storage.read(upload, [start, end]), context.storage.read(aside, [0, length]))
    }
    if (upload.replacing === undefined && await callAdapter(isSame)) return
    handedOver = true
    await replace(context, caller, upload.id, { start, aside })
  } finally {
    if (!handedOver) await scratch.remove(id).catch(() => {})
  }
}
