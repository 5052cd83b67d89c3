import type { Readable } from 'node:stream'
import { assertUploading, type Caller, type ScratchUploads, type UploadEngine } from '../../engine/index.js'
import { SizeLimitExceeded, UploadBusy, UploadGone, UploadNotFound } from '../../errors.js'
import { type Upload, offsetOf } from '../../upload.js'
import { noData } from './errors.js'
import { type Change, DAY, JoinJob } from './join-job.js'
import type { Joiner, JoinEvents } from './joiner.js'
import { innerIdsOf, protocolStateOf, stateOf } from './video.js'

/** Times that a clip is counted anew because others were put into its video meanwhile. */
const ENQUEUE_ATTEMPTS = 100

/** The video has changed since its bytes were counted. */
class CountedInVain extends Error {}

/** What a request brings. */
export interface Bytes {
  readonly body: Readable
  /** Bytes, where the request tells them beforehand. */
  readonly length: number | undefined
}

export interface JoinParts {
  readonly engine: UploadEngine
  /** The mount itself, which sees all of its videos. */
  readonly own: Caller
  readonly contents: ScratchUploads
}

/** Takes clips in, and has them joined to their videos apart from the requests: one job a video, a few at a time. */
export class Joins {
  readonly #engine: UploadEngine
  readonly #own: Caller
  readonly #contents: ScratchUploads
  readonly #joiner: Joiner
  readonly #events: JoinEvents
  readonly #waiting = new Set<string>()
  readonly #running = new Set<string>()

  constructor ({ engine, own, contents }: JoinParts, joiner: Joiner, events: JoinEvents) {
    this.#engine = engine
    this.#own = own
    this.#contents = contents
    this.#joiner = joiner
    this.#events = events
    engine.on('remove', video => {
      if (video.protocol === own.protocol) this.#removeAll(innerIdsOf(stateOf(video))).catch(() => {})
    })
  }

  /**
   * Stores a clip of its own and puts it into the video's queue.
   * @returns true when it is the first one, which needs no joining
   * @throws {Refusal} {@link SizeLimitExceeded} {@link QuotaExceeded} {@link UploadGone} and as a write
   */
  async addClip (caller: Caller, video: Upload, { body, length }: Bytes): Promise<boolean> {
    await this.#assertWhole(video)
    const room = caller.maxBytes === null ? null : caller.maxBytes - await this.#bytesOf(video)
    if (room !== null && (room < 0 || (length ?? 0) > room)) throw new SizeLimitExceeded(caller.maxBytes ?? 0)
    const owner = { user: video.user, maxBytes: room, maxStored: caller.maxStored }
    const { id } = await this.#contents.create({ contentType: video.contentType, expiresIn: DAY }, owner)
    let first: boolean
    try {
      const upload = await this.#contents.write(id, { start: 0, body, ...length !== undefined && { length }, atomic: true }, owner)
      if (offsetOf(upload) === 0) throw noData()
      first = await this.#enqueue(caller, video.id, upload)
    } catch (error) {
      await this.#contents.remove(id).catch(() => {})
      throw error instanceof SizeLimitExceeded ? new SizeLimitExceeded(caller.maxBytes ?? 0) : error
    }
    // Last: a crash before leaves a clip that no reply has named, and that expires.
    await this.#contents.keep(id)
    if (!first) this.wake(video.id)
    return first
  }

