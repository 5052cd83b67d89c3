import { LengthMismatch } from '../../errors.js'
import { isMisread } from '../../http/body/form.js'
import type { Upload } from '../../upload.js'
import type { ContentRangeContext } from './mount.js'
import { refuse } from './errors.js'
import { type ChunkRange, parseContentRange } from './range-header.js'
import { type Chunk, storeTellingLength } from './request-chunk.js'

/** Stores a chunk of an upload that is there already. */
export async function storeNext (
  context: ContentRangeContext, id: string, chunk: Chunk, range: ChunkRange | undefined
): Promise<Upload> {
  const { engine, settings } = context.mount
  const caller = await context.caller()
  const length = range?.length ?? chunk.length
  const { upload } = await storeTellingLength(chunk, async () => await engine.write(caller, id, {
    start: range?.start ?? 0,
    body: chunk.body,
    atomic: chunk.atomic,
    ...length !== undefined && { length },
    ...range !== undefined && settings.requireComplete && { size: range.total },
    check: () => { if (range !== undefined) engine.checkSize(caller, range.total) }
  }))
  // What may be wrong with the rest of the form does not change that the chunk is stored, but no file may get lost in silence.
  await chunk.finish().catch((error: unknown) => { if (isMisread(error)) throw error })
  return upload
}

/**
 * Where the request's chunk stands in its file; undefined for the whole file.
 * @throws {Refusal} {@link SizeLimitExceeded} {@link LengthMismatch}
 */
export async function rangeOf (
  context: ContentRangeContext, chunk: Chunk, next: boolean
): Promise<ChunkRange | undefined> {
  const { mount: { engine, settings }, request } = context
  const caller = await context.caller()
  const late = next && !settings.dialect.checksLimitFirst
  const range = parseContentRange(request.headers['content-range'], total => { engine.checkSize(caller, total) }, late)
  if (range === undefined && settings.requireContentRange) throw refuse('Error in request headers')
  if (range !== undefined && (range.length < 0 || (chunk.length ?? range.length) !== range.length)) {
    await storeTellingLength(chunk, () => Promise.reject(new LengthMismatch(0, range.length)))
  }
  return range
}
