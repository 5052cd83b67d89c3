import { UploadBusy, UploadComplete, UploadGone, UploadNotFound } from '../../errors.js'
import { assertThere, type Completed, type UploadEngine } from '../../engine/index.js'
import { type CompleteUpload, type Upload, isExpired, laterExpiry } from '../../upload.js'
import type { Caller } from '../contract.js'
import { TooManyFinals, refuse } from './errors.js'
import type { TusSettings } from './options.js'
import { bytesOfUser, sumOf } from './part-sums.js'
import { type TusState, isFinal, isPartial, stateOf, stored } from './state.js'

export interface FinalState {
  readonly upload: Upload
  /** Set by the request that made it complete. */
  readonly completed?: Completed
}

type Log = (error: unknown, upload: string) => void

/** Final uploads that are put together at a time, after the replies. */
const JOBS = 2

/**
 * Final uploads: the concatenation of partial ones. One whose parts are not all complete waits; each of these knows that, and the last
 * of them to become complete makes the final one complete. Where that went wrong (a crash, another node), a look at the final one does it.
 */
export class Concatenations {
  readonly #engine: UploadEngine
  readonly #settings: TusSettings
  readonly #running = new Map<string, Promise<FinalState>>()
  /** Final uploads whose parts may be complete, and on whose behalf to look. */
  readonly #due = new Map<string, { readonly caller: Caller, readonly log: Log }>()
  /** Final uploads that an earlier run of the server has left, with their users. */
  readonly #left = new Map<string, Upload['user']>()
  #jobs = 0

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
      if (!isPartial(part)) throw refuse(400, 'CONCAT', 'Upload-Concat names an upload that is not partial')
    }
    return parts
  }

  /**
   * Lets the parts of a final upload know that it needs them, so that they live as long as it may; completes it where all of them are
   * complete. Called again, it goes on where it was.
   */
  async begin (caller: Caller, final: Upload, log: Log): Promise<FinalState> {
    if (final.status === 'complete') return { upload: final }
    try {
      await this.#register(caller, final)
      // A part that became complete before it knew is seen now.
      return await this.join(caller, final, log)
    } catch (error) {
      if (error instanceof TooManyFinals) {
        // Some of its parts do not know of it: it would wait for ever.
        await this.#engine.remove({ ...caller, hooks: {} }, final.id).catch((trouble: unknown) => { log(trouble, final.id) })
        throw error
      }
      // An equal request may have come to its end meanwhile, and have removed the parts.
      const now = await this.#engine.get(caller, final.id)
      if (now.status !== 'complete') throw error
      return { upload: now }
    }
  }

  async #register (caller: Caller, final: Upload): Promise<void> {
    for (const id of new Set(stateOf(final).parts)) {
      const over = await this.#endedOf(caller, id, final)
      await this.#engine.update(everybody(caller), id, current => {
        const state = stateOf(current)
        const finals = [...new Set([...state.finals ?? [], final.id])].filter(one => !over.has(one))
        const waits = current.status !== 'complete' || this.#settings.deletePartials
        if (waits && finals.length > this.#settings.maxWaitingFinals) throw new TooManyFinals(this.#settings.maxWaitingFinals)
        return {
          expiresAt: laterExpiry(current.expiresAt, final.expiresAt),
          ...waits && { protocolState: stored({ ...state, finals }) }
        }
      })
    }
  }

  /** Where no more final uploads may wait for a part: those in its list that wait no longer, as they were removed or are whole. */
  async #endedOf (caller: Caller, id: string, final: Upload): Promise<ReadonlySet<string>> {
    const { finals = [] } = stateOf(await this.#engine.get(everybody(caller), id))
    const ended = new Set<string>()
    if (finals.length < this.#settings.maxWaitingFinals) return ended
    for (const one of finals) {
      const known = one === final.id ? final : await this.#engine.get(everybody(caller), one).catch(unlessUnknown)
      if (known?.status !== 'uploading' || isExpired(known, Date.now())) ended.add(one)
    }
    return ended
  }

  /** Where the expiry counts from the last activity, that of a part counts for all that waits for it: final uploads and their parts. */
  async keepAlive (caller: Caller, part: Upload, log: Log): Promise<void> {
    if (part.lifetime === undefined) return
    for (const id of stateOf(part).finals ?? []) {
      try {
        const final = await this.#engine.get(everybody(caller), id)
        const { status, expiresAt, lifetime = 0 } = final
        const until = Date.now() + lifetime
        // Not with each of many small bodies.
        if (status !== 'uploading' || expiresAt === null || until - expiresAt < lifetime / 10) continue
        for (const one of new Set([id, ...stateOf(final).parts ?? []])) {
          await this.#engine.update(everybody(caller), one, current => ({ expiresAt: laterExpiry(current.expiresAt, until) }))
        }
      } catch (error) {
        log(error, id)
      }
    }
  }

  /**
   * A partial upload is complete: the final ones that waited for it may be complete as well. That is looked into after the reply, a few at
   * a time, and ends with the server; where it was interrupted, {@link recover} takes it up.
   */
  partCompleted (caller: Caller, part: Upload, log: Log): void {
    for (const id of stateOf(part).finals ?? []) this.#due.set(id, { caller, log })
    this.#work()
  }

  /**
   * Takes up what an earlier run of the server has left: final uploads whose parts are complete. Where the host has to be asked, that is
   * done with the next request of their user, as the host is asked about a request.
   * @param own the mount itself
   */
  async recover (own: Caller, asksHost: boolean, log: Log): Promise<void> {
    for await (const final of this.#engine.scan({ protocol: own.protocol ?? '', status: 'uploading', internal: false })) {
      if (this.#engine.stopping) return
      if (!isFinal(final)) continue
      if (asksHost) this.#left.set(final.id, final.user)
      else this.#due.set(final.id, { caller: { ...own, user: final.user }, log })
    }
    this.#work()
  }

  /** A request of a user that may have left final uploads that only lack their end. */
  adopt (caller: Caller, log: Log): void {
    if (this.#left.size === 0) return
    for (const [id, user] of this.#left) {
      if (user !== caller.user) continue
      this.#left.delete(id)
      this.#due.set(id, { caller, log })
    }
    this.#work()
  }

  #work (): void {
    while (this.#jobs < JOBS && this.#due.size > 0) {
      this.#jobs++
      this.#workOff().catch(() => {}).finally(() => {
        this.#jobs--
        if (!this.#engine.stopping) this.#work()
      })
    }
  }

  async #workOff (): Promise<void> {
    for (const [id, { caller, log }] of this.#due) {
      this.#due.delete(id)
      if (this.#engine.stopping) return
      try {
        const final = await this.#engine.get(everybody(caller), id)
        if (final.status !== 'uploading' || stateOf(final).refused === true) continue
        const parts = await this.#wholeParts(caller, final)
        if (parts !== undefined) await (this.#running.get(id) ?? this.#start(caller, id, parts, log))
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
    const parts = await this.#wholeParts(caller, final)
    if (parts === undefined) return { upload: final }
    const state = await this.#within(this.#running.get(final.id) ?? this.#start(caller, final.id, parts, log), final.id, log)
    return state ?? { upload: final }
  }

  /** As {@link advance}, but waits for work that goes on already, too. */
  async join (caller: Caller, final: Upload, log: Log): Promise<FinalState> {
    const running = this.#running.get(final.id)
    if (running === undefined) return await this.advance(caller, final, log)
    return await this.#within(running, final.id, log) ?? { upload: final }
  }

  /** Bytes; null while a part's length is unknown. */
  async sizeOf (caller: Caller, final: Upload): Promise<number | null> {
    return final.size ?? sumOf(await this.#partsOf(caller, final))
  }

  /** The parts of a final upload where all of them are complete. */
  async #wholeParts (caller: Caller, final: Upload): Promise<readonly CompleteUpload[] | undefined> {
    const parts = await this.#partsOf(caller, final)
    const complete = parts.filter(part => part.status === 'complete')
    return complete.length < parts.length ? undefined : complete
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
      assertThere(upload)
      known.set(id, upload)
    }
    return ids.flatMap(id => known.get(id) ?? [])
  }

  async #start (caller: Caller, id: string, parts: readonly CompleteUpload[], log: Log): Promise<FinalState> {
    const running = this.#concatenate(everybody(caller), id, parts, log).finally(() => { this.#running.delete(id) })
    this.#running.set(id, running)
    return await running
  }

  async #concatenate (caller: Caller, id: string, parts: readonly CompleteUpload[], log: Log): Promise<FinalState> {
    try {
      const { deletePartials } = this.#settings
      const replaces = deletePartials ? bytesOfUser((await this.#engine.get(caller, id)).user, parts) : 0
      const completed = await this.#engine.concat(caller, id, parts, { resume: true, replaces })
      if (deletePartials) await this.#removeParts(caller, id, parts, log)
      return { upload: completed.upload, completed }
    } catch (error) {
      // Another request was faster, or another node is at it.
      if (error instanceof UploadComplete || error instanceof UploadBusy) return { upload: await this.#engine.get(caller, id) }
      if (isOfHost(error)) {
        const refused = (current: Upload) => ({ protocolState: stored({ ...stateOf(current), refused: true }) })
        await this.#engine.update(caller, id, refused).catch(() => {})
      }
      throw error
    }
  }

  /** Those that another final upload needs, the last one to be complete removes. */
  async #removeParts (caller: Caller, id: string, parts: readonly CompleteUpload[], log: Log): Promise<void> {
    const without = (state: TusState): TusState => ({ ...state, finals: state.finals?.filter(final => final !== id) ?? [] })
    for (const part of new Set(parts)) {
      try {
        const change = (current: Upload) => ({ protocolState: stored(without(stateOf(current))) })
        const { protocolState } = await this.#engine.update(caller, part.id, change)
        if (stateOf({ protocolState }).finals?.length === 0) {
          await this.#engine.remove({ ...caller, hooks: {} }, part.id, { keepRecord: this.#settings.keepRecords })
        }
      } catch (error) {
        // The file is whole. The part is swept when its time is over.
        log(error, part.id)
      }
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

function unlessUnknown (error: unknown): undefined {
  if (!(error instanceof UploadNotFound)) throw error
}

/** Errors of `onComplete`, all of them: a HEAD must not ask the host again. The same POST does. */
function isOfHost (error: unknown): boolean {
  return !(error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_CHUNKED_UPLOAD_'))
}

/** Parts and final were checked when they were made: the sender of the last byte need not be the owner. */
function everybody (caller: Caller): Caller {
  return { ...caller, restricted: false, gone: undefined }
}