  /**
   * Counts the clip among those of its video. Clips that came at the same time had each been read while there was room for it alone: the
   * count holds for the very record that the clip is put into.
   * @returns true for the first one
   */
  async #enqueue ({ maxBytes }: Caller, videoId: string, clip: Upload): Promise<boolean> {
    for (let attempt = 0; attempt < ENQUEUE_ATTEMPTS; attempt++) {
      const counted = await this.#engine.get(this.#own, videoId)
      if (maxBytes !== null && await this.#bytesOf(counted) + offsetOf(clip) > maxBytes) throw new SizeLimitExceeded(maxBytes)
      let first = false
      try {
        await this.#change(videoId, (state, current) => {
          if (maxBytes !== null && current.version !== counted.version) throw new CountedInVain()
          first = state.content === null && state.clips.length === 0 && offsetOf(current) === 0
          return first ? { content: clip.id } : { clips: [...state.clips, clip.id] }
        })
        return first
      } catch (error) {
        if (!(error instanceof CountedInVain)) throw error
      }
    }
    throw new UploadBusy()
  }

  /** A job looks after this video as soon as one is free. */
  wake (videoId: string): void {
    this.#waiting.add(videoId)
    for (const id of this.#waiting) {
      if (this.#running.size >= this.#joiner.jobs) return
      if (this.#running.has(id)) continue
      this.#waiting.delete(id)
      this.#running.add(id)
      this.#work(id).catch((error: unknown) => {
        if (!this.#engine.stopping) this.#events.onTrouble(error, id)
      }).finally(() => {
        this.#running.delete(id)
        const [next] = this.#waiting
        if (next !== undefined && !this.#engine.stopping) this.wake(next)
      })
    }
  }

  /** Finds what an earlier run of the server has left to do: jobs to be done again, and inner uploads that no video names any more. */
  recover (): void {
    const before = Date.now() - DAY
    this.#recover(before).catch((error: unknown) => {
      if (!this.#engine.stopping) this.#events.onTrouble(error, '')
    })
  }

  async #recover (before: number): Promise<void> {
    const named = new Set<string>()
    for await (const video of this.#engine.scan({ protocol: this.#own.protocol ?? '', internal: false, status: 'uploading' })) {
      const state = stateOf(video)
      for (const id of innerIdsOf(state)) named.add(id)
      if (state.clips.length > 0 || state.building !== null || state.stale.length > 0) this.wake(video.id)
    }
    for await (const inner of this.#contents.list()) {
      // A clip that is coming in expires, until its video names it.
      if (named.has(inner.id)) {
        if (inner.expiresAt !== null) await this.#contents.keep(inner.id)
      } else if (inner.expiresAt === null && inner.createdAt < before) await this.#removeAll([inner.id])
    }
  }

  /** Joins until nothing waits, under the video's lock: no two servers work on the same one. */
  async #work (videoId: string): Promise<void> {
    while (!this.#engine.stopping) {
      this.#waiting.delete(videoId)
      const progress = await this.#engine.ifFree(videoId, async video => {
        if (video?.status !== 'uploading') return false
        const change = async (next: Change): Promise<Upload> => await this.#change(videoId, next)
        const removeAll = async (ids: readonly string[]): Promise<void> => { await this.#removeAll(ids) }
        const around = { engine: this.#engine, contents: this.#contents, joiner: this.#joiner, events: this.#events, change, removeAll }
        return await new JoinJob(around).run(video)
      })
      if (progress !== true) return
      // After the lock once more: a request that came meanwhile and found it taken has left its clip to us.
      const video = await this.#engine.get(this.#own, videoId).catch(() => undefined)
      if (video === undefined || stateOf(video).clips.length === 0) return
    }
  }

  async #change (videoId: string, next: Change): Promise<Upload> {
    return await this.#engine.update(this.#own, videoId, current => {
      assertUploading(current)
      const state = stateOf(current)
      return { protocolState: protocolStateOf({ ...state, ...next(state, current) }) }
    })
  }

  async #bytesOf (video: Upload): Promise<number> {
    const { content, clips } = stateOf(video)
    let bytes = content === null ? offsetOf(video) : 0
    for (const id of content === null ? clips : [content, ...clips]) {
      const part = await this.#contents.get(id).catch(unlessMissing)
      if (part !== undefined) bytes += offsetOf(part)
      else {
        // A job may just have put one file in the place of these.
        const now = await this.#engine.get(this.#own, video.id)
        if (now.version !== video.version) return await this.#bytesOf(now)
      }
    }
    return bytes
  }

  /** A video of which bytes were lost never grows again. @throws {UploadGone} */
  async #assertWhole (video: Upload): Promise<void> {
    const engine = this.#engine
    const { content, clips } = stateOf(video)
    try {
      if (content === null) await engine.present(video)
      for (const id of content === null ? clips : [content, ...clips]) {
        const part = await this.#contents.get(id).catch(unlessMissing)
        if (part !== undefined) await engine.present(part)
      }
    } catch (error) {
      if (!(error instanceof UploadGone || error instanceof UploadNotFound)) throw error
      // A job may just have put one file in the place of these.
      const now = await engine.get(this.#own, video.id)
      if (now.version === video.version) throw error
      await this.#assertWhole(now)
    }
  }

  async #removeAll (ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await this.#contents.remove(id).catch(unlessMissing)
    }
  }
}

function unlessMissing (error: unknown): undefined {
  if (!(error instanceof UploadNotFound)) throw error
}
