import type { EventEmitter } from 'node:events'
import type { CompleteUpload, RemovalReason, Upload } from '../upload.js'

/** What happened, after it happened. */
export interface UploadEvents {
  create: [upload: Upload]
  /** Bytes were saved: after each body, and every few seconds or 64 MiB within one. */
  progress: [upload: Upload]
  complete: [upload: CompleteUpload]
  /** Bytes and mostly the record too are gone. */
  remove: [upload: Upload, reason: RemovalReason]
  /**
   * Acknowledged bytes are gone, by a truncation or a power cut: `upload` is what is left of the record, `before` what it said. Of a
   * complete file nothing counts any more: it is `removed` with the reason `lost`, and a `remove` follows.
   */
  lost: [upload: Upload, before: Upload]
}

/** Tells listeners of the host what happened; of internal uploads they hear nothing. */
export class EngineEvents {
  readonly #emitter: EventEmitter<UploadEvents>

  constructor (emitter: EventEmitter<UploadEvents>) {
    this.#emitter = emitter
  }

  created (upload: Upload): void {
    this.#tell(upload, () => { this.#emitter.emit('create', upload) })
  }

  /** @param also the request that brought the bytes */
  progress (upload: Upload, also: { readonly onProgress?: (upload: Upload) => void }): void {
    this.#tell(upload, () => { this.#emitter.emit('progress', upload) })
    this.#tell(upload, () => { also.onProgress?.(upload) })
  }

  completed (upload: CompleteUpload): void {
    this.#tell(upload, () => { this.#emitter.emit('complete', upload) })
  }

  removed (upload: Upload, reason: RemovalReason): void {
    this.#tell(upload, () => { this.#emitter.emit('remove', upload, reason) })
  }

  lost (upload: Upload, before: Upload): void {
    this.#tell(upload, () => { this.#emitter.emit('lost', upload, before) })
    if (upload.status === 'removed') this.removed(upload, upload.reason)
  }

  /** What a listener throws is its own trouble: what it was told of has happened. */
  #tell (upload: Upload, emit: () => void): void {
    if (upload.internal === true) return
    try {
      emit()
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error))
    }
  }
}
