import { UploadBusy, UploadComplete, UploadGone } from '../../errors.js'
import { assertUploading, type Completed, type UploadEngine } from '../../engine/upload-engine.js'
import type { CompleteUpload, Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import type { TusSettings } from './options.js'
import { Refusal } from './refusal.js'
import { isPartial, stateOf, stored } from './state.js'

export interface FinalState {
  readonly upload: Upload
  /** Set by the request that made it complete. */
  readonly completed?: Completed
}

type Log = (error: unknown, upload: string) => void

/**
 * Final uploads: the concatenation of partial ones. One whose parts are not all complete waits; each of these knows that, and the last
 * of them to become complete makes the final one complete. Where that went wrong (a crash, another node), a look at the final one does it.
 */
export class Finals {
  readonly #engine: UploadEngine
  readonly #settings: TusSettings
  readonly #running = new Map<string, Promise<FinalState>>()

  constructor (engine: UploadEngine, settings: TusSettings) {
    this.#engine = engine
    this.#settings = settings
  }

  /**
   * The uploads that a new final one is to be made of.
   * @throws {UploadNotFound} {@link UploadGone} {@link UploadExpired} {@link Refusal}
   */
  async parts (caller: Caller, ids: readonly string[]): Promise<readonly Upload[]> {
    const parts = await this.#read(caller, ids)
    for (const part of parts) {
      if (!isPartial(part)) throw new Refusal(400, 'CONCAT', 'Upload-Concat names an upload that is not partial')
    }
    return parts
  }

  /** Lets the parts of a new final upload know that it waits for them; completes it where all of them are complete. */
  async begin (caller: Caller, final: Upload, log: Log): Promise<FinalState> {
    const ids = new Set(stateOf(final).parts)
    for (const part of await this.#read(caller, [...ids])) {
      if (part.status === 'complete') continue
      await this.#engine.update(everybody(caller), part.id, current => {
        const state = stateOf(current)
        return { protocolState: stored({ ...state, finals: [...state.finals ?? [], final.id] }) }
      })
    }
    // A part that became complete before it knew is seen now.
    return await this.advance(caller, final, log)
  }

  /** A partial upload is complete: the final ones that waited for it may be complete as well. */
  async partCompleted (caller: Caller, part: Upload, log: Log): Promise<void> {
    for (const id of stateOf(part).finals ?? []) {
      try {
        const final = await this.#engine.get(everybody(caller), id)
        await this.advance(caller, final, log)
      } catch (error) {
        log(error, id)
      }
    }
  }

  /**
   * Completes a final upload if all its parts are, and returns what it is then; after `concatenationWait` as it was, while the work
   * goes on.
   * @throws {UploadGone} a part is gone, and what completion throws
   */
  async advance (caller: Caller, final: Upload, log: Log): Promise<FinalState> {
    if (final.status !== 'uploading' || this.#running.has(final.id)) return { upload: final }
    const parts = await this.#partsOf(caller, final)
    const complete = parts.filter(part => part.status === 'complete')
    if (complete.length < parts.length) return { upload: final }
    const state = await this.#within(this.#running.get(final.id) ?? this.#start(caller, final.id, complete), final.id, log)
    return state ?? { upload: final }
  }

  /** Bytes; null while a part's length is unknown. */
  async sizeOf (caller: Caller, final: Upload): Promise<number | null> {
    return final.size ?? sumOf(await this.#partsOf(caller, final))
  }

  async #partsOf (caller: Caller, final: Upload): Promise<readonly Upload[]> {
    return await this.#read(everybody(caller), stateOf(final).parts ?? []).catch((cause: unknown) => {
      throw cause instanceof Error && 'statusCode' in cause && cause.statusCode === 404 ? new UploadGone({ cause }) : cause
    })
  }

  async #read (caller: Caller, ids: readonly string[]): Promise<readonly Upload[]> {
    const known = new Map<string, Upload>()
    for (const id of new Set(ids)) {
      const upload = await this.#engine.get(caller, id)
      if (upload.status !== 'complete') assertUploading(upload)
      known.set(id, upload)
    }
    return ids.flatMap(id => known.get(id) ?? [])
  }

  async #start (caller: Caller, id: string, parts: readonly CompleteUpload[]): Promise<FinalState> {
    const running = this.#concatenate(everybody(caller), id, parts).finally(() => { this.#running.delete(id) })
    this.#running.set(id, running)
    return await running
  }

  async #concatenate (caller: Caller, id: string, parts: readonly CompleteUpload[]): Promise<FinalState> {
    try {
      const completed = await this.#engine.concat(caller, id, parts, { resume: true })
      if (this.#settings.deletePartials) await this.#removeParts(caller, id, parts)
      return { upload: completed.upload, completed }
    } catch (error) {
      // Another request was faster, or another node is at it.
      if (error instanceof UploadComplete || error instanceof UploadBusy) return { upload: await this.#engine.get(caller, id) }
      throw error
    }
  }

  async #removeParts (caller: Caller, id: string, parts: readonly CompleteUpload[]): Promise<void> {
    for (const part of new Set(parts)) {
      const others = stateOf(part).finals?.some(final => final !== id) === true
      if (!others) await this.#engine.remove({ ...caller, hooks: {} }, part.id, { keepRecord: this.#settings.keepRecords }).catch(() => {})
    }
  }

  /** The result if it comes in time; what goes wrong later is logged. */
  async #within (running: Promise<FinalState>, id: string, log: Log): Promise<FinalState | undefined> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(() => {
        running.catch((error: unknown) => { log(error, id) })
        resolve(undefined)
      }, this.#settings.concatenationWait)
    })
    try {
      return await Promise.race([running, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Length of what the parts make together, in bytes; null while one is unknown. */
export function sumOf (parts: readonly Upload[]): number | null {
  return parts.reduce<number | null>((sum, { size }) => sum === null || size === null ? null : sum + size, 0)
}

/** Parts and final were checked when they were made: who sends the last byte need not be the owner. */
function everybody (caller: Caller): Caller {
  return { ...caller, restricted: false }
}
