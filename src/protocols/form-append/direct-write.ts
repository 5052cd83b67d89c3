import { once } from 'node:events'
import { type Readable, Transform } from 'node:stream'
import type { Caller, Written } from '../../engine/index.js'
import { OffsetMismatch, UploadGone } from '../../errors.js'
import { type Upload, lacksLost, offsetOf } from '../../upload.js'
import type { FormMount } from './mount.js'

/**
 * A part on its way to the end of an upload while the form is still being read. Nothing of it counts before {@link finish}: fields
 * after the part may yet say that it is a repeat.
 */
export class DirectWrite {
  readonly #body: Readable
  readonly #gate: Transform
  readonly #writing: Promise<Written>
  readonly #begun: Promise<number>
  #bytes = 0
  #shrunk = false

  constructor ({ engine }: FormMount, caller: Caller, id: string, body: Readable) {
    let begin: (offset: number) => void
    this.#begun = new Promise(resolve => { begin = resolve })
    this.#body = body
    this.#gate = new Transform({
      transform: (data: Buffer, _encoding, done) => {
        this.#bytes += data.length
        done(null, data)
      }
    })
    this.#gate.on('error', () => {})
    body.pipe(this.#gate, { end: false })
    this.#writing = engine.write(caller, id, {
      start: 'end',
      informed: true,
      body: this.#gate,
      atomic: true,
      check: upload => {
        this.#shrunk = lacksLost(upload)
        begin(offsetOf(upload))
      }
    })
    this.#writing.catch(() => {})
  }

  /** Settles only when the write fails before its end. */
  get failed (): Promise<never> {
    return this.#writing.then(() => new Promise<never>(() => {}))
  }

  /**
   * Lets the part count, now that the form has ended.
   * @param start where the client says the part begins, undefined when it does not say
   * @throws {OffsetMismatch} it begins elsewhere; nothing was appended. {@link UploadGone} it does not say, and bytes before it were lost.
   * And as a write.
   */
  async finish (start: number | undefined): Promise<Upload> {
    if (!this.#body.readableEnded) await Promise.race([once(this.#body, 'end'), this.failed])
    const offset = await Promise.race([this.#begun, this.failed])
    if (start !== undefined && start !== offset) {
      await this.abort()
      throw new OffsetMismatch(offset, start)
    }
    if (start === undefined && this.#shrunk) {
      await this.abort()
      throw new UploadGone()
    }
    this.#gate.end()
    return (await this.#writing).upload
  }

  /** Bytes of the part so far. */
  get bytes (): number {
    return this.#bytes
  }

  /** Takes everything back, and resolves when the upload is free again. */
  async abort (): Promise<void> {
    this.#body.unpipe(this.#gate)
    this.#gate.destroy(new Error('The form did not come to its end'))
    await this.#writing.catch(() => {})
  }
}
