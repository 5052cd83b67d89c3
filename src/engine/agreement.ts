import { TakenOver } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import type { CompleteUpload, JsonObject, Upload, UploadingUpload } from '../upload.js'
import type { CallerHooks, CompletionReply } from './caller.js'
import type { Lease } from './locking/lease.js'
import { callAdapter } from './call-adapter.js'
import type { UploadRecords } from './records/upload-records.js'
import { asUploading } from './records/upload-states.js'

export interface Question {
  readonly onComplete: NonNullable<CallerHooks['onComplete']>
  /** The upload as it will be, with its file at `location`. */
  readonly describe: (upload: Upload, location: string) => CompleteUpload
  /** Where the host wants the file; undefined leaves it to the storage. */
  readonly target: string | undefined
  readonly lease: Lease
}

interface Answer {
  readonly reply: CompletionReply | undefined
  /** Where the file is, if it stays there. */
  readonly location?: string
}

export interface Agreed extends Answer {
  readonly upload: UploadingUpload
}

/** Answers in memory: those of the last uploads whose completion failed after them. */
const KEPT = 1000

/**
 * Asks the host about a whole file before the file goes to its place, so that a refused file is never there. An answer holds until the
 * upload is complete. Only after a crash between answer and record is the host asked again.
 */
export class Agreement {
  readonly #storage: Storage
  readonly #records: UploadRecords
  /** By upload: the record as it was, and what the host said. */
  readonly #kept = new Map<string, Answer & { readonly version: number }>()

  constructor (storage: Storage, records: UploadRecords) {
    this.#storage = storage
    this.#records = records
  }

  /** Under the upload's exclusive lock. @throws {LocationInvalid} {@link StorageLost} and what `onComplete` throws */
  async of (upload: UploadingUpload, size: number, question: Question): Promise<Agreed> {
    if (upload.agreed !== undefined) return { upload, reply: replyIn(upload.agreed.reply) }
    const kept = this.#kept.get(upload.id)
    const { target } = question
    const answer = kept?.version === upload.version ? kept : await this.#ask(upload, size, question)
    this.#keep(upload, answer)
    if (question.lease.lost) throw new TakenOver()
    if (target === undefined) return { upload, ...answer }
    const agreed = { reply: storable(answer.reply) }
    const told = await this.#records.update(upload.id, current => {
      return { ...asUploading(current), target: current.target ?? target, agreed }
    }, upload)
    return { upload: asUploading(told), reply: answer.reply }
  }

  async #ask (upload: UploadingUpload, size: number, { onComplete, describe, target }: Question): Promise<Answer> {
    if (target !== undefined) await callAdapter(async () => { await this.#storage.checkTarget?.({ ...upload, target }) })
    // A target without an agreement comes from a version that put files there first.
    const location = await callAdapter(() => this.#storage.finish({ ...upload, size }))
    try {
      const reply = await onComplete({ ...describe(upload, location), ...target !== undefined && { target } })
      return { reply, location }
    } catch (error) {
      if (upload.target === undefined) await this.#storage.reopen?.(upload).catch(() => {})
      throw error
    }
  }

  /** The upload is complete. */
  forget ({ id }: Pick<Upload, 'id'>): void {
    this.#kept.delete(id)
  }

  #keep ({ id, version }: Upload, answer: Answer): void {
    this.#kept.delete(id)
    this.#kept.set(id, { ...answer, version })
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > KEPT && oldest !== undefined) this.#kept.delete(oldest)
  }
}

/** The reply as a record keeps it; null for none, and for one that is no JSON. */
function storable (reply: CompletionReply | undefined): JsonObject | null {
  try {
    const copy: unknown = JSON.parse(JSON.stringify(reply ?? null))
    return isJsonObject(copy) ? copy : null
  } catch {
    return null
  }
}

function replyIn (kept: JsonObject | null): CompletionReply | undefined {
  if (kept === null) return undefined
  const { statusCode, headers, body } = kept
  return {
    ...typeof statusCode === 'number' && { statusCode },
    ...isJsonObject(headers) && {
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]))
    },
    ...body !== undefined && { body }
  }
}

function isJsonObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
