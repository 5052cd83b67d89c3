import type { Caller, ScratchUploads } from '../../engine/index.js'
import type { Upload } from '../../upload.js'
import type { Context } from '../context.js'
import { Mount, type MountParts } from '../mount.js'
import type { Joins } from './joins.js'
import type { RawAppendSettings } from './options.js'

export type Video = Upload & { readonly serial: number }

/** One mount of the protocol: what its verbs and the jobs that join clips share. */
export class VideoMount extends Mount<RawAppendSettings> {
  /** What the videos have where clips are joined. */
  readonly contents: ScratchUploads
  /** Undefined where bytes are appended to bytes. */
  joins: Joins | undefined

  constructor (parts: MountParts<RawAppendSettings>) {
    super(parts)
    this.contents = this.engine.scratch(this.own)
  }

  /** A clip was taken within the limits of its client: joining it needs none. */
  override get own (): Caller {
    return { ...super.own, maxBytes: null, maxStored: null }
  }
}

/** The video that the URL names. @throws {UploadNotFound} {@link UserRequired} */
export async function videoOf (context: Context<VideoMount>): Promise<Video> {
  const caller = await context.caller()
  const serial = /^\d{1,15}$/.test(context.id) ? Number(context.id) : 0
  return { ...await context.mount.engine.getBySerial(caller, serial), serial }
}
