import { BodyCut } from '../../errors.js'
import type { Written } from '../../engine/index.js'
import type { Upload } from '../../upload.js'
import type { FinalAnswer } from './state.js'

/**
 * A finished upload and the handler that answers it. The engine asks for the answer when the file is whole and its record not yet complete;
 * only an answer of success makes it complete, and only then the client gets that answer. So a client that repeats its last request after a
 * crash has its file handled again, and no file is handled twice with success.
 */
export class Exchange {
  /** The file, once it is there and its handler is to run. */
  upload: Upload | undefined
  #hand: (upload: Upload) => void = () => {}
  readonly #handed = new Promise<Upload>(resolve => { this.#hand = resolve })
  #settle: (answer: FinalAnswer | undefined) => void = () => {}
  readonly #answered = new Promise<FinalAnswer | undefined>(resolve => { this.#settle = resolve })
  #written: Promise<Written> | undefined

  /** Resolves when the handler has answered or refused. */
  get settled (): Promise<unknown> {
    return this.#answered
  }

  /** What the engine asks. @throws {BodyCut} the handler refused, or did not answer */
  readonly finish = async (upload: Upload): Promise<FinalAnswer> => {
    this.upload = upload
    this.#hand(upload)
    const answer = await this.#answered
    // This error is not seen: the handler has told the client what is wrong.
    if (answer === undefined) throw new BodyCut()
    return answer
  }

  /**
   * Waits until the file is there, or the request that should have finished it is over without.
   * @throws what the engine throws
   */
  async begun (written: Promise<Written>): Promise<Upload | Written> {
    this.#written = written
    return await Promise.race([this.#handed, written])
  }

  /**
   * The handler's reply is known. Resolves when the record says so, too.
   * @throws what the engine throws: then the reply must not be sent
   */
  async answer (answer: FinalAnswer): Promise<void> {
    this.#settle(answer)
    await this.#written
  }

  /** The handler refuses the file, or will not answer any more: the upload stays as it is. */
  async refuse (): Promise<void> {
    this.#settle(undefined)
    await this.#written?.catch(() => {})
  }
}
