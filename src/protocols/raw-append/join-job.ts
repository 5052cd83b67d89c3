import type { ScratchUploads, UploadEngine } from '../../engine/index.js'
import { BodyCut, StorageTrouble, TakenOver, UploadNotFound } from '../../errors.js'
import { type Upload, offsetOf } from '../../upload.js'
import { type Clip, type Joined, type Joiner, JoinFailed, type JoinEvents } from './joiner.js'
import { stateOf, type VideoState } from './video.js'

/** ms for which an inner upload stays that no video names. */
export const DAY = 86_400_000

export type Change = (state: VideoState, video: Upload) => Partial<VideoState>

export interface JobSurroundings {
  readonly engine: UploadEngine
  readonly contents: ScratchUploads
  readonly joiner: Joiner
  readonly events: JoinEvents
  /** Changes the video's state, by compare-and-set: new clips may come at any time. */
  readonly change: (next: Change) => Promise<Upload>
  readonly removeAll: (ids: readonly string[]) => Promise<void>
}

/**
 * Joins the clips that wait to their video. The video's record says at each moment what a crash would leave: the file that is being
 * `building`, and what is `stale`, both of which the next job removes before it begins.
 */
export class JoinJob {
  readonly #around: JobSurroundings

  constructor (around: JobSurroundings) {
    this.#around = around
  }

  /** Under the video's lock. True when the queue has become shorter. */
  async run (found: Upload): Promise<boolean> {
    const video = await this.#cleared(found)
    const clips = await this.#clipsOf(video)
    const [first] = clips
    if (first === undefined) return stateOf(video).clips.length > 0 && await this.#dropped(stateOf(video).clips)
    try {
      await this.#join(video, clips)
      return true
    } catch (error) {
      if (!(error instanceof JoinFailed)) throw error
      if (clips.length === 1) return await this.#refused(video, first, error)
    }
    // One of several is at fault: the first alone shows whether it is.
    try {
      await this.#join(video, [first])
      return true
    } catch (error) {
      if (!(error instanceof JoinFailed)) throw error
      return await this.#refused(video, first, error)
    }
  }

  /** The video without what an earlier job has left. */
  async #cleared (video: Upload): Promise<Upload> {
    const { building, stale } = stateOf(video)
    if (building === null && stale.length === 0) return video
    await this.#around.removeAll(building === null ? stale : [building, ...stale])
    return await this.#around.change(state => ({ building: null, stale: state.stale.filter(id => !stale.includes(id)) }))
  }

  /** The clips that wait. One that a crash has left before it was acknowledged may have expired. */
  async #clipsOf (video: Upload): Promise<readonly Upload[]> {
    const { contents } = this.#around
    const clips: Upload[] = []
    for (const id of stateOf(video).clips) {
      try {
        clips.push(await contents.keep(id))
      } catch (error) {
        if (!(error instanceof UploadNotFound)) throw error
      }
    }
    return clips
  }

  async #join (video: Upload, clips: readonly Upload[]): Promise<void> {
    const { engine, contents, joiner, events, change } = this.#around
    const { content } = stateOf(video)
    const old = content === null ? video : await contents.keep(content)
    // Bytes that are gone would be missing within the video: it waits, and is not served.
    for (const upload of [old, ...clips]) await engine.present(upload)
    const joined = await joiner.join([old, ...clips].map(upload => this.#clip(upload)), { videoId: video.id, signal: engine.stopSignal })
    let next: Upload
    try {
      next = await this.#store(video, joined)
    } finally {
      await joined.discard()
    }
    const ids = clips.map(({ id }) => id)
    const stale = content === null ? ids : [content, ...ids]
    const swapped = await change(state => {
      // Another job has this video in hand, and has thrown our file away.
      if (state.building !== next.id) throw new TakenOver()
      return { content: next.id, clips: state.clips.filter(id => !ids.includes(id)), building: null, stale: [...state.stale, ...stale] }
    })
    await this.#cleared(swapped)
    await events.onJoined({ video: swapped })
  }

  /** The joined file as an inner upload. */
  async #store (video: Upload, { contentType, open }: Joined): Promise<Upload> {
    const { contents, change } = this.#around
    const { id } = await contents.create({ contentType, expiresIn: DAY }, { user: video.user, maxBytes: null, maxStored: null })
    await change(() => ({ building: id }))
    const body = open()
    try {
      await contents.write(id, { start: 0, body, own: true, atomic: true })
    } catch (error) {
      // No client sent this body: if it breaks off, the fault is ours.
      throw error instanceof BodyCut ? new StorageTrouble({ cause: error.cause }) : error
    } finally {
      body.destroy()
    }
    return await contents.keep(id)
  }

  async #refused (video: Upload, clip: Upload, error: JoinFailed): Promise<boolean> {
    await this.#around.events.onFailed({ video, clip, error })
    return await this.#dropped([clip.id])
  }

  async #dropped (ids: readonly string[]): Promise<boolean> {
    const { change } = this.#around
    await this.#cleared(await change(state => ({
      clips: state.clips.filter(id => !ids.includes(id)), stale: [...state.stale, ...ids]
    })))
    return true
  }

  #clip (upload: Upload): Clip {
    const { engine } = this.#around
    return {
      path: engine.localPath(upload),
      open: () => engine.read(upload, [0, offsetOf(upload)])
    }
  }
}
