import { isDeepStrictEqual } from 'node:util'
import type { Upload, UploadingUpload } from '../../upload.js'
import type { Caller, UploadDraft } from '../caller.js'
import type { EngineContext, Held } from '../context.js'
import { checkDraft, draftOf, withCleanName } from '../records/new-upload.js'
import { asUploading, assertUploading } from '../records/upload-states.js'

/** What a client may tell of an upload that is there. */
export type Told = Partial<Pick<UploadDraft, 'filename' | 'protocolState' | 'size'>>

/** What a protocol may change of an upload in any state. */
export type ProtocolChange = (upload: Upload) => Partial<Pick<Upload, 'protocolState' | 'expiresAt'>>

/** Changes what the protocol keeps with an upload. */
export async function update ({ records }: EngineContext, caller: Caller, id: string, change: ProtocolChange): Promise<Upload> {
  const known = await records.get(caller, id)
  return await records.update(id, current => ({ ...current, ...change(current) }), known)
}

/** Changes what a draft said of an unfinished upload, as its client tells it only now. */
export async function amend (context: EngineContext, caller: Caller, id: string, told: Omit<Told, 'size'>): Promise<Upload> {
  const upload = await context.records.get(caller, id)
  assertUploading(upload)
  return await amendHeld(context, { caller, upload }, told)
}

/**
 * Puts to the host what a client tells of an upload only now, and stores what the host makes of it. The size is only asked about: it is
 * saved with the bytes.
 * @throws {SizeLimitExceeded} {@link UploadComplete} {@link UploadGone} and what `onCreate` throws
 */
export async function amendHeld (
  { storage, records }: EngineContext, { caller, upload }: Pick<Held, 'caller' | 'upload'>, told: Told
): Promise<UploadingUpload> {
  const wanted = withCleanName({ ...draftOf(upload), ...told })
  checkDraft(storage, caller, wanted)
  const draft = await caller.hooks.onCreate?.(wanted, upload) ?? wanted
  checkDraft(storage, caller, draft)
  const { filename, contentType, metadata, protocolState } = draft
  const changes = {
    ...filename !== upload.filename && { filename },
    ...contentType !== upload.contentType && { contentType },
    ...!isDeepStrictEqual(metadata, upload.metadata) && { metadata },
    ...!isDeepStrictEqual(protocolState, upload.protocolState) && { protocolState }
  }
  if (Object.keys(changes).length === 0) return upload
  return asUploading(await records.update(upload.id, current => ({ ...asUploading(current), ...changes }), upload))
}
