import { OffsetMismatch, TakenOver, UploadComplete, UploadNotFound } from '../../errors.js'
import { cleanFileName } from '../../file-name.js'
import { type Upload, offsetOf } from '../../upload.js'
import { emptyFile, refuse } from './errors.js'
import { earlyName, lateName } from './file-name.js'
import type { ContentRangeContext } from './mount.js'
import type { ChunkRange } from './range-header.js'
import { type Chunk, storeTellingLength } from './request-chunk.js'

/** What a new upload does once its first bytes are stored and the form is read. */
type Then<T> = (upload: Upload) => Promise<T>

/**
 * Makes an upload with its first bytes; when anything fails, nothing of it is left.
 * @param range where the chunk stands; undefined takes the chunk as the whole file
 */
export async function storeFirst<T> (
  context: ContentRangeContext, chunk: Chunk, range: ChunkRange | undefined, then: Then<T>
): Promise<T> {
  const { mount } = context
  const { engine, settings } = mount
  const caller = await context.caller()
  if (range !== undefined && range.start !== 0) throw new OffsetMismatch(0, range.start)
  if (mount.lacksUser(caller)) throw refuse('Upload requires user authentication but user cannot be determined')
  const nameKnown = chunk.fields.has('filename')
  const told = earlyName(chunk)
  const filename = cleanFileName(told)
  const { contentType, contentEncoding } = chunk
  const { id } = await engine.create(caller, {
    filename: told,
    contentType,
    metadata: contentEncoding === '' ? {} : { contentEncoding },
    protocolState: {},
    size: range === undefined ? chunk.length ?? null : settings.requireComplete ? range.total : null,
    chunkSize: null,
    checksum: settings.checksum === false ? null : { algorithm: settings.checksum, value: null },
    expiresIn: settings.expirationDelta,
    oneRequest: range === undefined,
    serial: false
  })
  try {
    const length = range?.length ?? chunk.length
    const { upload } = await storeTellingLength(chunk, async () => await engine.write(caller, id, {
      start: 0, body: chunk.body, atomic: chunk.atomic, ...length !== undefined && { length }
    }))
    if (offsetOf(upload) === 0) throw emptyFile()
    await chunk.finish()
    const late = lateName(chunk, nameKnown, settings.requireFilename)
    // The host may have given it another name, which stays.
    const isLate = late !== undefined && cleanFileName(late) !== filename && upload.filename === filename
    return await then(isLate ? await engine.amend(caller, id, { filename: late }) : upload)
  } catch (error) {
    if (!(error instanceof TakenOver)) await takeBack(context, id, !chunk.atomic)
    throw error
  }
}

/** Removes what a failed request has begun. Of a raw body that was cut, stored bytes stay if its user can find the upload again. */
async function takeBack (context: ContentRangeContext, id: string, keepsBytes: boolean): Promise<void> {
  const caller = await context.caller()
  const findable = caller.user !== null || !caller.restricted
  const onRemove = async (upload: Upload): Promise<void> => {
    if (upload.status === 'complete' || (keepsBytes && findable && offsetOf(upload) > 0)) throw new UploadComplete()
  }
  await context.mount.engine.remove({ ...caller, hooks: { onRemove } }, id).catch((error: unknown) => {
    if (error instanceof UploadComplete || error instanceof UploadNotFound) return
    context.request.log.warn({ err: error, upload: id }, 'a failed upload could not be removed; it is left to the sweeper')
  })
}
