import type { UploadDraft } from '../../engine/caller.js'
import type { UploadEngine } from '../../engine/upload-engine.js'
import { isExpired, type Upload } from '../../upload.js'
import type { Caller } from '../contract.js'
import { stateOf, stored } from './state.js'

/**
 * Final uploads whose client was told to come again, as their concatenation took too long. When it does, with the same request, it gets
 * that very upload: another one would copy all the bytes once more, and be late again.
 */
export class LateFinals {
  readonly #engine: UploadEngine

  constructor (engine: UploadEngine) {
    this.#engine = engine
  }

  /** The upload that the same request has made before, for the same user. */
  async find (caller: Caller, parts: readonly Upload[], draft: UploadDraft): Promise<Upload | undefined> {
    const wanted = stateOf(draft)
    for (const id of stateOf(parts[0] ?? draft).late ?? []) {
      const final = await this.#engine.get(caller, id).catch(() => undefined)
      if (final === undefined || final.status === 'removed' || isExpired(final, Date.now()) || final.user !== caller.user) continue
      const { concat, metadata } = stateOf(final)
      if (concat === wanted.concat && metadata === wanted.metadata) return final
    }
    return undefined
  }

  /** Its client will ask again. */
  async remember (caller: Caller, final: Upload): Promise<void> {
    await this.#change(caller, final, late => [...late.filter(id => id !== final.id), final.id])
  }

  /** Its client knows it. */
  async forget (caller: Caller, final: Upload): Promise<void> {
    await this.#change(caller, final, late => late.filter(id => id !== final.id))
  }

  /** The first part has the list, since a part is all that the same request is known by. */
  async #change (caller: Caller, final: Upload, change: (late: readonly string[]) => readonly string[]): Promise<void> {
    const [first] = stateOf(final).parts ?? []
    if (first === undefined) return
    // Without its part it will not be found, and is made once more.
    await this.#engine.update({ ...caller, restricted: false }, first, current => {
      const state = stateOf(current)
      return { protocolState: stored({ ...state, late: change(state.late ?? []) }) }
    }).catch(() => {})
  }
}
