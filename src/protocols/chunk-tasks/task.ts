import { covers, missingRanges } from '../../engine/index.js'
import { type ByteRange, type JsonObject, type Upload, isExpired } from '../../upload.js'
import { badRequest, notFound } from './refusals.js'

/** What the contract keeps with an upload, as it stands in the record's `protocolState`. */
export type TaskState = JsonObject & {
  readonly hash: string
  readonly pool_id: string | null
  readonly bundle_id: string | null
  /** ISO 8601: when the finished file expires. */
  readonly expired_at: string | null
  /** What the storage encrypts with; null for a file in clear. */
  readonly encryption: JsonObject | null
}

/** @throws {TaskRefusal} the host has overwritten it */
export function taskStateOf ({ protocolState }: Upload): TaskState {
  if (Object.keys(protocolState).length === 0) throw notFound('Upload task metadata')
  if (!isTaskState(protocolState)) throw badRequest('Invalid task metadata.')
  return protocolState
}

export function isTaskState (state: JsonObject): state is TaskState {
  return typeof state['hash'] === 'string' && isTextOrNull(state['pool_id']) && isTextOrNull(state['bundle_id']) &&
    isTextOrNull(state['expired_at']) && typeof state['encryption'] === 'object'
}

/** False where the host has overwritten what the contract keeps with a task. */
export function isTask ({ protocolState }: Upload): boolean {
  return isTaskState(protocolState)
}

function isTextOrNull (value: unknown): boolean {
  return value === null || typeof value === 'string'
}

/** Bytes of an upload, which this contract always knows; 0 for one that came whole and was never finished. */
export function sizeOf ({ size }: Upload): number {
  return size ?? 0
}

/** Bytes of a chunk. */
export function chunkSizeOf (upload: Upload): number {
  return upload.chunkSize ?? Math.max(1, sizeOf(upload))
}

export function chunksCount (upload: Upload): number {
  return Math.ceil(sizeOf(upload) / chunkSizeOf(upload))
}

/** The bytes of a chunk, undefined for one that the file does not have. */
export function chunkRange (upload: Upload, index: number): ByteRange | undefined {
  if (!Number.isSafeInteger(index) || index < 0 || index >= chunksCount(upload)) return undefined
  const start = index * chunkSizeOf(upload)
  return [start, Math.min(start + chunkSizeOf(upload), sizeOf(upload))]
}

/** Whether the chunk of these bytes is there as a whole. */
export function hasChunk (upload: Upload, range: ByteRange): boolean {
  return covers(upload.received, range)
}

/** Indexes of the chunks that are there as a whole, as ranges: without regard to how many chunks they are. */
function wholeChunks (upload: Upload): ByteRange[] {
  const chunk = chunkSizeOf(upload)
  return upload.received.map(([start, end]): ByteRange => {
    const first = Math.ceil(start / chunk)
    return [first, Math.max(first, end >= sizeOf(upload) ? chunksCount(upload) : Math.floor(end / chunk))]
  })
}

/** Indexes of the chunks that are there. */
export function uploadedChunks (upload: Upload): number[] {
  return wholeChunks(upload).flatMap(([first, end]) => Array.from({ length: end - first }, (_, index) => first + index))
}

/** How many chunks are there. */
export function countUploaded (upload: Upload): number {
  return wholeChunks(upload).reduce((sum, [first, end]) => sum + end - first, 0)
}

/** Indexes of the chunks that lack at least one byte, at most `most` of them. */
export function missingChunks (upload: Upload, most: number): number[] {
  const chunk = chunkSizeOf(upload)
  const missing: number[] = []
  for (const [start, end] of missingRanges(upload.received, sizeOf(upload))) {
    let index = Math.max(Math.floor(start / chunk), (missing.at(-1) ?? -1) + 1)
    for (; index * chunk < end && missing.length < most; index++) missing.push(index)
  }
  return missing
}

/** 0 to 100. */
export function progressOf (upload: Upload): number {
  if (upload.status === 'complete') return 100
  const all = chunksCount(upload)
  return all === 0 ? 0 : countUploaded(upload) / all * 100
}

/** Numbers as the contract sends them; `Pending` and `Paused` have no meaning here. */
export const taskStatus = { InProgress: 1, Completed: 3, Failed: 4, Cancelled: 5, Expired: 6 } as const
type TaskStatus = typeof taskStatus[keyof typeof taskStatus]

export function statusOf (upload: Upload): TaskStatus {
  if (upload.status === 'complete') return taskStatus.Completed
  if (upload.status === 'removed') {
    if (upload.reason === 'removed') return taskStatus.Cancelled
    return upload.reason === 'expired' ? taskStatus.Expired : taskStatus.Failed
  }
  return isExpired(upload, Date.now()) ? taskStatus.Expired : taskStatus.InProgress
}

export function isoTime (ms: number): string {
  return new Date(ms).toISOString()
}
