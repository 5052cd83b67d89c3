import { type Duration, checkByRules, lifetimeOf } from '../../option-rules.js'
import type { Joiner, JoinReport } from './joiner.js'
import { rules } from './options.rules.js'

export interface RawAppendOptions {
  /** Names the mount. @default 'rawAppend' */
  readonly name?: string | undefined
  /** Below the registration's prefix. @default none */
  readonly prefix?: string | undefined
  /** Time from creation until a video is removed; null for never, as in the original, which knows no end of a video. @default null */
  readonly expirationDelta?: Duration | null | undefined
  /** Media type of `get_video`. @default 'video/mp4' */
  readonly contentType?: string | undefined
  /** Name under which browsers save a video. @default id => `video_${id}.mp4` */
  readonly filename?: ((id: number) => string) | undefined
  /**
   * Takes each body for a clip that can be played alone, and joins it to the video: `ffmpeg()`. Without it, bytes are appended to bytes.
   *
   * A clip is acknowledged as soon as its bytes are stored. The job that joins it works apart from the requests, builds a new file, and
   * puts it in the place of the old one in one step; until then `get_video` serves the old one. Clips that wait are joined together. A
   * clip that cannot be joined leaves the video as it was: `onJoinFailed` is told, then the clip is removed. Other trouble (storage, disk
   * space, no ffmpeg) keeps it: the job is done again with the next clip, and when the server starts, as it is after a crash.
   *
   * What the video has then is kept beside its record, so that the record itself shows no bytes. Do not switch it off while clips wait.
   */
  readonly join?: Joiner | undefined
  /** After a video has a new file. */
  readonly onJoined?: ((report: Pick<JoinReport, 'video'>) => void | Promise<void>) | undefined
  /** A clip is no playable one, and is about to be removed. */
  readonly onJoinFailed?: ((report: JoinReport) => void | Promise<void>) | undefined
}

/** What the verbs read of the options. */
export interface RawAppendSettings {
  /** ms from creation until a video is removed; null for never. */
  readonly expirationDelta: number | null
  readonly contentType: string
  readonly filename: (id: number) => string
}

/** @throws {InvalidOption} */
export function settingsOf (options: RawAppendOptions): RawAppendSettings {
  checkByRules('rawAppend', options, rules)
  return {
    expirationDelta: lifetimeOf(options.expirationDelta, null),
    contentType: options.contentType ?? 'video/mp4',
    filename: options.filename ?? (id => `video_${id}.mp4`)
  }
}
