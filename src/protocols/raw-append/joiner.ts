import type { Readable } from 'node:stream'
import type { Upload } from '../../upload.js'

/** Makes one playable file of several. */
export interface Joiner {
  /** Jobs that may work at a time. */
  readonly jobs: number
  /**
   * @throws {JoinFailed} when it is the fault of a clip
   * @throws anything else for trouble that may pass; the signal's reason when it has aborted
   */
  join (clips: readonly Clip[], context: { readonly videoId: string, readonly signal: AbortSignal }): Promise<Joined>
}

export interface Clip {
  /** A local file that has exactly these bytes, where the storage keeps one. */
  readonly path: string | undefined
  open (): Readable
}

export interface Joined {
  readonly contentType: string
  open (): Readable
  /** The bytes are stored, or not wanted any more. */
  discard (): Promise<void>
}

/** A clip cannot be played, or not be joined to the others. */
export class JoinFailed extends Error {
  override name = 'JoinFailed'
}

export interface JoinReport {
  readonly video: Upload
  /** The clip that was left out. */
  readonly clip: Upload
  readonly error: JoinFailed
}

export interface JoinEvents {
  readonly onJoined: (report: Pick<JoinReport, 'video'>) => Promise<void>
  readonly onFailed: (report: JoinReport) => Promise<void>
  readonly onTrouble: (error: unknown, videoId: string) => void
}
