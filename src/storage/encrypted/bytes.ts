import { type KeyObject, createCipheriv, createDecipheriv } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { ByteRange } from '../../upload.js'
import { StorageLost } from '../contract.js'
import { type Seal, chunkKey, newChunkKey } from './keys.js'
import { type ChunkPlace, type Grid, chunkAt, headerBytes, tagBytes } from './layout.js'

/** A file that is encrypted: AES-256-GCM, each segment by itself, a key for each chunk. */
export interface SealedFile {
  readonly id: string
  readonly seal: Seal
  readonly grid: Grid
}

/** Each key encrypts a segment of a number once, so that the number is nonce enough. */
function nonce (segment: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUIntBE(segment, 6, 6)
  return bytes
}

/**
 * Clear batches from `start`, the beginning of a chunk, as encrypted ones. A segment that is not whole when the bytes end is dropped,
 * unless it is the chunk's last one.
 * @param release told up to where the clear bytes are no longer needed
 */
export async function * encrypted (
  { id, seal, grid }: SealedFile, start: number, batches: AsyncIterable<readonly Uint8Array[]>, release: (end: number) => void
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  let position = start
  let place: ChunkPlace | undefined
  let key: Buffer = Buffer.alloc(0)
  let segment: Uint8Array[] = []
  let gathered = 0

  for await (const batch of batches) {
    const out: Uint8Array[] = []
    for (let bytes of batch) {
      while (bytes.length > 0) {
        if (place === undefined) {
          place = chunkAt(grid, position)
          const fresh = await newChunkKey(seal, id, place.index)
          key = fresh.key
          out.push(fresh.header)
        }
        const inChunk = position - place.start
        const number = Math.floor(inChunk / grid.segmentSize)
        const wanted = Math.min(grid.segmentSize, place.length - number * grid.segmentSize)
        const taken = bytes.subarray(0, wanted - gathered)
        bytes = bytes.subarray(taken.length)
        segment.push(taken)
        gathered += taken.length
        if (gathered < wanted) continue
        const cipher = createCipheriv('aes-256-gcm', key, nonce(number))
        for (const piece of segment) out.push(cipher.update(piece))
        cipher.final()
        out.push(cipher.getAuthTag())
        position += wanted
        segment = []
        gathered = 0
        if (position === place.start + place.length) place = undefined
      }
    }
    release(position)
    if (out.length > 0) yield out
  }
}

/**
 * The clear bytes of `range`, of which at most a segment is held.
 * @param read the stored bytes of a range
 * @throws {StorageLost} they are not those that were written
 */
export async function * decrypted (
  { id, seal, grid }: SealedFile, privateKey: KeyObject, [start, end]: ByteRange, read: (range: ByteRange) => Readable
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let position = start; position < end;) {
    const place = chunkAt(grid, position)
    const last = Math.min(end - place.start, place.length)
    const firstSegment = Math.floor((position - place.start) / grid.segmentSize)
    const endSegment = Math.ceil(last / grid.segmentSize)
    const body = place.storedStart + headerBytes
    const header = await whole(read([place.storedStart, body]))
    const key = chunkKey(privateKey, seal, { header, uploadId: id, index: place.index })
    const storedEnd = body + Math.min(endSegment * grid.segmentSize, place.length) + endSegment * tagBytes
    let number = firstSegment
    const storedSegment = grid.segmentSize + tagBytes
    for await (const stored of pieces(read([body + firstSegment * storedSegment, storedEnd]), storedSegment)) {
      const clear = open(key, number, stored)
      const from = place.start + number * grid.segmentSize
      yield clear.subarray(Math.max(0, position - from), Math.min(clear.length, end - from))
      number++
    }
    if (number < endSegment) throw new StorageLost(`Upload ${id} ends within chunk ${place.index}`)
    position = place.start + last
  }
}

function open (key: Buffer, segment: number, stored: Buffer): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(segment), { authTagLength: tagBytes })
    decipher.setAuthTag(stored.subarray(-tagBytes))
    const clear = decipher.update(stored.subarray(0, -tagBytes))
    decipher.final()
    return clear
  } catch (cause) {
    throw new StorageLost('The stored bytes are not those that were written', { cause })
  }
}

/** A stream cut into pieces of `size` bytes, and what is left. */
async function * pieces (stream: Readable, size: number): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = []
  let gathered = 0
  for await (const data of stream) {
    for (let bytes: Buffer = data; bytes.length > 0;) {
      const taken = bytes.subarray(0, size - gathered)
      parts.push(taken)
      gathered += taken.length
      bytes = bytes.subarray(taken.length)
      if (gathered < size) continue
      yield Buffer.concat(parts)
      parts = []
      gathered = 0
    }
  }
  if (gathered > 0) yield Buffer.concat(parts)
}

async function whole (stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const bytes of stream) parts.push(bytes)
  return Buffer.concat(parts)
}
