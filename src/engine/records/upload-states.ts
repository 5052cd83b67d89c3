import { UploadComplete, UploadExpired, UploadGone } from '../../errors.js'
import { type CompleteUpload, type Upload, type UploadingUpload, isExpired } from '../../upload.js'

/**
 * @param late true where expiry no longer counts, as the bytes were there in time
 * @throws {UploadComplete} {@link UploadExpired} {@link UploadGone}
 */
export function assertUploading (upload: Upload, late = false): asserts upload is UploadingUpload {
  if (upload.status === 'complete') throw new UploadComplete()
  if (upload.status === 'removed') throw upload.reason === 'expired' ? new UploadExpired() : new UploadGone()
  if (!late && isExpired(upload, Date.now())) throw new UploadExpired()
}

/**
 * Of a complete upload too: a part of a file has its time.
 * @throws {UploadExpired} {@link UploadGone}
 */
export function assertThere (upload: Upload): asserts upload is UploadingUpload | CompleteUpload {
  if (upload.status !== 'complete') assertUploading(upload)
  else if (isExpired(upload, Date.now())) throw new UploadExpired()
}

/** The record as one that is being uploaded, whether or not its time is over. @throws as {@link assertUploading} */
export function asUploading (upload: Upload): UploadingUpload {
  assertUploading(upload, true)
  return upload
}
