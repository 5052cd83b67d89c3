import type { ByteRange } from '../../upload.js'

/** Bytes in front of each chunk: the public half of the key pair that was made for it. */
export const headerBytes = 32
/** Bytes after each segment: its authentication tag. */
export const tagBytes = 16

/** The size of things: of a file, of its chunks, and of the segments that they are encrypted in. All in clear bytes. */
export interface Grid {
  readonly size: number
  readonly chunkSize: number
  readonly segmentSize: number
}

/** One chunk, in clear bytes and where it is stored. */
export interface ChunkPlace {
  readonly index: number
  readonly start: number
  readonly length: number
  readonly storedStart: number
}

/** Stored bytes of `length` clear ones, which begin a chunk. */
function storedLength (length: number, { segmentSize }: Grid): number {
  return length === 0 ? 0 : headerBytes + length + Math.ceil(length / segmentSize) * tagBytes
}

/** Stored bytes of a full chunk: the distance between two of them. */
export function stride (grid: Grid): number {
  return storedLength(grid.chunkSize, grid)
}

/** Where a clear byte that begins a chunk, or ends the file, is stored. */
export function storedOffset (grid: Grid, offset: number): number {
  const chunks = Math.floor(offset / grid.chunkSize)
  return chunks * stride(grid) + storedLength(offset - chunks * grid.chunkSize, grid)
}

/** The end of the last clear chunk of which all is stored before `stored`; a chunk that is not whole does not count. */
export function clearOffset (grid: Grid, stored: number): number {
  if (stored >= storedOffset(grid, grid.size)) return grid.size
  return Math.floor(stored / stride(grid)) * grid.chunkSize
}

/** Whole chunks of a clear range, as they are stored. */
export function storedRanges (grid: Grid, ranges: readonly ByteRange[]): readonly ByteRange[] {
  return ranges.flatMap(([start, end]): ByteRange[] => {
    const first = Math.ceil(start / grid.chunkSize) * grid.chunkSize
    const last = end >= grid.size ? grid.size : Math.floor(end / grid.chunkSize) * grid.chunkSize
    return first < last ? [[storedOffset(grid, first), storedOffset(grid, last)]] : []
  })
}

export function chunkAt (grid: Grid, offset: number): ChunkPlace {
  const index = Math.floor(offset / grid.chunkSize)
  const start = index * grid.chunkSize
  return { index, start, length: Math.min(grid.chunkSize, grid.size - start), storedStart: index * stride(grid) }
}
